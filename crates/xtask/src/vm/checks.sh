# What is tried in every emulated machine: effects, seen from inside a container.
export PATH=$PATH:/bin:/usr/local/bin
mode=$(sed -n 's/.*hull=\([^ ]*\).*/\1/p' /proc/cmdline 2>/dev/null)
if [ -z "$mode" ]; then # busybox is all there is
    mount -t proc none /proc; mount -t sysfs none /sys; mount -t tmpfs none /tmp
    mode=$(sed -n 's/.*hull=\([^ ]*\).*/\1/p' /proc/cmdline)
fi
case $mode in
v2) mount -t cgroup2 none /sys/fs/cgroup ;;
v1)
    mount -t tmpfs -o mode=755 none /sys/fs/cgroup
    for c in $(sed -n 's/^\([a-z_]*\)\t.*\t1$/\1/p' /proc/cgroups); do
        mkdir /sys/fs/cgroup/$c && mount -t cgroup -o $c none /sys/fs/cgroup/$c || rmdir /sys/fs/cgroup/$c
    done ;;
esac
export HULL_ROOT=/var/hull
echo # after whatever the line held

is() { # name, expected, got
    if [ "$2" = "$3" ]; then echo "ok $1"; else echo "FAIL $1: expected '$2', got" $3; fi
}
has() { # name, part, got
    case "$3" in *"$2"*) echo "ok $1";; *) echo "FAIL $1: '$2' is not in" $3;; esac
}
in_bb() { hull run --rm "$@" 2>&1; }

mkdir -p /tmp/r/bin && cp /bin/busybox /tmp/r/bin/
for n in sh cat echo true tail id head mknod mount grep sleep ls sed chroot stat touch dd; do ln -s busybox /tmp/r/bin/$n; done
tar -C /tmp/r -cf /tmp/bb.tar .
hull import -c 'ENV PATH=/bin' /tmp/bb.tar bb >/dev/null 2>/tmp/err || echo "FAIL import: $(cat /tmp/err)"
hull load -i /many.tar >/dev/null 2>/tmp/err || echo "FAIL load: $(cat /tmp/err)"

# Root and ids.
has "hello" "overlay of 3 layers" "$(hull run --rm hello 2>&1)"
has "own user namespace" " 65536" "$(in_bb bb cat /proc/self/uid_map)"
is "files of the image have their numbers" "0 0" "$(in_bb bb stat -c '%u %g' /bin/busybox)"
is "root writes, and only above" "x 0" "$(in_bb bb sh -c 'echo x > /bin/y; cat /bin/y; stat -c %u /bin/y' | tr '\n' ' ' | sed 's/ $//')"
is "150 layers are one tree" "1 149" "$(in_bb many:1 sh -c 'cat /f1 /f149' | tr '\n' ' ' | sed 's/ $//')"
is "a read-only root" "refused" "$(in_bb --read-only bb sh -c '2>/dev/null echo x > /y || echo refused' | tail -n 1)"
is "a tmpfs in it" "x tmpfs" "$(in_bb --read-only --tmpfs /t bb sh -c 'echo x > /t/y; cat /t/y; stat -f -c %T /t' | tr '\n' ' ' | sed 's/ $//')"
mkdir -p /var/shared
is "a bind keeps its owners' numbers" "0" "$(in_bb -v /var/shared:/s bb sh -c 'touch /s/f; stat -c %u /s/f')"
is "outside, too" "0" "$(stat -c %u /var/shared/f)"
is "/dev belongs to the container's root" "0 0" "$(in_bb bb stat -c '%u %g' /dev /dev/null | sort -u)"
is "and works" "1" "$(in_bb bb sh -c 'head -c 1 /dev/zero > /dev/null && head -c 1 /dev/urandom | grep -c ""')"

# What is kept away.
is "pid 1" "1" "$(in_bb bb sh -c 'echo $$')"
is "the system calls are filtered" "Seccomp: 2" "$(in_bb bb grep '^Seccomp:' /proc/self/status | tr '\t' ' ')"
has "nothing can be mounted" "denied" "$(in_bb bb mount -t tmpfs none /bin)"
has "the kernel's settings are read-only" "Read-only" "$(in_bb bb sh -c 'echo 1 > /proc/sys/vm/drop_caches')"
is "what tells of the host is masked" "0" "$(in_bb bb sh -c 'cat /proc/keys /proc/kcore 2>/dev/null | head -c 10 | busybox wc -c')"
has "a device no rule allows cannot be opened" "not permitted" "$(in_bb --userns host bb sh -c 'mknod /k c 1 11 && echo x > /k')"
has "a device a rule allows can" "opened" "$(in_bb --userns host --device-cgroup-rule 'c 1:11 rwm' bb sh -c 'mknod /k c 1 11 && echo x > /k && echo opened')"
has "a device that was given is there" "crw" "$(in_bb --device /dev/kmsg bb ls -l /dev/kmsg)"

