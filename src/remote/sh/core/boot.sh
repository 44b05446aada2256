# On request the next boot settles the transaction as well, before services start: a program beside the journal
# and a unit that runs it once. Written before the first rename, gone before the journal; either without the
# other does nothing. $units is the directory for units, empty when nobody asked.

unit_name() { unit=$units/certroll-$tx.service; unit_wish=$units/sysinit.target.wants/${unit##*/}; }

# In front of every service, whatever its name, and behind the local file systems. No service needs it, and it has
# 60 s: a host that cannot be settled boots all the same.
boot_guard() {
  [ -n "$units" ] || return 0
  case $state$run$units in *[!A-Za-z0-9/._-]*) fail commit the_boot_guard_takes_plain_paths_only;; esac
  unit_name
  { printf '%s\n' "$self" >"$state/boot.$tx"; } 2>"$work.err" || { unwritten "$state"; fail commit cannot_write_the_boot_guard err; }
  step boot_program_written
  # Units are no secrets: systemd complains of those that others cannot read.
  umask 022
  { echo "[Unit]
Description=certroll: settles the transaction $tx before services start
DefaultDependencies=no
ConditionPathExists=$state/boot.$tx
After=local-fs.target
Before=sysinit.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
ExecStart=/bin/sh $state/boot.$tx boot $run $units
TimeoutStartSec=60
TimeoutStopSec=5" >"$unit"; } 2>"$work.err" || { unwritten "$units"; fail commit cannot_write_the_boot_guard err; }
  step boot_unit_written
  [ -d "${unit_wish%/*}" ] || mkdir -- "${unit_wish%/*}" 2>"$work.err" || fail commit cannot_write_the_boot_guard err
  step boot_wants_made
  umask 077
  ln -s "../${unit##*/}" "$unit_wish" 2>"$work.err" || fail commit cannot_write_the_boot_guard err
  step boot_unit_wanted
}

boot_guard_off() {
  [ -n "$units" ] || return 0
  unit_name
  rm -f -- "$unit_wish" "$unit" "$state/boot.$tx"
  step boot_guard_removed
  rmdir -- "${unit_wish%/*}" 2>/dev/null
  step boot_wants_removed
}

# Those whose journal never got to the disk, or that came back when their removal did not get there.
boot_orphans() {
  boot_units=${units:-/etc/systemd/system}
  set +f; set -- "$state"/boot.* "$boot_units"/certroll-*.service; set -f
  for boot_entry; do
    [ -f "$boot_entry" ] && [ -O "$boot_entry" ] || continue
    case $boot_entry in *.service) boot_ours "$boot_entry" || continue;; esac
    boot_entry=${boot_entry##*/}; boot_entry=${boot_entry#boot.}; boot_entry=${boot_entry#certroll-}; boot_entry=${boot_entry%.service}
    for boot_kind in j undo done conflict; do [ ! -e "$state/$boot_kind.$boot_entry" ] || continue 2; done
    ( tx=$boot_entry units=$boot_units; boot_guard_off )
  done
}

# Whether a unit is for this directory of journals.
boot_ours() {
  IFS=$nl; set -- $(cat "$1"); IFS=$ifs
  for line; do
    case $line in "ConditionPathExists=$state/boot."*) return 0;; esac
  done
  return 1
}

# What the unit runs. RUN UNITS
boot() {
  run=$1 units=$2 state=${0%/*} tx=${0##*/boot.}
  tools
  lock $$ 0 || exit 0
  step boot_locked
  for boot_entry in "$state/j.$tx" "$state/undo.$tx" "$state/done.$tx"; do
    [ -f "$boot_entry" ] || continue
    if journal_read "$boot_entry" && ! boot_reaches; then
      echo "certroll: not all directories of transaction $tx are there yet; the next contact settles it"
      unlock
      exit 0
    fi
    booting=1
    recover_one "$boot_entry" >/dev/null
    step boot_settled
    echo "certroll: transaction $tx, which the end of the last boot interrupted, is settled"
    [ ! -e "$state/conflict.$tx" ] || echo "certroll: but somebody else had changed a file; the next contact tells which"
    break
  done
  units=$2
  boot_guard_off
  unlock
  exit 0
}
booting=

# Whether its files are there, and not on a file system that comes later.
boot_reaches() {
  i=0
  while [ $i -lt $n_files ]; do
    kept_in $i
    if [ ! -d "$v" ]; then
      get file_live $i
      # Of what is gone nothing is there once that is confirmed.
      [ -e "$v" ] || { is_gone && [ -e "$state/done.$tx" ]; } || return 1
    fi
    i=$((i+1))
  done
}
