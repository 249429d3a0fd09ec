# What is tried under systemd as pid 1 besides: the runtime's groups are systemd's own scopes.
is "systemd is pid 1" systemd "$(cat /proc/1/comm)"
mkdir -p /tmp/bundle && cd /tmp/bundle && cp -a /tmp/r rootfs && mkdir -p rootfs/proc rootfs/sys rootfs/dev
crun spec && sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"sleep", "1000"/; s/"PATH=[^"]*"/"PATH=\/bin"/
    s/"linux": {/"linux": { "cgroupsPath": "system.slice:hull:one",/; s/"resources": {/"resources": { "memory": { "limit": 33554432 },/' config.json
runtime() { hull-runtime --systemd-cgroup "$@" 2>&1; }
of_scope() { systemctl show -p "$1" --value hull-one.scope 2>&1; }

# Into a file: the container keeps what it is given, and a pipe would never end.
runtime create --pid-file /tmp/pid one </dev/null >/tmp/said
is "a container is created" 0 $?
is "its scope is active" active "$(of_scope ActiveState)"
has "it is in its scope" "/system.slice/hull-one.scope" "$(cat /proc/$(cat /tmp/pid)/cgroup)"
is "systemd knows the limit" 33554432 "$(of_scope MemoryMax)"
is "the kernel holds it" 33554432 "$(cat /sys/fs/cgroup/system.slice/hull-one.scope/memory.max)"
is "it starts" "" "$(runtime start one)"
has "it runs" '"running"' "$(runtime state one | tr -d ' ')"
is "it is deleted" "" "$(runtime delete --force one)"
is "its scope is gone" inactive "$(of_scope ActiveState)"
