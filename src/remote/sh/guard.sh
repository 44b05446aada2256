# A process of its own session that goes back when the program dies or outlives its time. Nobody's
# word is needed: the journal's name decides.

# The bootstrap's variable with this program in it.
self=${s-}

guard_start() {
  born $$; guard_born=$v gpid=
  $own sh -c "$self" certroll guard $$ "$guard_born" "$t_guard" "$J" "$run" "$note" </dev/null >/dev/null 2>&1 3<&- &
  gpid=$!
}
guard_stop() { [ -z "${gpid-}" ] || kill -s USR1 $gpid 2>/dev/null; gpid=; }
guard_lives() { born "${gpid:-none}"; if [ -n "$v" ]; then v=1; else v=0; fi; }

# PID BORN SECONDS JOURNAL RUN NOTE
guard() {
  # Caught and not ignored: a service that the way back starts would inherit that.
  trap : HUP
  guard_left=$3 J=$4 run=$5 note=$6
  state=${J%/*}
  tools
  while [ -e "$J" ] && born "$1" && [ "$v" = "$2" ]; do
    if [ $guard_left -le 0 ]; then kill -s KILL "$1" 2>/dev/null; fi
    sleep 1
    guard_left=$((guard_left-1))
  done
  [ -e "$J" ] || exit 0
  lock $$ 600 || exit 1
  step guard_locked
  if [ -e "$J" ] && journal_read "$J" && journal_claim; then back; fi
  unlock
  exit 0
}
