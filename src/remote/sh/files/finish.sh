# After the confirmation: nothing here can change the outcome.

# The old files become a generation: hidden, 0700. They are moved as they are, before the record of the confirmation is on
# disk, so that one flush is for both; if it is lost with the power, the way back finds them there (undo).
generations() {
  [ $keep -gt 0 ] || return 0
  j=0
  while [ $j -lt $n_dirs ]; do
    get dir $j; finish_dir=$v finish_kept=$v/.certroll-$tx
    if [ -d "$finish_kept" ] && finish_holds; then
      [ -d "$finish_dir/.certroll" ] || mkdir -- "$finish_dir/.certroll" 2>/dev/null
      step generations_made
      mv -- "$finish_kept" "$finish_dir/.certroll/$tx" 2>/dev/null
      step kept
    fi
    j=$((j+1))
  done
}

# What generations moved, and the record in $state.
flush_finished() {
  j=0; set -- "$state"
  while [ $j -lt $n_dirs ]; do get dir $j; set -- "$@" "${v:-/}"; j=$((j+1)); done
  flush "$@" 2>/dev/null
}

# Nothing of a generation is for others than its owner -> litter: words (for eval) for what is to be removed before the
# journal. That need not be on disk: a stage without a journal is removed by whoever comes next.
finish() {
  litter= j=0
  while [ $j -lt $n_dirs ]; do
    get dir $j; finish_dir=$v finish_kept=$v/.certroll/$tx
    if [ $keep -gt 0 ] && [ -d "$finish_kept" ]; then
      finish_in_place
      [ "$marks" = ' ' ] || finish_marks
      finish_modes
      step kept_moded
    fi
    litter="$litter \"\$dir_$j/.certroll-\$tx\" \"\$dir_$j/.certroll-\$tx.new\""
    find_surplus
    j=$((j+1))
  done
  step finished
  boot_guard_off
}
litter=

# A generation tells of a file that it was not there by a directory of its name.
finish_marks() {
  for i in $marks; do
    get file_dir $i
    [ "$v" = $j ] || continue
    get file_name $i
    [ -d "$finish_kept/$v" ] || mkdir -- "$finish_kept/$v" 2>/dev/null
    step marked
  done
}

# Whether directory $j has an old file to keep, or is to tell that there was none.
finish_holds() {
  files_of $j
  while [ $i -lt $end ]; do
    case $marks in *" $i "*) return 0;; esac
    get file_name $i; [ ! -e "$finish_kept/$v" ] || return 0
    i=$((i+1))
  done
  return 1
}

# A file that has other names keeps its mode: it is still theirs.
finish_modes() {
  if [ -z "${old_counted-}" ]; then
    have find && find "$finish_kept" -type f -links 1 -exec chmod 600 '{}' + 2>/dev/null
    return
  fi
  files_of $j; set --
  while [ $i -lt $end ]; do
    get file_name $i; finish_name=$v; get file_before $i
    [ "$v" = absent ] || { get file_old $i; [ "${v##* }" != 1 ] || set -- "$@" "$finish_kept/$finish_name"; }
    i=$((i+1))
  done
  [ $# = 0 ] || chmod 600 -- "$@" 2>/dev/null
}

# Per file the newest $keep generations stay -> litter: also the others, and the directories that hold nothing else.
find_surplus() {
  [ -d "$finish_dir/.certroll" ] || return 0
  # Names with odd characters in front of a pattern are not for every shell.
  cd -- "$finish_dir/.certroll" 2>/dev/null || return 0
  set +f; set -- *; set -f
  surplus_all="$*" surplus_ids=' '
  files_of $j
  while [ $i -lt $end ]; do
    get file_name $i; surplus_name=$v
    set --
    for surplus_id in $surplus_all; do [ ! -e "$surplus_id/$surplus_name" ] || set -- "$@" "$surplus_id"; done
    while [ $# -gt $keep ]; do
      litter="$litter \"\$dir_$j/.certroll/$1/\$file_name_$i\"" surplus_ids="$surplus_ids$1 "
      shift
    done
    i=$((i+1))
  done
  for surplus_id in $surplus_all; do
    # What an earlier attempt left may be empty already.
    surplus_left=0
    for v in $surplus_ids; do [ "$v" != "$surplus_id" ] || surplus_left=$((surplus_left-1)); done
    set +f; set -- "$surplus_id"/* "$surplus_id"/.[!.]* "$surplus_id"/..?*; set -f
    for v; do [ ! -e "$v" ] && [ ! -L "$v" ] || surplus_left=$((surplus_left+1)); done
    [ $surplus_left != 0 ] || litter="$litter \"\$dir_$j/.certroll/$surplus_id\""
  done
  cd /
}
