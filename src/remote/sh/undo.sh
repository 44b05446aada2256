# The way back. Idempotent and without a counter: what has to be done follows from which names
# exist, so it may itself be interrupted anywhere.

# -> conflicts, cf_N, touched (whether a service may have seen the new files), restored (whether that is on disk).
undo() {
  conflicts=0 touched=0 restored=1 i=0
  [ $nf -gt 0 ] || touched=1
  set --
  while [ $i -lt $nf ]; do
    put cf $i 0
    get n $i; N=$v; new_in $i
    [ $armed = 0 ] || [ -e "$v/$N" ] || touched=1
    i=$((i+1))
  done
  i=0
  while [ $i -lt $nd ]; do get d $i; set -- "$@" "$v/.certroll-$tx.new"; i=$((i+1)); done
  # First, so that no straggler of the switch can still find them.
  [ $# = 0 ] || rm -rf -- "$@"
  step new_removed
  [ $armed = 1 ] || return 0
  live_sums
  j=0
  while [ $j -lt $nd ]; do undo_directory; j=$((j+1)); done
  # An earlier attempt may have removed a directory that was made.
  i=0; set --
  while [ $i -lt $nd ]; do get d $i; [ ! -d "${v:-/}" ] || set -- "$@" "${v:-/}"; i=$((i+1)); done
  [ $# = 0 ] || flush "$@" 2>/dev/null || restored=0
  step undone
}

undo_directory() {
  get d $j; D=$v
  back= gone= added=
  files_of $j
  while [ $i -lt $end ]; do undo_decide; i=$((i+1)); done
  if [ -n "$back" ]; then
    set --
    for i in $back; do
      get n $i; T=$D/.certroll-$tx/$v; get hush $i
      if [ "$v" = 1 ]; then get live $i; slip "$T" "$v"; else set -- "$@" "$T"; fi
    done
    [ $# = 0 ] || mv -f -- "$@" "$D/" 2>/dev/null
    step restored
    for i in $back; do get n $i; [ ! -e "$D/.certroll-$tx/$v" ] || conflict $i; done
  fi
  if [ -n "$gone" ]; then
    # By a rename into the stage, which no straggler can make once that is gone: a removal could meet what
    # somebody puts there next.
    set --; for i in $gone; do get live $i; set -- "$@" "$v"; done
    mv -f -- "$@" "$D/.certroll-$tx/" 2>/dev/null
    step taken_away
    for i in $gone; do get live $i; [ ! -e "$v" ] || conflict $i; done
  fi
  # No generation may have what was not there before.
  if [ -n "$added" ]; then
    set --; for i in $added; do kept_in $i; T=$v; get n $i; set -- "$@" "$T/$v"; done
    rm -f -- "$@"
    step removed
  fi
}
conflict() { put cf "$1" 1; conflicts=$((conflicts+1)); }

# File $i: goes back, goes away, is left alone, or was changed by somebody else.
undo_decide() {
  get n $i; N=$v; get live $i; F=$v; kept_in $i; T=$v/$N
  get before $i; was=$v; get after $i; new=$v; get sum $i; now=$v
  if [ "$was" = absent ]; then
    added="$added $i"
    if [ "$now" = "$new" ]; then gone="$gone $i"
    elif [ "$now" != absent ] || [ -e "$F" ]; then conflict $i; fi
  elif [ -e "$T" ]; then
    if [ "$F" -ef "$T" ]; then :
    elif [ "$now" = "$new" ]; then back="$back $i"
    elif [ "$now" = absent ] && [ ! -e "$F" ]; then back="$back $i"
    elif [ "$now" = "$was" ]; then :
    else conflict $i; fi
  elif [ "$now" != "$was" ]; then conflict $i; fi
}

# Removes stages and created directories, then the journal.
sweep() {
  i=0; set --
  while [ $i -lt $nd ]; do get d $i; set -- "$@" "$v/.certroll-$tx" "$v/.certroll-$tx.new"; i=$((i+1)); done
  [ $# = 0 ] || rm -rf -- "$@"
  step swept
  i=$nm
  while [ $i -gt 0 ]; do
    i=$((i-1)); get md $i
    [ ! -d "$v" ] || rmdir -- "$v" 2>/dev/null
    step directory_removed
  done
  boot_guard_off
  rm -f -- "$J"
  step journal_removed
  flush "$state" 2>/dev/null
  J=
}

# A command, and once more if a signal ended it: that was meant for all processes of the login.
insist() {
  told_run "$1"
  step told
  [ $rc -gt 128 ] || return 0
  told_run "$1"
}

# Services load the old files again; one that was up and is down is started. Worst exit code in rrc.
services_back() {
  rrc=- s=0
  while [ $s -lt $ns ]; do
    back_rc=- back_rec=- out= up=-
    get srel $s
    if [ -n "$v" ]; then
      insist "$v"
      step rereloaded
      back_rc=$rc; hex_tail "$W.out"; out=$v
      case $rrc in -|0) rrc=$rc;; esac
    fi
    get srun $s; runs=$v
    get sup $s; was_up=$v
    if [ -n "$runs" ]; then
      running $runs; up=$v
      # A service that could not load the new files may be about to end.
      if [ "$was_up:$up" = 1:1 ] && [ "$1" = patient ]; then sleep 1; running $runs; up=$v; fi
      get srec $s
      if [ "$was_up:$up" = 1:0 ] && [ -n "$v" ]; then
        insist "$v"
        step revived
        back_rec=$rc; hex_tail "$W.out"; out=$out$v
        sleep 1
        running $runs; up=$v
      fi
    fi
    say back service=$s reload=$back_rc recover=$back_rec before=$was_up up=$up out=$out
    s=$((s+1))
  done
}

# The end of a login may signal every process of it: those that move files must not hear it, and services
# must not inherit that they do not.
deaf() { trap '' HUP INT TERM; }
hears() { trap onsig HUP INT TERM; }

back() {
  rrc=-
  deaf
  undo
  hears
  [ $touched = 0 ] || services_back patient
  deaf
  if [ $restored = 0 ]; then
    # Nothing goes that a way back may need after a loss of power: the next contact tries again.
    :
  elif [ $conflicts = 0 ]; then
    [ -z "$J" ] || sweep
  else
    boot_guard_off
    mv -- "$J" "$state/conflict.$tx"
    step conflict_kept
    flush "$state" 2>/dev/null
  fi
}
