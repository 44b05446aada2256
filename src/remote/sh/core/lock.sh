# One file per contender, named by boot, process and start time; in it, as hex, who it is. Create,
# then look: any other live one means back off. Dead names never live again, so nothing is ever
# taken over, and two contenders cannot miss each other.

# Looks and changes nothing: $holder is the process of a live one other than $lock_token, or empty; $held
# its note. The names of the dead are dead_0 ... below $n_dead.
find_lock_holder() {
  holder= held= n_dead=0
  set +f; set -- "$run"/lock/*; set -f
  for find_name; do
    find_name=${find_name##*/}
    case $find_name in "$lock_token"|'*') continue;; esac
    find_boot=${find_name%%.*} find_pid=${find_name#*.}; find_start=${find_pid#*.} find_pid=${find_pid%%.*}
    case $find_pid in
    ''|*[!0-9]*) ;;
    *)
      if [ "$find_boot" = "$boot_id" ] && start_time "$find_pid" && [ -n "$v" ] && [ "$v" = "$find_start" ]; then
        # It may have gone since the listing.
        [ -e "$run/lock/$find_name" ] || continue
        holder=$find_pid
        first_line "$run/lock/$find_name"; held=$v
        case $held in *[!0-9a-f]*) held=;; esac
        continue
      fi;;
    esac
    put dead $n_dead "$find_name"; n_dead=$((n_dead+1))
  done
}

# Takes the lock for process $1, waiting up to $2 seconds: 1 when somebody has it ($holder, $held),
# 2 when it cannot be written ($v: why).
lock() {
  [ -d "$run/lock" ] || mkdir -p -- "$run/lock" 2>/dev/null
  step lock_made
  start_time "$1"; lock_token=$boot_id.$1.$v lock_left=$2
  work=$run/$lock_token
  while :; do
    { echo "$note" >"$run/lock/$lock_token"; } 2>/dev/null || return 2
    step locked
    find_lock_holder
    while [ $n_dead -gt 0 ]; do
      n_dead=$((n_dead-1)); get dead $n_dead; lock_dead=$run/$v
      case $v in "$boot_id".*) end_command "$lock_dead.cmd";; esac
      rm -rf -- "$run/lock/${lock_dead##*/}" "$lock_dead.out" "$lock_dead.err" "$lock_dead.ns" "$lock_dead.due" "$lock_dead.cmd" "$lock_dead.seal"
      step dead_lock_removed
    done
    [ -n "$holder" ] || return 0
    rm -f -- "$run/lock/$lock_token"
    step lock_given_back
    [ $lock_left -gt 0 ] || { lock_token=; return 1; }
    lock_left=$((lock_left-1))
    sleep 1
  done
}

# Gives it back, with the scratch files and whatever else is named.
unlock() {
  [ -z "$lock_token" ] || rm -rf -- "$@" "$run/lock/$lock_token" "$work.out" "$work.err" "$work.ns" "$work.due" "$work.cmd" "$work.seal"
  step unlocked
  lock_token=
}
