# A process of its own session that goes back when the program dies or outlives its time: also one that waits
# for input over a link that swallows packets, of which nobody is told. Nobody's word is needed: the
# journal's name decides, as it does in a recovery.

# The bootstrap's variable with this program in it.
self=${s-}

# How it looks: the program itself it reads only when it has to go back, as most never have to. `lives` is start_time.
#
#   PROGRAM PID START SECONDS FLUSH JOURNAL RUN NOTE FILE
# In the file a line with other seconds, a number to tell it from the one before, and perhaps what is waited for. It
# signals more than once: ksh93 loses one that comes just before a wait. Where the end of a login ends all that it has
# started (logind), TERM comes when the program has just died: the guard is needed then.
guard_text='case ${KSH_VERSION-} in *93*) trap : HUP PIPE;; *) trap "" HUP PIPE;; esac
trap : INT TERM
set -f
s=$1 pid=$2 start=$3 left=$4 flush=$5 dir=${6%/*} tx=${6##*/j.} file=$9 told= late=
lives() {
v=
if [ -e /proc/self/stat ]; then
{ read -r v <"/proc/$pid/stat"; } 2>/dev/null
while :; do case $v in *")"*) v=${v#*")"};; *) break;; esac; done
set -- $v
case ${1-} in Z|X|"") v=;; *) v=${20-};; esac
else v=$(ps -o lstart= -p "$pid" 2>/dev/null | tr -dc 0-9A-Za-z); fi
[ "$v" = "$start" ]
}
known() { [ -e "$dir/j.$tx" ] || [ -e "$dir/undo.$tx" ] || [ -e "$dir/done.$tx" ]; }
due() {
v=
{ read -r v <"$file"; } 2>/dev/null
set -- $v
[ $# -lt 2 ] || [ "$2" = "$told" ] || told=$2 left=$1 late=${3-}
}
while known && lives; do
due
if [ $left -le 0 ]; then
if [ -n "$late" ] && [ $left -gt -$flush ]; then kill -s USR2 $pid 2>/dev/null
else kill -s KILL $pid 2>/dev/null; fi
fi
sleep 1
left=$((left-1))
done
known || exit 0
set -- guard "$6" "$7" "$8"
eval "$s"'
guard_start() {
  start_time $$; guard_watched=$v guard_pid=
  { give_back_signals
    exec $new_session sh -c "$guard_text" certroll "$self" $$ "$guard_watched" $t_bodies $t_flush "$journal" "$run" "$note" "$work.due"
  } </dev/null >/dev/null 2>&1 3<&- &
  guard_pid=$!
}
# Files that do not come within this time do not come.
t_bodies=30
# How long the program may live from now on; with `flush` or `verdict`, after how long it is told that this is late.
guard_tell() { guard_told=$((guard_told+1)); { echo "$1 $guard_told ${2-}" >"$work.due"; } 2>/dev/null || :; }
guard_told=0 guard_pid=
guard_stop() { [ -z "$guard_pid" ] || kill -s USR1 $guard_pid 2>/dev/null; guard_pid=; }
guard_lives() { v=; [ -z "$guard_pid" ] || start_time $guard_pid; if [ -n "$v" ]; then v=1; else v=0; fi; }

# -> journal, under the name that it has now: 1 when there is none
guard_journal() {
  for journal in "$state/j.$guard_tx" "$state/undo.$guard_tx" "$state/done.$guard_tx"; do [ ! -e "$journal" ] || return 0; done
  return 1
}

# The program has ended, or was ended because it was late, and its journal is there: JOURNAL RUN NOTE
guard() {
  endure HUP PIPE
  journal=$1 run=$2 note=$3
  state=${journal%/*} guard_tx=${journal##*/j.} guard_pid=
  tools
  lock $$ 600 || exit 1
  step guard_locked
  if guard_journal; then recover_one "$journal"; fi
  unlock
  exit 0
}
