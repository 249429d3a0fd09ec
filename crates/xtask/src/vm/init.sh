#!/bin/busybox sh
# The initramfs: modules, then either Debian from the disk, or busybox on a tmpfs with the disk for its store.
/bin/busybox --install -s /bin
mount -t proc none /proc; mount -t devtmpfs none /dev
for module in /modules/*.ko; do insmod $module 2>/dev/null; done
mode=$(sed -n 's/.*hull=\([^ ]*\).*/\1/p' /proc/cmdline)
case $mode in
systemd | runtime | life | engines | count)
    mount -t ext4 /dev/vda /new
    cp /bin/hull /new/usr/local/bin/; ln -s hull /new/usr/local/bin/hull-runtime
    cp /checks.sh /systemd.sh /count.sh /many.tar /new/
    if [ -d /tests ]; then # they find hull where it was built
        cp -a /tests /new/; cp /tests.sh /new/checks.sh
        hull=$(cat /hull-path); mkdir -p /new/${hull%/*}; ln -s /usr/local/bin/hull /new/$hull
    fi
    [ "$mode" = count ] && set /bin/busybox sh /count.sh || set /sbin/init ;;
*)
    mount -t tmpfs none /new
    mkdir -p /new/proc /new/sys /new/dev /new/tmp /new/var /new/run /new/etc
    cp -a /bin /checks.sh /many.tar /new/
    ln -s hull /new/bin/hull-runtime
    mount -t ext4 /dev/vda /new/var
    set /bin/sh /checks.sh ;;
esac
umount /proc
mount -o move /dev /new/dev
exec switch_root /new "$@"
