# What is tried in the emulated machine: effects, seen from inside a container.
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev
mount -t tmpfs none /tmp; insmod /overlay.ko
mode=$(sed -n 's/.*hull=\([^ ]*\).*/\1/p' /proc/cmdline)
if [ "$mode" = v2 ]; then
    mount -t cgroup2 none /sys/fs/cgroup
else
    mount -t tmpfs -o mode=755 none /sys/fs/cgroup
    for c in $(sed -n 's/^\([a-z_]*\)\t.*\t1$/\1/p' /proc/cgroups); do
        mkdir /sys/fs/cgroup/$c && mount -t cgroup -o $c none /sys/fs/cgroup/$c || rmdir /sys/fs/cgroup/$c
    done
fi
export HULL_ROOT=/var/hull PATH=/bin

is() { # name, expected, got
    if [ "$2" = "$3" ]; then echo "ok $1"; else echo "FAIL $1: expected '$2', got" $3; fi
}
has() { # name, part, got
    case "$3" in *"$2"*) echo "ok $1";; *) echo "FAIL $1: '$2' is not in" $3;; esac
}
in_bb() { hull run --rm "$@" 2>&1; }

mkdir -p /tmp/r/bin && cp /bin/busybox /tmp/r/bin/ && for n in sh cat echo true tail id head mknod grep sleep ls sed; do ln -s busybox /tmp/r/bin/$n; done
tar -C /tmp/r -cf /tmp/bb.tar . && hull import -c 'ENV PATH=/bin' /tmp/bb.tar bb >/dev/null 2>/tmp/err || echo "FAIL import: $(cat /tmp/err)"

has "hello" "overlay of 3 layers" "$(hull run --rm hello 2>&1)"
has "own user namespace" " 65536" "$(in_bb bb cat /proc/self/uid_map)"
if [ "$mode" = v2 ]; then
    is "memory.max" 33554432 "$(in_bb -m 32m bb cat /sys/fs/cgroup/memory.max)"
    is "memory.swap.max" 33554432 "$(in_bb -m 32m --memory-swap 64m bb cat /sys/fs/cgroup/memory.swap.max)"
    is "pids.max" 20 "$(in_bb --pids-limit 20 bb cat /sys/fs/cgroup/pids.max)"
    is "cpu.max" "50000 100000" "$(in_bb --cpus 0.5 bb cat /sys/fs/cgroup/cpu.max)"
    is "cpu.weight" 100 "$(in_bb --cpu-shares 1024 bb cat /sys/fs/cgroup/cpu.weight)"
    is "own cgroup namespace" "0::/" "$(in_bb bb cat /proc/self/cgroup)"
    is "cpuset" 1 "$(in_bb --cpuset-cpus 1 bb cat /sys/fs/cgroup/cpuset.cpus)"
    has "swappiness is refused" "error:" "$(in_bb -m 32m --memory-swappiness 10 bb true)"
else
    is "memory.limit_in_bytes" 33554432 "$(in_bb -m 32m bb cat /sys/fs/cgroup/memory/memory.limit_in_bytes)"
    is "pids.max" 20 "$(in_bb --pids-limit 20 bb cat /sys/fs/cgroup/pids/pids.max)"
    is "cpu.cfs_quota_us" 50000 "$(in_bb --cpus 0.5 bb cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us)"
    is "cpuset" 1 "$(in_bb --cpuset-cpus 1 bb cat /sys/fs/cgroup/cpuset/cpuset.cpus)"
fi
hull run --name eater -m 16m --memory-swap 16m bb tail /dev/zero >/dev/null 2>&1
is "out of memory kills" "137" "$?"
is "and is told" "true" "$(hull inspect -f '{{.State.OOMKilled}}' eater)"
hull rm eater >/dev/null
has "a fork bomb stops" "fork" "$(in_bb --pids-limit 8 bb sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1 & done')"
has "a device no rule allows cannot be opened" "not permitted" "$(in_bb --userns host bb sh -c 'mknod /k c 1 11 && echo x > /k')"
has "a device a rule allows can" "opened" "$(in_bb --userns host --device-cgroup-rule 'c 1:11 rwm' bb sh -c 'mknod /k c 1 11 && echo x > /k && echo opened')"
is "root writes, and only above" "x" "$(in_bb bb sh -c 'echo x > /bin/y; cat /bin/y')"
is "nothing is left of the groups" "" "$(ls -d /sys/fs/cgroup/hull/*/ /sys/fs/cgroup/*/hull/*/ 2>/dev/null)"
is "the store is clean" "nothing left to do" "$(hull system check)"

echo DONE
poweroff -f
