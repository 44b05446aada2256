# Runs a program of a container over other files than it has, unseen by it. Root's, on the host:
#   sh -c "inside=INSIDE; ENTER" certroll PID STARTED USER:GROUP|- PRIVATE-NET WORDS... -- PROGRAM ARG...
# The host's own tools do the work, so the container may have none: the root directory stays the host's, the working
# directory is the container's root in a private copy of its mounts.
pid=$1 started=$2 as=$3 net=$4; shift 4
gone() { echo "certroll: the container was stopped or restarted meanwhile" >&2; exit 122; }
start_of() { read -r v <"/proc/$1/stat" || return 1; set -- ${v##*")"}; v=${20}; }
start_of "$pid" 2>/dev/null && [ "$v" = "$started" ] || gone
users=-; [ "/proc/$pid/ns/user" -ef /proc/self/ns/user ] || users=/proc/$pid/ns/user
network=-n; [ "$net" = 0 ] || network=-p
[ -r "/proc/$pid/environ" ] || gone
exec 7<"/proc/$pid/environ"
exec 8>&2 nsenter -t "$pid" -m -p $network --root=/ -- unshare -m --propagation unchanged -- \
/bin/sh -c "$inside" certroll "$as" "$net" "$users" "$@" 2>/dev/null
