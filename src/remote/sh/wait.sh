# Waiting for the controller's word: a reader whose exit status is the word and a timer that ends the
# reader, joined by wait, which a trap interrupts in every shell (not so read).

# SECONDS -> v = commit|abort|confirm|rollback|alive|eof|timeout|signal
verdict() {
  ( while IFS= read -r l; do
      case $l in
      commit) exit 10;; abort) exit 11;; confirm) exit 12;; rollback) exit 13;; alive) exit 15;;
      esac
    done
    exit 14 ) <&3 >/dev/null 2>&1 &
  rd=$!
  # A timer that outlives its program must not signal whoever has that number by then.
  born $rd; verdict_b=$v
  # By the second: ksh93 loses a signal that comes just before a wait, about once in 300 times.
  ( i=0 s=; trap 'kill $s; exit 0' USR1
    while [ $i -lt "$1" ]; do
      sleep 1 & s=$!; wait $s; i=$((i+1))
      born $rd; [ "$v" = "$verdict_b" ] || exit 0
    done
    kill -s USR1 $rd ) </dev/null >/dev/null 2>&1 3<&- &
  verdict_t=$!
  [ $sig = 0 ] || kill -s USR1 $rd 2>/dev/null
  wait $rd 2>/dev/null; v=$?
  rd=
  kill -s USR1 $verdict_t 2>/dev/null
  wait $verdict_t 2>/dev/null
  [ $sig = 0 ] || v=99
  case $v in
  10) v=commit;; 11) v=abort;; 12) v=confirm;; 13) v=rollback;; 14) v=eof;; 15) v=alive;; 99) v=signal;;
  *) v=timeout;;
  esac
}
onsig() { sig=$((sig+1)); [ -z "$rd" ] || kill -s USR1 $rd 2>/dev/null; }
