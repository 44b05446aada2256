# The switch: everything that the way back needs goes to the disk, then the new files become live.

arm() {
  compare_contents
  i=0; set --
  while [ $i -lt $n_files ]; do
    get file_name $i; arm_name=$v; get file_live $i; arm_live=$v; kept_in $i; arm_kept=$v/$arm_name
    get file_before $i; arm_before=$v; get file_in_place $i
    if [ "$v" = 1 ]; then
      arm_in_place
      set -- "$@" "$arm_kept" "$arm_note"
    elif [ "$arm_before" != absent ] && ! [ "$arm_live" -ef "$arm_kept" ]; then
      # The same bytes in another file: somebody replaced it by its like.
      rm -f -- "$arm_kept"
      step relinking
      ln -- "$arm_live" "$arm_kept" 2>/dev/null || cp -p -- "$arm_live" "$arm_kept" 2>"$work.err" || fail commit cannot_keep_the_old_file err
      step relinked
      # The bytes of a copy are not on disk yet.
      [ "$arm_live" -ef "$arm_kept" ] || set -- "$@" "$arm_kept"
    fi
    is_gone || { new_in $i; set -- "$@" "$v/$arm_name"; }
    i=$((i+1))
  done
  j=0
  while [ $j -lt $n_dirs ]; do get dir $j; set -- "$@" "$v/.certroll-$tx" "${v:-/}"; j=$((j+1)); done
  m=0
  while [ $m -lt $n_made ]; do get made $m; v=${v%/*}; set -- "$@" "${v:-/}"; m=$((m+1)); done
  boot_guard
  [ -z "$units" ] || set -- "$@" "$state/boot.$tx" "$unit" "$units" "${unit_wish%/*}"
  { echo armed >>"$journal"; } 2>"$work.err" || { unwritten "$state"; fail commit cannot_write_the_journal err; }
  armed=1
  step arming
  flush "$@" "$journal" "$state" 2>"$work.err" || fail commit cannot_flush_to_disk err
  step armed
  guard_tell "$t_guard"
}

# For services that watch their directory for renames and would look between two of them: a file
# changes without one. Its name is gone for a moment, as the pair does not fit for a moment.
replace_without_rename() { # FROM TO
  cp -l --remove-destination -- "$1" "$2" 2>/dev/null || mv -f -- "$1" "$2" 2>"$work.err" || return 1
  step slipped
  rm -f -- "$1"
  step slipped_off
}

# One process per directory, so that its renames are microseconds apart.
switch() {
  i=0
  while [ $i -lt $n_files ]; do
    get file_no_rename $i
    if [ "$v" = 1 ]; then
      get file_name $i; switch_name=$v; get file_live $i; switch_live=$v; new_in $i
      replace_without_rename "$v/$switch_name" "$switch_live" || roll_back commit cannot_rename err
    fi
    i=$((i+1))
  done
  [ $any_in_place = 0 ] || switch_in_place
  j=0
  while [ $j -lt $n_dirs ]; do
    get dir $j; switch_dir=$v
    set --; files_of $j
    while [ $i -lt $end ]; do
      get file_no_rename $i; switch_otherwise=$v; get file_in_place $i
      [ "$switch_otherwise$v" != 00 ] || is_gone || { get file_name $i; set -- "$@" "$switch_dir/.certroll-$tx.new/$v"; }
      i=$((i+1))
    done
    [ $# = 0 ] || mv -f -- "$@" "$switch_dir/" 2>"$work.err" || roll_back commit cannot_rename err
    step renamed
    [ "$gone" = ' ' ] || switch_gone
    j=$((j+1))
  done
  if [ -e /sys/fs/selinux/enforce ] && have restorecon; then switch_labels; fi
  j=0; set --
  while [ $j -lt $n_dirs ]; do get dir $j; set -- "$@" "${v:-/}"; j=$((j+1)); done
  if [ $any_in_place = 1 ]; then
    i=0
    while [ $i -lt $n_files ]; do get file_in_place $i; [ "$v" = 0 ] || { get file_live $i; set -- "$@" "$v"; }; i=$((i+1)); done
  fi
  flush "$@" 2>"$work.err" || roll_back commit cannot_flush_to_disk err
  step switched
}
# What is to go from directory $j, which is kept, goes where the new files were: no straggler can move it there once that is removed.
switch_gone() {
  files_of $j; set --
  while [ $i -lt $end ]; do ! is_gone || { get file_live $i; set -- "$@" "$v"; }; i=$((i+1)); done
  [ $# -gt 0 ] || return 0
  mv -f -- "$@" "$switch_dir/.certroll-$tx.new/" 2>"$work.err" || roll_back commit cannot_rename err
  step taken_off
}
switch_labels() {
  i=0; set --
  while [ $i -lt $n_files ]; do get file_before $i; [ "$v" != absent ] || { get file_live $i; set -- "$@" "$v"; }; i=$((i+1)); done
  [ $# = 0 ] || restorecon -F -- "$@" 2>/dev/null
  step labelled
}

# Whether the new files are what is live, after the services were told -> digests
switched() {
  digests=
  live_sums; i=0
  while [ $i -lt $n_files ]; do
    get file_after $i; switched_wanted=$v; get sum $i
    [ "$v" = "$switched_wanted" ] || roll_back commit another_process_modified_the_file - '' $i
    digests=$digests,$v i=$((i+1))
  done
}
