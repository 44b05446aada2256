# The way back. Idempotent and without a counter: what has to be done follows from which names
# exist, so it may itself be interrupted anywhere.

# -> conflicts, cf_N, touched (whether a service may have seen the new files).
undo() {
  conflicts=0 touched=0 i=0
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
  i=0; set --
  while [ $i -lt $nd ]; do get d $i; set -- "$@" "${v:-/}"; i=$((i+1)); done
  flush "$@" 2>/dev/null
  step undone
}

undo_directory() {
  get d $j; D=$v
  back= gone=
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
    set --; for i in $gone; do get live $i; set -- "$@" "$v"; done
    rm -f -- "$@" 2>/dev/null
    step removed
    for i in $gone; do get live $i; [ ! -e "$v" ] || conflict $i; done
  fi
}
conflict() { put cf "$1" 1; conflicts=$((conflicts+1)); }

# File $i: goes back, goes away, is left alone, or was changed by somebody else.
undo_decide() {
  get n $i; N=$v; get live $i; F=$v; kept_in $i; T=$v/$N
  get before $i; was=$v; get after $i; new=$v; get sum $i; now=$v
  if [ -e "$T" ]; then
    if [ "$F" -ef "$T" ]; then :
    elif [ "$now" = "$new" ]; then back="$back $i"
    elif [ "$now" = absent ] && [ ! -e "$F" ]; then back="$back $i"
    elif [ "$now" = "$was" ]; then :
    else conflict $i; fi
  elif [ "$was" = absent ]; then
    if [ "$now" = "$new" ]; then gone="$gone $i"
    elif [ "$now" != absent ] || [ -e "$F" ]; then conflict $i; fi
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
  rm -f -- "$J"
  step journal_removed
  flush "$state" 2>/dev/null
  J=
}

# Services load the old files again; one that was up and is down is started. Worst exit code in rrc.
services_back() {
  rrc=- s=0
  while [ $s -lt $ns ]; do
    back_rc=- back_rec=- out= up=-
    get srel $s
    if [ -n "$v" ]; then
      told_run "$v"
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
        told_run "$v"
        step revived
        back_rec=$rc; hex_tail "$W.out"; out=$out$v
        sleep 1
        running $runs; up=$v
      fi
    fi
    say back service=$s reload=$back_rc recover=$back_rec up=$up out=$out
    s=$((s+1))
  done
}

back() {
  rrc=-
  undo
  [ $touched = 0 ] || services_back patient
  if [ $conflicts = 0 ]; then
    [ -z "$J" ] || sweep
  else
    mv -- "$J" "$state/conflict.$tx"
    step conflict_kept
    flush "$state" 2>/dev/null
  fi
}
