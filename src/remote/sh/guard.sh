# A process of its own session that goes back when the program dies or outlives its time: also one that waits
# for input over a link that swallows packets, of which nobody is told. Nobody's word is needed: the
# journal's name decides, as it does in a recovery.

# The bootstrap's variable with this program in it.
self=${s-}

guard_start() {
  born $$; guard_born=$v gpid=
  $own sh -c "$self" certroll guard $$ "$guard_born" $t_bodies "$J" "$run" "$note" "$W.due" </dev/null >/dev/null 2>&1 3<&- &
  gpid=$!
}
# Files that do not come within this time do not come.
t_bodies=30
# How long the program may live from now on.
guard_tell() { guard_n=$((guard_n+1)); { echo "$1 $guard_n" >"$W.due"; } 2>/dev/null || :; }
guard_n=0
guard_stop() { [ -z "${gpid-}" ] || kill -s USR1 $gpid 2>/dev/null; gpid=; }
guard_lives() { born "${gpid:-none}"; if [ -n "$v" ]; then v=1; else v=0; fi; }

# -> J, under the name that it has now: 1 when there is none
guard_journal() {
  for J in "$state/j.$guard_tx" "$state/undo.$guard_tx" "$state/done.$guard_tx"; do [ ! -e "$J" ] || return 0; done
  return 1
}

# PID BORN SECONDS JOURNAL RUN NOTE FILE; in the file a line with other seconds, and a number to tell it
# from the one before
guard() {
  # Caught and not ignored: a service that the way back starts would inherit that.
  trap : HUP
  guard_left=$3 guard_n= J=$4 run=$5 note=$6 guard_file=$7
  state=${J%/*} guard_tx=${J##*/j.}
  tools
  while guard_journal && born "$1" && [ "$v" = "$2" ]; do
    n= k=
    { read -r n k <"$guard_file"; } 2>/dev/null || :
    [ -z "$k" ] || [ "$k" = "$guard_n" ] || guard_n=$k guard_left=$n
    if [ $guard_left -le 0 ]; then kill -s KILL "$1" 2>/dev/null; fi
    sleep 1
    guard_left=$((guard_left-1))
  done
  guard_journal || exit 0
  lock $$ 600 || exit 1
  step guard_locked
  if guard_journal; then recover_one "$J"; fi
  unlock
  exit 0
}
