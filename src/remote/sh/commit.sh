# The switch: arm, rename, reload.

# Everything that the way back needs is on disk before the first rename.
arm() {
  compare
  i=0; set --
  while [ $i -lt $nf ]; do
    get n $i; N=$v; get live $i; F=$v; kept_in $i; T=$v/$N
    get before $i
    if [ "$v" != absent ] && ! [ "$F" -ef "$T" ]; then
      # The same bytes in another file: somebody replaced it by its like.
      rm -f -- "$T"
      step relinking
      ln -- "$F" "$T" 2>/dev/null || cp -p -- "$F" "$T" 2>"$W.err" || fail commit cannot_keep_the_old_file err
      step relinked
      # The bytes of a copy are not on disk yet.
      [ "$F" -ef "$T" ] || set -- "$@" "$T"
    fi
    new_in $i; set -- "$@" "$v/$N"
    i=$((i+1))
  done
  i=0
  while [ $i -lt $nd ]; do get d $i; set -- "$@" "$v/.certroll-$tx" "${v:-/}"; i=$((i+1)); done
  i=0
  while [ $i -lt $nm ]; do get md $i; v=${v%/*}; set -- "$@" "${v:-/}"; i=$((i+1)); done
  boot_guard
  [ -z "$units" ] || set -- "$@" "$state/boot.$tx" "$unit" "$units" "${wish%/*}"
  { echo armed >>"$J"; } 2>"$W.err" || fail commit cannot_write_the_journal err
  armed=1
  step arming
  flush "$@" "$J" "$state" 2>"$W.err" || fail commit cannot_flush_to_disk err
  step armed
  guard_tell "$t_guard"
}

# For services that watch their directory for renames and would look between two of them: a file
# changes without one. Its name is gone for a moment, as the pair does not fit for a moment.
slip() { # FROM TO
  cp -l --remove-destination -- "$1" "$2" 2>/dev/null || mv -f -- "$1" "$2" 2>"$W.err" || return 1
  step slipped
  rm -f -- "$1"
  step slipped_off
}

# One process per directory, so that its renames are microseconds apart.
switch() {
  i=0
  while [ $i -lt $nf ]; do
    get hush $i
    if [ "$v" = 1 ]; then
      get n $i; N=$v; get live $i; F=$v; new_in $i
      slip "$v/$N" "$F" || fall commit cannot_rename err
    fi
    i=$((i+1))
  done
  j=0
  while [ $j -lt $nd ]; do
    get d $j; D=$v
    set --; files_of $j
    while [ $i -lt $end ]; do
      get hush $i
      [ "$v" = 1 ] || { get n $i; set -- "$@" "$D/.certroll-$tx.new/$v"; }
      i=$((i+1))
    done
    [ $# = 0 ] || mv -f -- "$@" "$D/" 2>"$W.err" || fall commit cannot_rename err
    step renamed
    j=$((j+1))
  done
  if [ -e /sys/fs/selinux/enforce ] && have restorecon; then switch_labels; fi
  i=0; set --
  while [ $i -lt $nd ]; do get d $i; set -- "$@" "${v:-/}"; i=$((i+1)); done
  flush "$@" 2>"$W.err" || fall commit cannot_flush_to_disk err
  step switched
}
switch_labels() {
  i=0; set --
  while [ $i -lt $nf ]; do get before $i; [ "$v" != absent ] || { get live $i; set -- "$@" "$v"; }; i=$((i+1)); done
  [ $# = 0 ] || restorecon -F -- "$@" 2>/dev/null
  step labelled
}

reload() {
  s=0
  while [ $s -lt $ns ]; do
    [ $sig = 0 ] || fall reload signal
    get srel $s
    rc=- out=
    if [ -n "$v" ]; then
      told_run "$v"
      step reloaded
      [ $rc = 0 ] || fall reload reload_failed out $rc '' $s
      hex_head "$W.out"; out=$v
    fi
    get srun $s; running $v; up=$v
    get sup $s
    say reloaded service=$s rc=$rc before=$v up=$up out=$out
    s=$((s+1))
  done
}

# SECONDS ARG... in one text.
told_run() { told_l=${1%% *}; words "${1#* }"; eval "run $told_l $cmd"; }

commit() {
  if [ $nf -gt 0 ]; then
    arm
    switch
  fi
  validate fall yes
  [ $sig = 0 ] || fall commit signal
  reload
  digests=
  if [ $nf -gt 0 ]; then
    live_sums; i=0
    while [ $i -lt $nf ]; do
      get after $i; want=$v; get sum $i
      [ "$v" = "$want" ] || fall commit somebody_changed_the_file - '' $i
      digests=$digests,$v i=$((i+1))
    done
  fi
}

# The record may be lost with the power, and then whoever comes next goes back: the old files stay for that.
# No last word is said.
undecided() {
  echo "the confirmation cannot be flushed to disk" >&2
  guard_stop; unlock; exit 1
}

# The one rename that decides.
confirm() {
  if [ $nf -gt 0 ]; then
    deaf
    mv -- "$J" "$state/done.$tx" 2>"$W.err" || fall confirm cannot_rename_the_journal err
    J=$state/done.$tx
    step done
    flush "$state" 2>/dev/null || undecided
    step durable
    finish
    guard_stop
  fi
}
