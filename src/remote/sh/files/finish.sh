# After the confirmation: nothing here can change the outcome.

# The old files become a generation: hidden, 0700, readable by their owner alone.
finish() {
  j=0
  while [ $j -lt $n_dirs ]; do
    get dir $j; finish_dir=$v finish_kept=$v/.certroll-$tx
    if [ $keep -gt 0 ] && [ -d "$finish_kept" ] && finish_holds; then
      finish_modes
      step kept_moded
      [ -d "$finish_dir/.certroll" ] || mkdir -- "$finish_dir/.certroll" 2>/dev/null
      step generations_made
      mv -- "$finish_kept" "$finish_dir/.certroll/$tx" 2>/dev/null
      step kept
    fi
    rm -rf -- "$finish_kept" "$finish_kept.new"
    step stage_removed
    prune
    j=$((j+1))
  done
  j=0; set --
  while [ $j -lt $n_dirs ]; do get dir $j; set -- "$@" "${v:-/}"; j=$((j+1)); done
  flush "$@" 2>/dev/null
  step finished
  boot_guard_off
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

# Per file the newest $keep generations stay.
prune() {
  [ -d "$finish_dir/.certroll" ] || return 0
  # Names with odd characters in front of a pattern are not for every shell.
  cd -- "$finish_dir/.certroll" 2>/dev/null || return 0
  set +f; set -- *; set -f
  prune_all="$*"
  cd /
  prune_old=
  files_of $j
  while [ $i -lt $end ]; do
    get file_name $i; prune_name=$v
    set --
    for prune_id in $prune_all; do [ ! -e "$finish_dir/.certroll/$prune_id/$prune_name" ] || set -- "$@" "$prune_id"; done
    while [ $# -gt $keep ]; do prune_old="$prune_old \"\$finish_dir/.certroll/$1/\$file_name_$i\""; shift; done
    i=$((i+1))
  done
  if [ -n "$prune_old" ]; then
    eval "rm -f -- $prune_old"
    step pruned
  fi
  # Also those that an earlier attempt emptied.
  cd -- "$finish_dir/.certroll" || return 0
  prune_old=
  for prune_id in $prune_all; do
    set +f; set -- "$prune_id"/* "$prune_id"/.[!.]* "$prune_id"/..?*; set -f
    [ -e "$1" ] || [ -e "$2" ] || [ -e "$3" ] || prune_old="$prune_old $prune_id"
  done
  [ -z "$prune_old" ] || rmdir -- $prune_old 2>/dev/null
  step pruned_empty
  cd /
}
