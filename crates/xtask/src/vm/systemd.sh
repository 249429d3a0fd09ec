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

# An ordinary user, who has a systemd of its own: its scopes, by its bus.
echo 'rootless:x:4711:4711::/tmp:/bin/sh' >> /etc/passwd; echo 'rootless:x:4711:' >> /etc/group
mkdir -p /run/systemd/system/user@.service.d # pam_systemd(8), which is not here, would say where
printf '[Service]\nPAMName=\nEnvironment=XDG_RUNTIME_DIR=/run/user/%%i\n' > /run/systemd/system/user@.service.d/here.conf
systemctl daemon-reload; systemctl start user@4711.service
mkdir -p /tmp/own && cp -a /tmp/r /tmp/own/rootfs && mkdir -p /tmp/own/rootfs/proc && chown -R 4711:4711 /tmp/own && cd /tmp/own
as_user() { /usr/bin/setpriv --reuid 4711 --regid 4711 --clear-groups env XDG_RUNTIME_DIR=/run/user/4711 "$@" 2>&1; }
rootless() { as_user hull-runtime "$@"; }
rootless spec --rootless && sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"sleep", "1000"/; s/"PATH=[^"]*"/"PATH=\/bin"/
    s/"linux": {/"linux": { "resources": { "memory": { "limit": 33554432 }, "pids": { "limit": 20 } },/' config.json
own=/sys/fs/cgroup/user.slice/user-4711.slice/user@4711.service
rootless --systemd-cgroup run -d --pid-file /tmp/own/pid two </dev/null >/tmp/said
is "an ordinary user's container runs" "0 " "$? $(cat /tmp/said)"
group=$own/user.slice/hull-two.scope
has "it is in its user's scope" "${group#/sys/fs/cgroup}" "$(cat /proc/$(cat /tmp/own/pid)/cgroup)"
is "whose limits the kernel holds" "33554432 20" "$(cat $group/memory.max $group/pids.max | tr '\n' ' ' | sed 's/ $//')"
is "it can be entered, and is root there" "0 0::/" "$(rootless exec two sh -c 'id -u; cat /proc/self/cgroup' | tr '\n' ' ' | sed 's/ $//')"
is "who enters is in the scope" "2" "$(rootless exec two sh -c 'busybox sleep 9 & cat /sys/fs/cgroup/pids.current' | tail -n 1 | sed 's/[3-9]/2/')"
is "its limits change" "40" "$(rootless update --pids-limit 40 two; cat $group/pids.max)"
is "it is paused and goes on" '"paused" "running"' "$(rootless pause two; rootless state two | grep -o '"paused"') $(rootless resume two; rootless state two | grep -o '"running"')"
is "it is deleted" "" "$(rootless delete --force two)"
for i in 0 1 2 3 4 5 6 7 8 9; do [ -e $group ] || break; sleep 1; done
is "its scope is gone" gone "$([ -e $group ] || echo gone)"
# So for its engine, which is root of a user namespace.
sed -i 's/"hostID": 4711/"hostID": 0/' config.json
cat > /tmp/own/engine <<'END'
runtime() { hull-runtime --systemd-cgroup "$@"; }
runtime run -d --pid-file /tmp/own/pid four </dev/null >/tmp/own/said || cat /tmp/own/said
cat /proc/$(cat /tmp/own/pid)/cgroup; runtime exec four id -u; runtime delete --force four
END
said=$(as_user unshare --user --map-root-user --mount sh /tmp/own/engine | tr '\n' ' ')
is "its engine's container is in a scope, can be entered, and goes" \
    "0::/user.slice/user-4711.slice/user@4711.service/user.slice/hull-four.scope 0 " "$said"
sed -i 's/"hostID": 0/"hostID": 4711/' config.json
is "without a group of its own there is no limit" 1 "$(rootless run three </dev/null >/tmp/said; echo $?)"
has "and that is said" "Permission denied" "$(cat /tmp/said)"

# A sub-tree that root has handed over, cgroup-v2.rst, "Delegation".
given=/sys/fs/cgroup/given
echo '+memory +pids' > /sys/fs/cgroup/cgroup.subtree_control; mkdir -p $given/self
chown 4711 $given $given/cgroup.procs $given/cgroup.subtree_control $given/cgroup.threads $given/self $given/self/cgroup.procs
sh -c "echo 0 > $given/self/cgroup.procs; exec /usr/bin/setpriv --reuid 4711 --regid 4711 --clear-groups env XDG_RUNTIME_DIR=/run/user/4711 \
    hull-runtime run -d three" </dev/null >/tmp/said 2>&1
is "a container runs in a sub-tree that was handed over" "0 " "$? $(cat /tmp/said)"
group=$given/hull-runtime-three
is "with its limits" "33554432 20" "$(cat $group/memory.max $group/pids.max | tr '\n' ' ' | sed 's/ $//')"
is "and its process" 1 "$(grep -c . $group/cgroup.procs)"
has "who enters from elsewhere is told" "below the one that was handed over" "$(rootless exec three true)"
rootless delete --force three; rmdir $given/self $given
is "nothing is left of it" gone "$([ -e $given ] || echo gone)"
