# Waiting for the controller's word: a reader whose exit status is the word, and the guard, or a timer where there is
# none, that ends it; joined by wait, which a trap interrupts in every shell (not so read). And what signals do.

# SECONDS -> v = commit|abort|confirm|confirm_next|rollback|alive|eof|timeout|signal
verdict() {
  [ $signals = 0 ] || { v=signal; return; }
  ( while IFS= read -r verdict_word; do
      case $verdict_word in
      commit) exit 10;; abort) exit 11;; confirm) exit 12;; rollback) exit 13;; alive) exit 15;;
      confirm_next) exit 16;;
      esac
    done
    exit 14 ) <&3 >/dev/null 2>&1 &
  reader=$! verdict_timer=
  if guard_is_there; then trap on_late_verdict USR2; guard_tell "$1" verdict
  else verdict_timer_start "$1"; fi
  [ $signals = 0 ] || kill -s USR1 $reader 2>/dev/null
  await $reader; v=$rc reader=
  if [ -z "$verdict_timer" ]; then guard_tell $t_guard
  else
    kill -s USR1 $verdict_timer 2>/dev/null
    wait $verdict_timer 2>/dev/null
  fi
  [ $signals = 0 ] || v=99
  case $v in
  10) v=commit;; 11) v=abort;; 12) v=confirm;; 13) v=rollback;; 14) v=eof;; 15) v=alive;; 16) v=confirm_next;;
  99) v=signal;;
  *) v=timeout;;
  esac
}
on_late_verdict() {
  caught=$((caught+1))
  [ -z "$reader" ] || kill -s USR1 $reader 2>/dev/null
}
verdict_timer_start() {
  # One that outlives its program must not signal whoever has that number by then.
  start_time $reader; verdict_start=$v
  # By the second: ksh93 loses a signal that comes just before a wait, about once in 300 times.
  ( verdict_n=0 verdict_sleep=; trap 'kill $verdict_sleep; exit 0' USR1
    while [ $verdict_n -lt "$1" ]; do
      sleep 1 & verdict_sleep=$!; wait $verdict_sleep; verdict_n=$((verdict_n+1))
      start_time $reader; [ "$v" = "$verdict_start" ] || exit 0
    done
    kill -s USR1 $reader ) </dev/null >/dev/null 2>&1 3<&- &
  verdict_timer=$!
}

# Ends this program, and what recovers in it, after $1 seconds, unless end_within_stop comes first: not even a
# disk that does not answer may hold the lock for ever.
end_within() {
  ( end_within_n=0 end_within_sleep=; trap 'kill $end_within_sleep 2>/dev/null; exit 0' USR1
    while [ $end_within_n -lt "$1" ]; do
      sleep 1 & end_within_sleep=$!; wait $end_within_sleep; end_within_n=$((end_within_n+1))
      kill -0 "$self_pid" 2>/dev/null || exit 0
    done
    kill -s KILL "$self_pid" $$ ) </dev/null >/dev/null 2>&1 3<&- &
  end_within_timer=$!
}
end_within_stop() { kill -s USR1 $end_within_timer 2>/dev/null; }
# A subshell that is a process of its own has another.
self_pid=$$

# The end of a login may signal every process of it: those that move files must not hear it, and services
# must not inherit that they do not.
ignore_signals() { trap '' HUP INT TERM; }
trap_signals() { trap on_signal HUP INT TERM; }
on_signal() {
  signals=$((signals+1)) caught=$((caught+1))
  [ -z "$reader" ] || kill -s USR1 $reader 2>/dev/null
}
