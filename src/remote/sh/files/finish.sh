# After the confirmation: nothing here can change the outcome.

# The old files become a generation: hidden, 0700, readable by their owner alone.
finish() {
  j=0
  while [ $j -lt $n_dirs ]; do
    get dir $j; finish_dir=$v finish_kept=$v/.certroll-$tx
    finish_in_place
    [ "$marks" = ' ' ] || finish_marks
    if [ $keep -gt 0 ] && [ -d "$finish_kept" ] && finish_holds; then
      finish_modes
      step kept_moded
      [ -d "$finish_dir/.certroll" ] || mkdir -- "$finish_dir/.certroll" 2>/dev/null
      step generations_made
      mv -- "$finish_kept" "$finish_dir/.certroll/$tx" 2>/dev/null
      step kept
    fi
    find_surplus
    eval "rm -rf -- \"\$finish_kept\" \"\$finish_kept.new\" $surplus"
    step stage_removed
    remove_emptied
    j=$((j+1))
  done
  j=0; set --
  while [ $j -lt $n_dirs ]; do get dir $j; set -- "$@" "${v:-/}"; j=$((j+1)); done
  flush "$@" 2>/dev/null
  step finished
  boot_guard_off
}

# A generation tells of a file that it was not there by a directory of its name.
finish_marks() {
  [ $keep -gt 0 ] && [ -d "$finish_kept" ] || return 0
  for i in $marks; do
    get file_dir $i
    [ "$v" = $j ] || continue
    get file_name $i
    [ -d "$finish_kept/$v" ] || mkdir -- "$finish_kept/$v" 2>/dev/null
    step marked
  done
}

# Whether directory $j has an old file to keep.
finish_holds() {
  files_of $j
  while [ $i -lt $end ]; do
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

# Per file the newest $keep generations stay -> surplus: words (for eval) for the others, and for the directories that
# hold nothing else.
find_surplus() {
  surplus=
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
      surplus="$surplus \"\$finish_dir/.certroll/$1/\$file_name_$i\"" surplus_ids="$surplus_ids$1 "
      shift
    done
    i=$((i+1))
  done
  for surplus_id in $surplus_all; do
    case $surplus_ids in *" $surplus_id "*) ;; *) continue;; esac
    surplus_left=0
    for v in $surplus_ids; do [ "$v" != "$surplus_id" ] || surplus_left=$((surplus_left-1)); done
    set +f; set -- "$surplus_id"/* "$surplus_id"/.[!.]* "$surplus_id"/..?*; set -f
    for v; do [ ! -e "$v" ] && [ ! -L "$v" ] || surplus_left=$((surplus_left+1)); done
    [ $surplus_left != 0 ] || surplus="$surplus \"\$finish_dir/.certroll/$surplus_id\""
  done
  cd /
}

# Generations without a file, which an earlier attempt left.
remove_emptied() {
  cd -- "$finish_dir/.certroll" 2>/dev/null || return 0
  set +f; set -- *; set -f
  surplus_all="$*" surplus=
  for surplus_id in $surplus_all; do
    set +f; set -- "$surplus_id"/* "$surplus_id"/.[!.]* "$surplus_id"/..?*; set -f
    [ -e "$1" ] || [ -e "$2" ] || [ -e "$3" ] || surplus="$surplus $surplus_id"
  done
  [ -z "$surplus" ] || rmdir -- $surplus 2>/dev/null
  step emptied_removed
  cd /
}
