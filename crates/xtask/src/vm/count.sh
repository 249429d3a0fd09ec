# Runs each runtime many times on a processor whose clock counts instructions, and says the CPU time of all of its
# processes, the kernel's for them among it: `count NAME RUNS TICKS`, a tick being 10 ms.
mount() { busybox mount "$@"; }
export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin
mount -t proc none /proc; mount -t sysfs none /sys; mount -t tmpfs none /tmp; mount -t tmpfs none /run
mount -t cgroup2 none /sys/fs/cgroup
echo "+cpu +memory +pids" > /sys/fs/cgroup/cgroup.subtree_control

mkdir -p /tmp/bundle/rootfs/bin && cd /tmp/bundle && cp /bin/busybox rootfs/bin/ && ln -s busybox rootfs/bin/true
tar -C rootfs -cf /tmp/bb.tar . && mkdir rootfs/proc rootfs/sys rootfs/dev
crun spec && sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"true"/; s/"PATH=[^"]*"/"PATH=\/bin"/' config.json
export HULL_ROOT=/var/hull
hull import -c 'ENV PATH=/bin' /tmp/bb.tar bb >/dev/null

ticks() { set -- $(sed 's/.*) //' /proc/$$/stat | cut -d' ' -f14,15); echo $(($1 + $2)); }
count() { # name, runs, command
    name=$1; runs=$2; shift 2
    "$@" </dev/null >/tmp/said 2>&1 || { echo "$name fails: $(cat /tmp/said)"; return; }
    before=$(ticks)
    i=0; while [ $i -lt $runs ]; do "$@" </dev/null >/dev/null 2>&1; i=$((i + 1)); done
    echo "count $name $runs $(($(ticks) - before))"
}
echo
count hull-run 60 hull run --rm --network none bb true
hull-runtime --version >/dev/null 2>&1 && count hull-runtime-run 60 hull-runtime run one
count crun-run 60 crun run one
count runc-run 15 runc run one
sync
busybox poweroff -f
