# A process of its own session that goes back when the program dies or outlives its time: also one that waits
# for input over a link that swallows packets, of which nobody is told. Nobody's word is needed: the
# journal's name decides, as it does in a recovery.

# The bootstrap's variable with this program in it.
self=${s-}

guard_start() {
  start_time $$; guard_watched=$v guard_pid=
  { give_back_signals
    exec $new_session sh -c "$self" certroll guard $$ "$guard_watched" $t_bodies "$journal" "$run" "$note" "$work.due"
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

# PID START SECONDS JOURNAL RUN NOTE FILE; in the file a line with other seconds, a number to tell it
# from the one before, and perhaps what is waited for
guard() {
  endure HUP PIPE
  guard_main=$1 guard_watched=$2 guard_left=$3 guard_told= guard_for= journal=$4 run=$5 note=$6 guard_file=$7
  state=${journal%/*} guard_tx=${journal##*/j.} guard_pid=
  tools
  while guard_journal && start_time "$guard_main" && [ "$v" = "$guard_watched" ]; do
    first_line "$guard_file"; set -- $v
    [ $# -lt 2 ] || [ "$2" = "$guard_told" ] || guard_told=$2 guard_left=$1 guard_for=${3-}
    if [ $guard_left -le 0 ]; then
      # More than once: ksh93 loses a signal that comes just before a wait.
      if [ -n "$guard_for" ] && [ $guard_left -gt -$t_flush ]; then kill -s USR2 "$guard_main" 2>/dev/null
      else kill -s KILL "$guard_main" 2>/dev/null; fi
    fi
    sleep 1
    guard_left=$((guard_left-1))
  done
  guard_journal || exit 0
  lock $$ 600 || exit 1
  step guard_locked
  if guard_journal; then recover_one "$journal"; fi
  unlock
  exit 0
}
