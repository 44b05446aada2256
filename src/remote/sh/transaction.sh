# One transaction, from the request to its one terminal reply. What is changed is behind these verbs, which files/ has
# for files; each may be interrupted anywhere, and undo, finish and sweep_files may be called again:
#
#   compare      what is live is what the plan saw; else `stale`
#   stage        the new lies beside the live, the old is kept, nothing live has changed
#   validate     the services' own checks: on what is staged, or (later) on what is live
#   arm, switch  what the way back needs is on disk; the new is live
#   undo         the old is live again
#   finish       the old is an earlier generation
#   sweep_files  nothing of ours is left

# The last words come when everything is put away.
leave() { leave_rc=$1; shift; guard_stop; unlock; say "$@"; exit $leave_rc; }

# What goes with a reply: the output in a file, or text that was told.
output() {
  case $1 in
  err) hex_tail "$work.err";;
  out) hex_tail "$work.out";;
  told) v=$told;;
  *) v=;;
  esac
}

# What a command said in a few plain words -> v: behind a dot, as texts travel, which takes no process; all else in hex.
said() {
  v=
  [ -s "$1" ] || return 0
  said_text=.
  while [ $caught = 0 ] && IFS= read -r said_rest; do
    case $said_rest in *[!!-~' ']*|*[%\\]*) said_text=; break;; esac
    [ ${#said_rest} -lt 400 ] || { said_text=; break; }
    while :; do
      case $said_rest in
      *' '*) said_text=$said_text${said_rest%%' '*}%040 said_rest=${said_rest#*' '};;
      *) said_text=$said_text$said_rest%012 said_rest=; break;;
      esac
    done
    [ ${#said_text} -lt 400 ] || { said_text=; break; }
  done <"$1"
  # A line that does not end, too.
  case $caught$said_text in 0.?*) ;; *) said_rest=.;; esac
  if [ -z "$said_rest" ]; then v=$said_text; else hex_head "$1"; fi
}

# The check that refused, if one did.
refused_check=-

# Nothing live has changed: STEP WHY [OUTPUT] [RC] [FILE] [SERVICE]
fail() {
  output "${3-}"; fail_out=$v
  [ -z "$journal" ] || sweep
  leave 1 failed step=$1 why=$2 out=$fail_out rc=${4:--} file=${5:--} service=${6:--} check=$refused_check $place
}
# DIR that could not be written to -> place, where that was and why, as far as can be told
place=
unwritten() {
  enc "$1"; place="in=$v"
  [ -w "$1" ] || place="$place cause=closed"
  set -- $(df -Pk -- "$1" 2>/dev/null | tail -n 1)
  [ "${4-}" != 0 ] || place="$place cause=full"
}
discard() {
  [ -z "$journal" ] || sweep
  leave 5 aborted why=$1
}
stale() {
  [ -z "$journal" ] || sweep
  leave 4 stale file=$1 why=$2 now=$3
}

# Files may have been renamed: the way back, and why. As above.
roll_back() {
  output "${3-}"; roll_back_out=$v
  restore
  i=0
  while [ $i -lt $n_files ]; do get file_conflict $i; [ "$v" = 0 ] || say conflict file=$i; i=$((i+1)); done
  leave 2 rolled_back step=$1 why=$2 out=$roll_back_out rc=${4:--} file=${5:--} service=${6:--} check=$refused_check
}

# What is staged and made, then the journal.
sweep() {
  sweep_files
  boot_guard_off
  rm -f -- "$journal"
  step journal_removed
  flush "$state" 2>/dev/null
  journal=
}

# Files, then services, go back to what they were -> conflicts, back_worst
restore() {
  back_worst=-
  ignore_signals
  undo
  [ $unwritten = 0 ] || unsettled
  trap_signals
  [ $touched = 0 ] || services_back
  ignore_signals
  if [ $restored = 0 ]; then
    # Nothing goes that a way back may need after a loss of power: the next contact tries again.
    :
  elif [ $conflicts = 0 ]; then
    [ -z "$journal" ] || sweep
  else
    boot_guard_off
    mv -- "$journal" "$state/conflict.$tx"
    step conflict_kept
    flush "$state" 2>/dev/null
  fi
}

begin() {
  journal_write || { unwritten "$state"; fail stage cannot_write_the_journal err; }
  step journalled
  t_bodies=$((t_bodies+n_files/8))
  guard_start
  step guarded
  stage
  guard_tell $((t_stage+t_guard))
}

commit() {
  if [ $n_files -gt 0 ]; then
    arm
    switch
  fi
  validate roll_back yes
  [ $signals = 0 ] || roll_back commit signal
  reload
  if [ $n_files -gt 0 ]; then switched; else digests=; fi
}

# The record may be lost with the power, and then whoever comes next goes back: the old files stay for that.
# No last word is said.
undecided() {
  echo "the confirmation cannot be flushed to disk" >&2
  guard_stop; unlock; exit 1
}

# The one rename that decides.
confirm() {
  if [ $n_files -gt 0 ]; then
    ignore_signals
    mv -- "$journal" "$state/done.$tx" 2>"$work.err" || roll_back confirm cannot_rename_the_journal err
    journal=$state/done.$tx
    step done
    generations
    flush_finished || undecided
    step durable
    finish
    guard_stop
  fi
}

take_lock() {
  [ -d "$state" ] || mkdir -p -- "$state" 2>/dev/null
  step state_made
  [ -d "$state" ] && [ -O "$state" ] || { unwritten "$state"; say failed step=lock why=cannot_keep_journals $place; exit 1; }
  lock $$ "$t_lock"
  case $? in
  1) say busy pid=$holder held=$held; exit 3;;
  2) lock_token=; unwritten "$run"; say failed step=lock why=cannot_write_the_lock $place; exit 1;;
  esac
  step lock
}

require_tools() {
  [ $sumtool != none ] || { say missing name=sha256sum; exit 1; }
  have fsync || have sync || { say missing name=sync; exit 1; }
  for v in $needed; do
    have $v || { say missing name=$v; exit 1; }
  done
}
