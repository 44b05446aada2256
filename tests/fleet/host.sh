#!/bin/bash
# host.sh DIR NAME: boots one host. It runs as process 1 of the host's own
# mount, pid, uts, ipc and network namespaces, inside those of the keeper.
set -eu
dir=$1 name=$2
host=$dir/store/hosts/$name
root=$host/root

# HOST_LOWER, HOST_NICS and HOST_NEIGHBOURS (arrays), HOST_SERVICES, HOST_INIT, HOST_SSHD
. "$host/boot.env"

# systemd manages the tree of control groups below the one that it starts in, and takes that for the root.
if [ "$HOST_INIT" = systemd ] && [ -z "${FLEET_GROUP:-}" ]; then
    group=$dir/store/cgroup/$FLEET_CGROUP/$name
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
    mkdir -p "$group"
    echo 0 >"$group/cgroup.procs"
    FLEET_GROUP=$group exec unshare --cgroup bash "$0" "$@"
fi

# One cable per network card, its far end in a bridge of the keeper. A port left
# over from an earlier life goes away a moment after that life's namespace did.
for nic in "${HOST_NICS[@]}"; do
    read -r port bridge device mac address <<<"$nic"
    nsenter --net=/proc/1/ns/net ip -force -batch - 2>/dev/null <<BATCH || true
link del $port
BATCH
    nsenter --net=/proc/1/ns/net ip -batch - <<BATCH
link add $port type veth peer name $device address $mac netns $$
link set $port master $bridge up
BATCH
    ip -batch - <<BATCH
addr add $address dev $device
link set $device up
BATCH
done
ip link set lo up
printf '%s\n' "${HOST_NEIGHBOURS[@]}" | ip -batch -

hostname "$name"
mkdir -p "$root" "$host/work"
mount -t overlay overlay -o "lowerdir=$HOST_LOWER,upperdir=$host/up,workdir=$host/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755,size=64m tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755,size=1m tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm" "$root/run/lock"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"
for node in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 666 "$root/dev/${node%:*}" c 1 "${node#*:}"
done
mknod -m 666 "$root/dev/tty" c 5 0

if [ "$HOST_INIT" = systemd ]; then
    # The kernel's settings are the machine's, and no unit's business.
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"
    mount -t cgroup2 cgroup "$root/sys/fs/cgroup"
fi

# Every boot has an identity of its own, as on a machine.
cat /proc/sys/kernel/random/uuid >"$root/run/boot_id"
mount --bind "$root/run/boot_id" "$root/proc/sys/kernel/random/boot_id"

mkdir -p "$root/mnt"
cd "$root"
pivot_root . mnt
umount -l /mnt
if [ "$HOST_INIT" = systemd ]; then
    # `container` keeps it from hardware, kernel and clock; the capabilities are gone to make sure.
    exec env -i container=fleet setpriv --bounding-set=-sys_module,-sys_time,-sys_rawio,-syslog,-audit_control,-audit_read \
        /lib/systemd/systemd
fi
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
    FLEET_SERVICES="$HOST_SERVICES" FLEET_SSHD="$HOST_SSHD" bash /opt/fleet/init
