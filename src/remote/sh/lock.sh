# One file per contender, named by boot, process and start time; in it, as hex, who it is. Create,
# then look: any other live one means back off. Dead names never live again, so nothing is ever
# taken over, and two contenders cannot miss each other.

# Looks and changes nothing: $holder is the process of a live one other than $tok, or empty; $held
# its note. The names of the dead are dead_0 ... below $n_dead.
look() {
  holder= held= n_dead=0
  set +f; set -- "$run"/lock/*; set -f
  for look_e; do
    look_e=${look_e##*/}
    case $look_e in "$tok"|'*') continue;; esac
    look_b=${look_e%%.*} look_p=${look_e#*.}; look_s=${look_p#*.} look_p=${look_p%%.*}
    case $look_p in
    ''|*[!0-9]*) ;;
    *)
      if [ "$look_b" = "$boot" ] && born "$look_p" && [ -n "$v" ] && [ "$v" = "$look_s" ]; then
        # It may have gone since the listing.
        [ -e "$run/lock/$look_e" ] || continue
        holder=$look_p
        { read -r held <"$run/lock/$look_e"; } 2>/dev/null || :
        case $held in *[!0-9a-f]*) held=;; esac
        continue
      fi;;
    esac
    put dead $n_dead "$look_e"; n_dead=$((n_dead+1))
  done
}

# Takes the lock for process $1, waiting up to $2 seconds: 1 when somebody has it ($holder, $held),
# 2 when it cannot be written ($v: why).
lock() {
  [ -d "$run/lock" ] || mkdir -p -- "$run/lock" 2>/dev/null
  step lock_made
  born "$1"; tok=$boot.$1.$v lock_left=$2
  W=$run/$tok
  while :; do
    { echo "$note" >"$run/lock/$tok"; } 2>/dev/null || return 2
    step locked
    look
    while [ $n_dead -gt 0 ]; do
      n_dead=$((n_dead-1)); get dead $n_dead; lock_d=$run/$v
      case $v in "$boot".*) end_command "$lock_d.cmd";; esac
      rm -f -- "$run/lock/${lock_d##*/}" "$lock_d.out" "$lock_d.err" "$lock_d.cut" "$lock_d.ns" "$lock_d.due" "$lock_d.cmd"
      step dead_lock_removed
    done
    [ -n "$holder" ] || return 0
    rm -f -- "$run/lock/$tok"
    step lock_given_back
    [ $lock_left -gt 0 ] || { tok=; return 1; }
    lock_left=$((lock_left-1))
    sleep 1
  done
}

# Gives it back, with the scratch files and whatever else is named.
unlock() {
  [ -z "$tok" ] || rm -f -- "$@" "$run/lock/$tok" "$W.out" "$W.err" "$W.cut" "$W.ns" "$W.due" "$W.cmd"
  step unlocked
  tok=
}
