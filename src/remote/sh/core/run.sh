# Commands with a time limit: the caller's umask, a process group of their own, output to a file (a daemon that keeps
# it open blocks nobody and loses no pipe later), ended when late or too loud.
# Helper children are stopped with USR1, which no program here traps: dash and busybox lose a TERM
# that reaches a new subshell before it has dropped its parent's trap.

# SECONDS ARG... -> rc (124: timed out, 125: too much output, 126: no scratch space), output in $work.out
run() {
  run_limit=$1; shift
  unless_outlived
  { true >"$work.out"; } 2>/dev/null || { rc=126; return; }
  { run_named; give_back_signals; umask "$mask"; exec $new_session "$@"; } </dev/null >"$work.out" 2>&1 3<&- &
  [ -e /proc/self/stat ] || { start_time $!; { echo "$! $v" >"$work.cmd"; } 2>/dev/null; }
  watch $! "$run_limit"
}

# A recovery that outlives its program, which had the lock, begins nothing: what it writes beside the lock nobody removes.
unless_outlived() { [ -z "$in_recovery" ] || { start_time $$; [ "$boot_id.$$.$v" = "$lock_token" ]; } || exit 1; }

# A command and its limit in one encoded text, as requests have them.
run_encoded() { run_encoded_limit=${1%% *}; words "${1#* }"; eval "run $run_encoded_limit $cmd"; }

# What runs here is in $work.cmd before it begins: whoever finds its program dead ends it.
run_named() {
  # The reader of the line must be this process itself.
  [ $caught = 0 ] || return 0
  { read -r run_pid v </proc/self/stat; } 2>/dev/null || return 0
  after_name; set -- $v
  { echo "$run_pid ${20-}" >"$work.cmd"; } 2>/dev/null
}

# FILE: the command in it, whose program is dead, may still use the files that it read.
end_command() {
  first_line "$1"; end_pid=${v%% *} end_start=${v#* }
  case $end_pid in ''|*[!0-9]*) return 0;; esac
  end_tries=0
  while start_time "$end_pid"; [ -n "$v" ] && [ "$v" = "$end_start" ] && [ $end_tries -lt 50 ]; do
    kill -s KILL -- "-$end_pid" 2>/dev/null || kill -s KILL "$end_pid" 2>/dev/null
    sleep 0.1 2>/dev/null || sleep 1
    end_tries=$((end_tries+1))
  done
}

# A file's size -> v. By its directory entry: wc reads on as long as the file grows.
size() { set -- $(ls -ln -- "$1" 2>/dev/null); v=${5:-0}; }
too_loud() { [ -f "$1" ] && [ -s "$1" ] && size "$1" && [ "$v" -gt 1048576 ]; }

# PID SECONDS -> rc, and cut: - or, when the command was ended here, the same as rc
watch() {
  watch_pid=$1 cut=-
  # A transaction's guard is there anyway: it saves the timer and its sleep.
  if [ -n "${guard_pid-}" ] && guard_is_there; then guard_watch "$2"; return; fi
  ( watch_n=0 watch_sleep=; trap 'kill $watch_sleep 2>/dev/null; exit 0' USR1
    watch_end=124
    while [ $watch_n -lt "$2" ]; do
      sleep 1 & watch_sleep=$!; wait $watch_sleep; watch_n=$((watch_n+1))
      # Gone although nobody stopped us: our program died, and the number may become another's.
      kill -0 "$watch_pid" 2>/dev/null || exit 0
      # What goes through a pipe has no file that grows.
      [ -n "$work" ] || continue
      too_loud "$work.out" || too_loud "$work.err" || continue
      watch_end=125
      break
    done
    # From here on the verdict stands, whatever our program says meanwhile.
    trap '' USR1
    kill -s KILL -- "-$watch_pid" 2>/dev/null || kill -s KILL "$watch_pid" 2>/dev/null
    # Our program waits for this one by then. When both end at once, ksh93 on a busy machine was seen to give the
    # command's exit code for this one too.
    sleep 1
    exit $watch_end ) </dev/null >/dev/null 2>&1 3<&- &
  watch_timer=$!
  await $watch_pid
  watch_rc=$rc
  # Killed, perhaps by the timer: that ends by itself within a second and says so. Its 0: by somebody else.
  [ $watch_rc = 137 ] || kill -s USR1 $watch_timer 2>/dev/null
  await $watch_timer
  case $watch_rc:$rc in 137:0) ;; 137:125) cut=125;; 137:*) cut=124;; esac
  [ $cut = - ] || watch_rc=$cut
  rc=$watch_rc
}

# PID -> rc: its exit status, however many signals come meanwhile
await() {
  await_seen=-1
  while [ $await_seen != $caught ]; do await_seen=$caught; wait "$1" 2>/dev/null; rc=$?; done
  # ksh93 says 256 + signal.
  [ $rc -le 255 ] || rc=$((rc-128))
}

# Whether a service runs, from a request's words: $v = 1, 0, or - for cannot tell.
# pidfile PATH | process NAME | command SECONDS ARG... | first PID START SECONDS ARG... (that process, or else the command)
# $running_pid: the process that says so, if one does.
running() {
  running_pid=
  case ${1-} in
  pidfile)
    dec "$2"; first_line "$v"
    case $v in
    ''|*[!0-9]*) v=0;;
    *) running_pid=$v; if alive "$v"; then v=1; else v=0 running_pid=; fi;;
    esac;;
  process)
    dec "$2"; running_name=$v v=-
    [ -r /proc/self/comm ] || return 0
    set +f; set -- /proc/[0-9]*/comm; set -f
    v=0
    for running_file; do
      first_line "$running_file"
      [ "$v" = "$running_name" ] || { v=0; continue; }
      running_file=${running_file#/proc/}; running_file=${running_file%/comm}
      if alive "$running_file"; then v=1 running_pid=$running_file; break; fi
      v=0
    done;;
  first) start_time "$2"; if [ "$v" = "$3" ]; then v=1 running_pid=$2; else shift 3; running command "$@"; fi;;
  command)
    running_limit=$2; shift 2; words "$*"; eval "run $running_limit $cmd"
    case $rc in 0) v=1;; 124|125|126|127) v=-;; *) v=0;; esac;;
  *) v=-;;
  esac
}
