# A process of its own session that goes back when the program dies or outlives its time: also one that waits
# for input over a link that swallows packets, of which nobody is told. Nobody's word is needed: the
# journal's name decides, as it does in a recovery.

# The bootstrap's variable with this program in it.
self=${s-}

# How it looks: the program itself it reads only when it has to go back, as most never have to. `lives` is start_time.
#
#   PROGRAM PID START SECONDS FLUSH JOURNAL RUN NOTE FILES
# In FILES.due a line with other seconds, a number to tell it from the one before, and perhaps what is waited for: the
# program is told when that is late, and of a command also when its output is too much. It is told more than once: ksh93
# loses a signal that comes just before a wait. Where the end of a login ends all that it has
# started (logind), TERM comes when the program has just died: the guard is needed then.
guard_text='case ${KSH_VERSION-} in *93*) trap : HUP PIPE;; *) trap "" HUP PIPE;; esac
trap : INT TERM
set -f
s=$1 pid=$2 start=$3 left=$4 flush=$5 dir=${6%/*} tx=${6##*/j.} files=$9 told= late=
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
{ read -r v <"$files.due"; } 2>/dev/null
set -- $v
[ $# -lt 2 ] || [ "$2" = "$told" ] || told=$2 left=$1 late=${3-}
}
loud() {
[ "$late" = command ] && [ -s "$files.out" ] || return 1
set -- $(ls -ln -- "$files.out" 2>/dev/null)
[ "${5:-0}" -gt 1048576 ]
}
while known && lives; do
due
if [ $left -le 0 ] || loud; then
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
  guard_pid=
  { give_back_signals
    # Our start time ends the lock's name.
    exec $new_session sh -c "$guard_text" certroll "$self" $$ "${lock_token##*.}" $t_bodies $t_flush "$journal" "$run" "$note" "$work"
  } </dev/null >/dev/null 2>&1 3<&- &
  guard_pid=$!
}
# Files that do not come within this time do not come.
t_bodies=30
# How long the program may live from now on; with `flush`, `verdict` or `command`, after how long it is told that this is
# late.
guard_tell() { guard_told=$((guard_told+1)); { echo "$1 $guard_told ${2-}" >"$work.due"; } 2>/dev/null || :; }
guard_told=0 guard_pid=
guard_stop() { [ -z "$guard_pid" ] || kill -s USR1 $guard_pid 2>/dev/null; guard_pid=; }
guard_lives() { if [ -n "$guard_pid" ] && alive $guard_pid; then v=1; else v=0; fi; }
# It goes with the journal.
guard_is_there() { v=0; [ ! -e "$journal" ] || guard_lives; [ $v = 1 ]; }

# SECONDS: waits for $watch_pid as `watch` does -> rc, cut
guard_watch() {
  watch_cut=
  trap on_late_command USR2
  guard_tell "$1" command
  await $watch_pid
  watch_pid=
  guard_tell $t_guard
  # Ended by itself at the last moment, it was not ended here. 127: zsh has looked after it meanwhile, and knows it no more.
  case $rc in 137|127) [ -z "$watch_cut" ] || rc=$watch_cut cut=$watch_cut;; esac
}
on_late_command() {
  caught=$((caught+1))
  [ -n "$watch_pid" ] || return 0
  [ -n "$watch_cut" ] || { watch_cut=124; ! too_loud "$work.out" || watch_cut=125; }
  kill -s KILL -- "-$watch_pid" 2>/dev/null || kill -s KILL "$watch_pid" 2>/dev/null
}

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
