# In the private copy of the mounts: USER:GROUP|- PRIVATE-NET USER-NAMESPACE|- WORDS... -- PROGRAM ARG...
# `bind FROM AT` shows a file of the host, `junk AT` garbage, `over DIRECTORY AT` a copy of a directory, to which
# `put FROM NAME` adds. AT is an absolute path in the container without links.
exec 2>&8 8>&-
as=$1 net=$2 users=$3; shift 3
no() { echo "certroll: nothing can be mounted in a copy of the container's mounts" >&2; exit 121; }
show() {
mount -c --bind "proc/$n" ".$1" 2>/dev/null || { umount -c ".$1" 2>/dev/null && mount -c --bind "proc/$n" ".$1" 2>/dev/null; } || no
}
mount -c --make-rprivate . 2>/dev/null || no
n=0
if [ "$1" != -- ]; then
# Every container has its own /proc, which nobody in there can replace; it is back before the program runs.
mount -c -t tmpfs -o mode=755 certroll proc 2>/dev/null || no
while [ "$1" != -- ]; do
n=$((n+1))
case $1 in
bind) cp -p -- "$2" "proc/$n" || no; show "$3"; shift 3;;
junk) echo garbage >"proc/$n" && chmod 644 "proc/$n" || no; show "$2"; shift 2;;
over) last=$n; mkdir "proc/$n" && cp -pR -- "$2/." "proc/$n/" && rm -rf "proc/$n"/.certroll* || no; show "$3"; shift 3;;
put) cp -p -- "$2" "proc/$last/$3" || no; shift 3;;
esac
done
umount -c -l proc 2>/dev/null || no
fi
shift
in_users=; [ "$users" = - ] || in_users="$(command -v nsenter) --user=$users --"
in_network=; [ "$net" = 0 ] || in_network="$(command -v unshare) -n --"
# With the rights of a program that the engine started, not with all of root's over the host.
limits=; [ ! -x /usr/bin/setpriv ] || limits="/usr/bin/setpriv --no-new-privs --bounding-set=-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+net_bind_service,+sys_chroot"
enter=$(command -v chroot)
[ "$as" = - ] || enter="$enter --userspec=+${as%:*}:+${as#*:} --groups="
# Its environment, but for what would steer the host's own programs, or this shell, on the way, and for what HAProxy's
# master tells itself: a check that is told to wait finds no listener.
IFS='
'
for v in $(tr '\000\n' '\n\001' <&7); do
case ${v%%=*} in
*[!A-Za-z0-9_]*|[0-9]*|''|LD_*|GLIBC_*|GCONV_PATH|GETCONF_DIR|HOSTALIASES|LOCALDOMAIN|LOCPATH|MALLOC_*|NIS_PATH|NLSPATH|RESOLV_HOST_CONF|RES_OPTIONS|TMPDIR|TZDIR) continue;;
HAPROXY_MWORKER_*|IFS|PPID|UID|EUID|OPTIND|SHELLOPTS|BASH*|ENV|POSIXLY_CORRECT) continue;;
esac
# shellcheck disable=SC2163
export "$v"
done
IFS=' '
exec 7<&-
exec $in_users $in_network $limits $enter . "$@"
