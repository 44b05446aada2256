# fsync of files and directories, with a time limit: a disk that does not answer must not hold the lock, and
# what waits for it cannot even be killed. So the flush is a child that is left behind when it is late.
#
# `sync FILE...` is an fsync of each in GNU coreutils and BusyBox. In uutils and toybox it is sync(2), which waits for
# every disk of the host and reports no error: there files are flushed by dd, and directories by `sync -d`, whose
# fdatasync of a directory is a whole fsync in ext4, XFS and btrfs of every kernel that comes with uutils.
t_flush=60 t_probe=10 synctool= flush_late=0

# FILE... -> 0, or 1 and why on stderr
flush() {
  [ $# -gt 0 ] || return 0
  [ -n "$synctool" ] || find_synctool
  case $synctool in
  fsync|sync) flush_run $t_flush $synctool "$@";;
  each) flush_each "$@";;
  all) flush_run $t_flush sync;;
  *) echo "sync: it does not answer" >&2; return 1;;
  esac
}

# Sets synctool: fsync, sync, each (as above), all (sync(2)), or hung. By what they do: `sync /dev/null` fails where it
# is an fsync, which that cannot have. It is not asked of those who say that they are no GNU coreutils: theirs may take
# a minute, or for ever.
find_synctool() {
  if have fsync; then synctool=fsync; return; fi
  unless_outlived
  synctool=hung find_says=
  flush_run $t_probe sync --version >"$work.out" 2>&1
  [ $rc != 124 ] || return 0
  if [ $caught = 0 ]; then { read -r find_says; read -r v; } <"$work.out"; find_says="$find_says $v"
  else find_says=$(cat "$work.out"); fi
  case $find_says in
  *"(GNU coreutils) "[0-9]*)
    # FILE is an fsync since 8.24 (2015).
    v=${find_says#*"(GNU coreutils) "}; v=${v%%[!0-9.]*}
    case $v in 8.[0-9]|8.1[0-9]|8.2[0-3]|[0-7].*) ;; *) synctool=sync; return 0;; esac;;
  *BusyBox*) flush_run $t_probe sync /dev/null 2>/dev/null || { [ $rc = 124 ] || synctool=sync; return 0; };;
  esac
  # Not per file, but its -d may be.
  synctool=all
  flush_run $t_probe sync -d /dev/null 2>/dev/null || { [ $rc != 124 ] && flush_run $t_probe sync -d / 2>/dev/null && synctool=each; }
  return 0
}

flush_each() {
  flush_rest= flush_n=0
  for flush_file; do
    flush_n=$((flush_n+1))
    if [ -f "$flush_file" ] && [ -w "$flush_file" ]; then
      flush_run $t_flush dd if=/dev/null of="$flush_file" conv=fsync,notrunc status=none || return 1
    else flush_rest="$flush_rest \"\${$flush_n}\""; fi
  done
  [ -z "$flush_rest" ] || eval "flush_run $t_flush sync -d $flush_rest"
}

# SECONDS ARG... -> rc (124: timed out). The guard watches the time; where there is none, a timer.
flush_run() {
  flush_limit=$1 flush_late=0 flush_timer=; shift
  trap on_late_flush USR2
  "$@" </dev/null 3<&- &
  flush_pid=$!
  if guard_is_there; then guard_tell $flush_limit flush; else flush_timer_start; fi
  flush_seen=-1
  while [ $flush_seen != $caught ] && [ $flush_late = 0 ]; do flush_seen=$caught; wait $flush_pid 2>/dev/null; rc=$?; done
  if [ -n "$flush_timer" ]; then kill -s USR1 $flush_timer 2>/dev/null
  else guard_tell $t_guard; fi
  if [ $flush_late = 1 ]; then
    kill -s KILL $flush_pid 2>/dev/null
    rc=124
    echo "the flush to disk timed out after $flush_limit s" >&2
  fi
  [ $rc = 0 ]
}
on_late_flush() { flush_late=1 caught=$((caught+1)); }

flush_timer_start() {
  ( flush_n=0 flush_sleep=; trap 'kill $flush_sleep 2>/dev/null; exit 0' USR1
    while [ $flush_n -lt $flush_limit ]; do
      sleep 1 & flush_sleep=$!; wait $flush_sleep; flush_n=$((flush_n+1))
      kill -0 $flush_pid 2>/dev/null || exit 0
    done
    # More than once: ksh93 loses a signal that comes just before a wait. Not for ever: where process 1 reaps nobody, the dead are there.
    while [ $flush_n -lt $((flush_limit+10)) ] && kill -s USR2 "$self_pid" 2>/dev/null; do
      sleep 1; flush_n=$((flush_n+1)); kill -0 $flush_pid 2>/dev/null || exit 0
    done ) </dev/null >/dev/null 2>&1 3<&- &
  flush_timer=$!
}