# Limits.
if [ "$mode" != v1 ]; then
    is "memory.max" 33554432 "$(in_bb -m 32m bb cat /sys/fs/cgroup/memory.max)"
    is "memory.swap.max" 33554432 "$(in_bb -m 32m --memory-swap 64m bb cat /sys/fs/cgroup/memory.swap.max)"
    is "memory.low" 16777216 "$(in_bb -m 32m --memory-reservation 16m bb cat /sys/fs/cgroup/memory.low)"
    is "pids.max" 20 "$(in_bb --pids-limit 20 bb cat /sys/fs/cgroup/pids.max)"
    is "cpu.max" "50000 100000" "$(in_bb --cpus 0.5 bb cat /sys/fs/cgroup/cpu.max)"
    is "cpu.weight" 100 "$(in_bb --cpu-shares 1024 bb cat /sys/fs/cgroup/cpu.weight)"
    is "own cgroup namespace" "0::/" "$(in_bb bb cat /proc/self/cgroup)"
    is "cpuset" 1 "$(in_bb --cpuset-cpus 1 bb cat /sys/fs/cgroup/cpuset.cpus)"
    has "swappiness is refused" "error:" "$(in_bb -m 32m --memory-swappiness 10 bb true)"
else
    is "memory.limit_in_bytes" 33554432 "$(in_bb -m 32m bb cat /sys/fs/cgroup/memory/memory.limit_in_bytes)"
    is "memory.soft_limit_in_bytes" 16777216 "$(in_bb -m 32m --memory-reservation 16m bb cat /sys/fs/cgroup/memory/memory.soft_limit_in_bytes)"
    is "pids.max" 20 "$(in_bb --pids-limit 20 bb cat /sys/fs/cgroup/pids/pids.max)"
    is "cpu.cfs_quota_us" 50000 "$(in_bb --cpus 0.5 bb cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us)"
    is "cpu.shares" 512 "$(in_bb --cpu-shares 512 bb cat /sys/fs/cgroup/cpu/cpu.shares)"
    is "cpuset" 1 "$(in_bb --cpuset-cpus 1 bb cat /sys/fs/cgroup/cpuset/cpuset.cpus)"
fi
hull run --name eater -m 16m --memory-swap 16m bb tail /dev/zero >/dev/null 2>&1
is "out of memory kills" "137" "$?"
is "and is told" "true" "$(hull inspect -f '{{.State.OOMKilled}}' eater)"
hull rm eater >/dev/null
has "a fork bomb stops" "fork" "$(in_bb --pids-limit 8 bb sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1 & done')"

# A store on a file system that may not map ids (tmpfs, before Linux 6.3): told, and it runs.
said=$(HULL_ROOT=/run/elsewhere hull run --rm hello 2>&1)
has "a store on tmpfs" "overlay of" "$said"
case $(uname -r) in
6.1.*) has "what was done instead of mapping ids is said" "shares the host's user namespace instead" "$said" ;;
*) is "tmpfs maps ids here" "" "$(echo "$said" | grep 'shares the host')" ;;
esac

# The end of the one that started it is the end of the container, and nothing is left.
hull run --rm bb sleep 1000 & victim=$!
for i in 0 1 2 3 4 5 6 7 8 9; do [ -n "$(hull ps -q)" ] && break; sleep 1; done
kill -9 $victim; wait $victim 2>/dev/null
is "the next one runs" "next" "$(in_bb bb echo next)"
for i in 0 1 2 3 4 5 6 7 8 9; do pidof sleep >/dev/null || break; sleep 1; done
is "a killed run takes its container along" "" "$(pidof sleep)"
is "the store is clean" "nothing left to do" "$(hull system check)"
is "nothing is left of the groups" "" "$(find /sys/fs/cgroup -type d -path '*hull*/*' 2>/dev/null | grep -v 'hull$')"

if [ "$mode" = systemd ]; then . /systemd.sh; fi
sync
echo DONE
poweroff -f
