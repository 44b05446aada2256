# One transaction, from the request to its one terminal reply.

# The last words come when everything is put away.
leave() { leave_rc=$1; shift; guard_stop; unlock; say "$@"; exit $leave_rc; }

# What goes with a reply: the output in a file, or text that was told.
output() {
  case $1 in
  err) hex_tail "$W.err";;
  out) hex_tail "$W.out";;
  told) v=$told;;
  *) v=;;
  esac
}

# The check that refused, if one did.
refused_c=-

# Nothing live has changed: STEP WHY [OUTPUT] [RC] [FILE] [SERVICE]
fail() {
  output "${3-}"; out=$v
  [ -z "$J" ] || sweep
  leave 1 failed step=$1 why=$2 out=$out rc=${4:--} file=${5:--} service=${6:--} check=$refused_c
}
discard() {
  [ -z "$J" ] || sweep
  leave 5 aborted why=$1
}
stale() {
  [ -z "$J" ] || sweep
  leave 4 stale file=$1 why=$2 now=$3
}

# Files may have been renamed: the way back, and why. As above.
fall() {
  output "${3-}"; fall_out=$v
  back
  i=0
  while [ $i -lt $nf ]; do get cf $i; [ "$v" = 0 ] || say conflict file=$i; i=$((i+1)); done
  leave 2 rolled_back step=$1 why=$2 out=$fall_out rc=${4:--} file=${5:--} service=${6:--} check=$refused_c
}

take_lock() {
  [ -d "$state" ] || mkdir -p -- "$state" 2>/dev/null
  step state_made
  [ -d "$state" ] && [ -O "$state" ] || { say failed step=lock why=cannot_use_the_directory_for_journals; exit 1; }
  lock $$ "$t_lock"
  case $? in
  1) say busy pid=$holder held=$held; exit 3;;
  2) tok=; say failed step=lock why=cannot_write_the_lock; exit 1;;
  esac
  step lock
}

need() {
  [ $sumtool != none ] || { say missing name=sha256sum; exit 1; }
  [ $synctool != none ] || { say missing name=sync; exit 1; }
  for v in mkdir mv ln cp rm rmdir chmod chown stat od tail sleep ls; do
    have $v || { say missing name=$v; exit 1; }
  done
}
