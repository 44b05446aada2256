# Whether everything is still as the plan saw it. Changes nothing.

# Where writing to $1 would really write -> rdir, rname: 1 unreadable link, 2 loop, 3 no directory.
resolve() {
  resolve_p=$1 resolve_hops=0
  while [ -L "$resolve_p" ]; do
    v=$(readlink "$resolve_p" && echo x) || return 1
    v=${v%x}; v=${v%"$nl"}
    case $v in
    /*) resolve_p=$v;;
    *) resolve_p=${resolve_p%/*}/$v;;
    esac
    resolve_hops=$((resolve_hops+1))
    [ $resolve_hops -lt 40 ] || return 2
  done
  rname=${resolve_p##*/} rdir=${resolve_p%/*}
  cd -P -- "${rdir:-/}" 2>/dev/null || return 3
  rdir=$PWD
  cd /
  [ "$rdir" != / ] || rdir=
}

is_made() {
  m=0
  while [ $m -lt $nm ]; do get md $m; [ "$v" != "$1" ] || return 0; m=$((m+1)); done
  return 1
}

# Digests of all destinations into sum_0 ...
live_sums() {
  i=0 lives=
  while [ $i -lt $nf ]; do lives="$lives \"\$live_$i\""; i=$((i+1)); done
  eval "sums $lives"
}

# Answers `stale` when a destination is not what it was.
compare() {
  live_sums
  i=0
  while [ $i -lt $nf ]; do
    get live $i; compare_f=$v
    get sum $i; compare_now=$v
    get before $i
    if [ "$compare_now" = absent ]; then
      if [ -e "$compare_f" ] || [ -L "$compare_f" ]; then stale $i kind -; fi
    fi
    [ "$compare_now" != unreadable ] || fail stage cannot_read_the_file - '' $i
    [ "$compare_now" = "$v" ] || stale $i content "$compare_now"
    i=$((i+1))
  done
}

check() {
  i=0
  while [ $i -lt $nm ]; do
    get md $i
    if [ -e "$v" ] || [ -L "$v" ]; then stale 0 directory -; fi
    i=$((i+1))
  done
  i=0
  while [ $i -lt $nf ]; do
    get fd $i; get d "$v"; check_d=$v
    get n $i; check_n=$v
    if ! is_made "$check_d"; then
      get more $i; dec "${v##* }"
      resolve "$v" || stale $i link -
      [ "$rdir" = "${check_d%/}" ] && [ "$rname" = "$check_n" ] || stale $i link -
    fi
    i=$((i+1))
  done
  compare
}
