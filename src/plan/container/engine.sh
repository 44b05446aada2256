# After `engine() { … }` and `name=…`, what is told to a container by its engine or by a signal. Exit codes of its own:
# 120 a file is another one in there, 122 it does not run, 123 the engine failed.
inspected() {
v=$(engine container inspect -f '@c {{.State.Running}} {{.State.Paused}} {{.State.Pid}}' "$name" 2>&1) || {
case $v in
*"o such container"*|*"o container with name or ID"*) echo "certroll: there is no container $name"; exit 122;;
esac
printf '%s\n' "$v"; echo "certroll: the engine failed"; exit 123
}
set -- ${v##*@c }
pid=$3
case $1:$2 in
*:true) echo "certroll: the container $name is paused"; exit 122;;
true:*) ;;
*) echo "certroll: the container $name does not run"; exit 122;;
esac
}
# PID STARTED: its first process is still the one that was looked at; else the engine is asked.
known() {
read -r v <"/proc/$1/stat" || v=
pid=$1 started=$2
set -- ${v##*")"}
[ -n "$started" ] && [ "${20-}" = "$started" ] || inspected
} 2>/dev/null
# What a container that was stopped or paused meanwhile answers is for podman a failure, and for docker like a refusal.
inside() {
engine exec "$name" "$@"; rc=$?
case $rc in
0) return 0;;
126|127) echo "certroll: the container $name has no program $1"; exit $rc;;
esac
inspected
case $rc in 125|255) echo "certroll: the engine failed"; exit 123;; esac
exit $rc
}
signal() { kill -s "$1" "$pid" || { echo "certroll: its first process, $pid, cannot be signalled"; exit 122; }; }
restart() {
engine restart -t 10 "$name" || { rc=$?; echo "certroll: the engine failed"; exit 123; }
# One that cannot start ends at once, and the engine is content all the same.
sleep 1
inspected
}
sum() { sha256sum <"$1" 2>/dev/null || openssl dgst -sha256 -r <"$1" 2>/dev/null; }
# FILE AT: what is live on the host must be what the container sees.
sees() {
[ -e "$1" ] && [ -e "/proc/$pid/root/." ] || return 0
[ "$1" -ef "/proc/$pid/root$2" ] && return 0
v=$(sum "$1"); [ -n "$v" ] && [ "$v" = "$(sum "/proc/$pid/root$2")" ] && return 0
echo "certroll: the container $name does not see the file $1 that is live on the host: its $2 is another one"
unseen=1
}
seen() { [ -z "$unseen" ] || exit 120; }
unseen=
