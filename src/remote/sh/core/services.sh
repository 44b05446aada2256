# The services that read what is changed: told to load it, and told to load the old again.

# Tells each, and what came of it; the first that refuses ends it.
reload() {
  s=0 reload_told=
  while [ $s -lt $n_services ]; do
    [ $signals = 0 ] || roll_back reload signal
    get service_reload $s
    rc=- reload_out=
    if [ -n "$v" ]; then
      [ -n "$reload_told" ] || say reloading
      reload_told=1
      run_encoded "$v"
      step reloaded
      [ $rc = 0 ] || roll_back reload reload_failed out $rc '' $s
      said "$work.out"; reload_out=$v
    fi
    get service_running $s; running $v; reload_up=$v
    get service_up $s
    say reloaded service=$s rc=$rc before=$v up=$reload_up out=$reload_out
    s=$((s+1))
  done
}

# A command, and once more if a signal ended it: that was meant for all processes of the login.
run_twice_if_signalled() {
  run_encoded "$1"
  step told
  [ $rc -gt 128 ] || return 0
  run_encoded "$1"
}

# Services load the old files again; one that was up and is down is started. Worst exit code in back_worst.
services_back() {
  back_worst=- s=0
  while [ $s -lt $n_services ]; do
    back_reload=- back_recover=- back_out= back_up=-
    get service_reload $s
    if [ -n "$v" ]; then
      run_twice_if_signalled "$v"
      step rereloaded
      back_reload=$rc; hex_tail "$work.out"; back_out=$v
      case $back_worst in -|0) back_worst=$rc;; esac
    fi
    get service_running $s; back_running=$v
    get service_up $s; back_before=$v
    if [ -n "$back_running" ]; then
      running $back_running; back_up=$v
      # A service that could not load the new files may be about to end.
      if [ "$back_before:$back_up" = 1:1 ]; then sleep 1; running $back_running; back_up=$v; fi
      get service_recover $s
      if [ "$back_before:$back_up" = 1:0 ] && [ -n "$v" ]; then
        run_twice_if_signalled "$v"
        step revived
        back_recover=$rc; hex_tail "$work.out"; back_out=$back_out$v
        sleep 1
        running $back_running; back_up=$v
      fi
    fi
    say back service=$s reload=$back_reload recover=$back_recover before=$back_before up=$back_up out=$back_out
    s=$((s+1))
  done
}
