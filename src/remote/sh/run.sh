# Commands with a time limit: the caller's umask, own process group, output to a file (a daemon that keeps it open
# blocks nobody and loses no pipe later), ended when late or too loud.
# Helper children are stopped with USR1, which no program here traps: dash and busybox lose a TERM
# that reaches a new subshell before it has dropped its parent's trap.

# SECONDS ARG... -> rc (124: late, 125: too much output, 126: no scratch space), output in $W.out
run() {
  run_limit=$1; shift
  # A recovery that outlives its program, which had the lock, begins nothing.
  [ -z "$apart" ] || { born $$; [ "$boot.$$.$v" = "$tok" ]; } || exit 1
  { true >"$W.cut" && true >"$W.out"; } 2>/dev/null || { rc=126; return; }
  { run_named; umask "$mask"; exec $own "$@"; } </dev/null >"$W.out" 2>&1 3<&- &
  [ -e /proc/self/stat ] || { born $!; { echo "$! $v" >"$W.cmd"; } 2>/dev/null; }
  watch $! "$run_limit"
}

# What runs here is in $W.cmd before it begins: whoever finds its program dead ends it.
run_named() {
  { read -r run_p v </proc/self/stat; } 2>/dev/null || return 0
  born "$run_p"
  { echo "$run_p $v" >"$W.cmd"; } 2>/dev/null
}

# FILE: the command in it, whose program is dead, may still use the files that it read.
end_command() {
  { read -r end_p end_born <"$1"; } 2>/dev/null || return 0
  case $end_p in ''|*[!0-9]*) return 0;; esac
  end_n=0
  while born "$end_p"; [ -n "$v" ] && [ "$v" = "$end_born" ] && [ $end_n -lt 50 ]; do
    kill -s KILL -- "-$end_p" 2>/dev/null || kill -s KILL "$end_p" 2>/dev/null
    sleep 0.1 2>/dev/null || sleep 1
    end_n=$((end_n+1))
  done
}

# A file's size -> v. By its directory entry: wc reads on as long as the file grows.
size() { set -- $(ls -ln -- "$1" 2>/dev/null); v=${5:-0}; }
too_loud() { [ -f "$1" ] && size "$1" && [ "$v" -gt 1048576 ]; }

# PID SECONDS -> rc
watch() {
  watch_p=$1
  ( i=0 s=; trap 'kill $s 2>/dev/null; exit 0' USR1
    while [ $i -lt "$2" ]; do
      sleep 1 & s=$!; wait $s; i=$((i+1))
      # Gone although nobody stopped us: our program died, and the number may become another's.
      kill -0 "$watch_p" 2>/dev/null || exit 0
      too_loud "$W.out" || too_loud "$W.err" || continue
      break
    done
    # Before the kill: we may not outlive it. Whoever cleared up after our program wants no new file.
    if [ $i -ge "$2" ]; then v=124; else v=125; fi
    [ ! -e "$W.cut" ] || echo $v >"$W.cut"
    kill -s KILL -- "-$watch_p" 2>/dev/null || kill -s KILL "$watch_p" 2>/dev/null ) </dev/null >/dev/null 2>&1 3<&- &
  watch_t=$!
  watch_seen=-1
  while [ $watch_seen != $sig ]; do watch_seen=$sig; wait $watch_p 2>/dev/null; rc=$?; done
  kill -s USR1 $watch_t 2>/dev/null
  wait $watch_t 2>/dev/null
  # ksh93 says 256 + signal.
  [ $rc -le 255 ] || rc=$((rc-128))
  if [ $rc -gt 128 ] && [ -s "$W.cut" ]; then read -r rc <"$W.cut"; fi
}

# Whether a service runs, from a request's words: $v = 1, 0, or - for cannot tell.
# pidfile PATH | process NAME | command SECONDS ARG...
running() {
  case ${1-} in
  pidfile)
    dec "$2"; running_p=
    { read -r running_p <"$v"; } 2>/dev/null || :
    case $running_p in
    ''|*[!0-9]*) v=0;;
    *) born "$running_p"; if [ -n "$v" ]; then v=1; else v=0; fi;;
    esac;;
  process)
    dec "$2"; running_n=$v v=-
    [ -r /proc/self/comm ] || return 0
    set +f; set -- /proc/[0-9]*/comm; set -f
    v=0
    for running_f; do
      running_c=
      { read -r running_c <"$running_f"; } 2>/dev/null || continue
      [ "$running_c" = "$running_n" ] || continue
      running_f=${running_f#/proc/}; born "${running_f%/comm}"
      if [ -n "$v" ]; then v=1; break; fi
      v=0
    done;;
  command)
    running_l=$2; shift 2; words "$*"; eval "run $running_l $cmd"
    case $rc in 0) v=1;; 124|125|126|127) v=-;; *) v=0;; esac;;
  *) v=-;;
  esac
}
