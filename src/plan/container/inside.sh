# In the private copy of the mounts: USER:GROUP|- PRIVATE-NET USER-NAMESPACE|- WORDS... -- PROGRAM ARG...
# `bind FROM AT` shows a file of the host, `junk AT` garbage, `over DIRECTORY AT` a copy of a directory, to which
# `put FROM NAME` adds. AT is an absolute path in the container without links.
# A file of the host lies in no mount of this copy, so it is copied first; but one that is staged in a directory that the
# container has mounted is there already.
exec 2>&8 8>&-
as=$1 net=$2 users=$3; shift 3
no() { echo "certroll: nothing can be mounted in a copy of the container's mounts" >&2; exit 121; }
show() { # FROM AT
mount -c --bind "$1" ".$2" 2>/dev/null || { umount -c ".$2" 2>/dev/null && mount -c --bind "$1" ".$2" 2>/dev/null; } || no
}
# Every container has its own /proc, which nobody in there can replace; it is back before the program runs.
room=
room() { [ -n "$room" ] || mount -c -t tmpfs -o mode=755 certroll proc 2>/dev/null || no; room=1 n=$((n+1)); }
mount -c --make-rprivate . 2>/dev/null || no
n=0
while [ "$1" != -- ]; do
case $1 in
bind)
stage=${2%/*}; stage=.${3%/*}/${stage##*/}/${2##*/}
if [ "$stage" -ef "$2" ]; then show "$stage" "$3"
else room; cp -p -- "$2" "proc/$n" || no; show "proc/$n" "$3"; fi
shift 3;;
junk) room; echo garbage >"proc/$n" && chmod 644 "proc/$n" || no; show "proc/$n" "$2"; shift 2;;
over) room; last=$n; mkdir "proc/$n" && cp -pR -- "$2/." "proc/$n/" && rm -rf "proc/$n"/.certroll* || no; show "proc/$n" "$3"; shift 3;;
put) cp -p -- "$2" "proc/$last/$3" || no; shift 3;;
esac
done
[ -z "$room" ] || umount -c -l proc 2>/dev/null || no
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
