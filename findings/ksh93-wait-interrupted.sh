#!/bin/sh
# ksh93 93u+m 1.0.4 (Debian 12): when a signal with a trap interrupts `wait PID`, its exit status is 1, whichever signal it was.
#
# Expected: above 128, as POSIX says for `wait` (and 128 + signal, as dash, bash, BusyBox and mksh do it), so that it can be told from
# the exit status of the process waited for.
# It matters where a host's `sh` is ksh93, and a script has a timer or a guard that sends signals: "1" is also what a failed check says.
# Such a script must count its traps, and wait again when one ran; the status of the process itself is not lost.
set -eu
VERSION=1.0.4-3
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T"
apt-get download -q "ksh93u+m=$VERSION" >download.log 2>&1 || { cat download.log; exit 2; }
dpkg-deb -x ksh93u+m_*.deb root
ksh=$T/root/bin/ksh93
[ -x "$ksh" ] || ksh=$T/root/usr/bin/ksh93
[ -x "$ksh" ] || { echo "no ksh93 in the package"; exit 2; }

cat >interrupted.sh <<'END_OF_SCRIPT'
trap 'caught=yes' "$1"
caught=no
(sleep 4; exit 9) & child=$!
(sleep 1; kill -s "$1" $$) &
wait $child; first=$?
interrupted=$caught
wait $child; second=$?
echo "trap ran: $interrupted, wait: $first, wait again: $second"
END_OF_SCRIPT

"$ksh" --version 2>&1 || true
for signal in USR1 TERM HUP; do
  echo "sh,    $signal: $(sh interrupted.sh $signal)"
  seen=$("$ksh" interrupted.sh $signal)
  [ "$seen" = 'trap ran: yes, wait: 1, wait again: 9' ] || { echo "CHANGED: ksh93, $signal: $seen"; exit 1; }
  echo "ksh93, $signal: $seen"
done
