# After the confirmation: nothing here can change the outcome.

# The old files become a generation: hidden, 0700, readable by their owner alone.
finish() {
  j=0
  while [ $j -lt $nd ]; do
    get d $j; D=$v; S=$v/.certroll-$tx
    if [ $keep -gt 0 ] && [ -d "$S" ] && finish_holds; then
      finish_modes
      step kept_moded
      [ -d "$D/.certroll" ] || mkdir -- "$D/.certroll" 2>/dev/null
      step generations_made
      mv -- "$S" "$D/.certroll/$tx" 2>/dev/null
      step kept
    fi
    rm -rf -- "$S" "$S.new"
    step stage_removed
    prune
    j=$((j+1))
  done
  i=0; set --
  while [ $i -lt $nd ]; do get d $i; set -- "$@" "${v:-/}"; i=$((i+1)); done
  flush "$@" 2>/dev/null
  step finished
  boot_guard_off
}

# Whether directory $j has an old file to keep.
finish_holds() {
  files_of $j
  while [ $i -lt $end ]; do
    get n $i; [ ! -e "$S/$v" ] || return 0
    i=$((i+1))
  done
  return 1
}

# A file that has other names keeps its mode: it is still theirs.
finish_modes() {
  if [ -z "${old_counted-}" ]; then
    have find && find "$S" -type f -links 1 -exec chmod 600 '{}' + 2>/dev/null
    return
  fi
  files_of $j; set --
  while [ $i -lt $end ]; do
    get n $i; N=$v; get before $i
    [ "$v" = absent ] || { get old $i; [ "${v##* }" != 1 ] || set -- "$@" "$S/$N"; }
    i=$((i+1))
  done
  [ $# = 0 ] || chmod 600 -- "$@" 2>/dev/null
}

# Per file the newest $keep generations stay.
prune() {
  [ -d "$D/.certroll" ] || return 0
  # Names with odd characters in front of a pattern are not for every shell.
  cd -- "$D/.certroll" 2>/dev/null || return 0
  set +f; set -- *; set -f
  all="$*"
  cd /
  old=
  files_of $j
  while [ $i -lt $end ]; do
    get n $i; N=$v
    set --
    for e in $all; do [ ! -e "$D/.certroll/$e/$N" ] || set -- "$@" "$e"; done
    while [ $# -gt $keep ]; do old="$old \"\$D/.certroll/$1/\$n_$i\""; shift; done
    i=$((i+1))
  done
  if [ -n "$old" ]; then
    eval "rm -f -- $old"
    step pruned
  fi
  # Also those that an earlier attempt emptied.
  cd -- "$D/.certroll" || return 0
  old=
  for e in $all; do
    set +f; set -- "$e"/* "$e"/.[!.]* "$e"/..?*; set -f
    [ -e "$1" ] || [ -e "$2" ] || [ -e "$3" ] || old="$old $e"
  done
  [ -z "$old" ] || rmdir -- $old 2>/dev/null
  step pruned_empty
  cd /
}
