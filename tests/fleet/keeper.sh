#!/bin/bash
# keeper.sh DIR: process 1 of the fleet's own pid namespace. Its network
# namespace is the controller's, its mount namespace holds the tmpfs that the
# hosts' files live in. When it ends, the kernel ends every process of the
# fleet, and with them go all mounts and namespaces: nothing can be left behind.
#
# It takes one order per line from the fifo DIR/orders: `boot NAME`, `quit`.
# With FLEET_HOLD=1 the end of its standard input is a `quit` as well, and DIR is
# removed with the fleet: the process that holds the other end may die in any way.
set -eu
dir=$1
here=$(cd "$(dirname "$0")" && pwd)

mkdir -p "$dir/store" "$dir/log"
mount -t tmpfs -o mode=755 fleet "$dir/store"
mkdir "$dir/store/hosts" "$dir/store/layers"
if [ -n "$FLEET_CGROUP" ]; then
    mkdir "$dir/store/cgroup"
    mount -t cgroup2 cgroup "$dir/store/cgroup"
fi

# br0 is the hosts' network, br1 the one behind the bastion. A host's address is
# bound to its hardware address for good on both sides, so that a cut host's
# packets vanish instead of ending in "no route to host" after a failed lookup.
ip -batch - <<BATCH
link set lo up
link add br0 address 02:c6:12:ff:ff:01 type bridge
addr add 198.18.255.1/16 dev br0
link set br0 up
link add br1 type bridge
link set br1 up
BATCH
ip -force -batch "$dir/neighbours"

rm -f "$dir/orders"
mkfifo "$dir/orders"
exec 3<>"$dir/orders"
if [ "${FLEET_HOLD:-}" = 1 ]; then
    { cat >/dev/null; echo quit >&3; } <&0 &
fi
exec </dev/null
touch "$dir/keeper.ready"

while read -r order name <&3; do
    case $order in
    boot)
        unshare --mount --uts --ipc --net --pid --fork --kill-child --propagation private \
            bash "$here/host.sh" "$dir" "$name" >>"$dir/log/$name.boot" 2>&1 3>&- &
        ;;
    quit)
        # Control groups are the one thing that the kernel does not clear away.
        if [ -n "$FLEET_CGROUP" ]; then
            kill -KILL -1
            for _ in {1..50}; do
                find "$dir/store/cgroup/$FLEET_CGROUP" -depth -type d -exec rmdir {} + 2>/dev/null && break
                sleep 0.1
            done
        fi
        if [ "${FLEET_HOLD:-}" = 1 ]; then
            umount -l "$dir/store"
            rm -rf "$dir"
        fi
        exit 0
        ;;
    esac
done
