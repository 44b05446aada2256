# Whether everything is still as the plan saw it. Changes nothing.

# Where writing to $1 would really write -> real_dir, real_name: 1 unreadable link, 2 loop, 3 no directory.
resolve() {
  follow_links "$1" || return
  real_name=${v##*/} real_dir=${v%/*}
  cd -P -- "${real_dir:-/}" 2>/dev/null || return 3
  real_dir=$PWD
  cd /
  [ "$real_dir" != / ] || real_dir=
}

is_made() {
  m=0
  while [ $m -lt $n_made ]; do get made $m; [ "$v" != "$1" ] || return 0; m=$((m+1)); done
  return 1
}

# Digests of all destinations, and of what else these words name, into sum_0 ...
live_sums() {
  i=0 live_sums_words=
  while [ $i -lt $n_files ]; do live_sums_words="$live_sums_words \"\$file_live_$i\""; i=$((i+1)); done
  eval "sums $live_sums_words ${1-}"
}

# Contents are compared when the stage is there: one program then tells the digests of what is live and of what was
# written. Unless it shows at once that it is not as planned, or what is live has to be known before (files/seed.sh).
compare() {
  m=0
  while [ $m -lt $n_made ]; do
    get made $m
    if [ -e "$v" ] || [ -L "$v" ]; then stale 0 directory -; fi
    m=$((m+1))
  done
  i=0 compare_now=
  while [ $i -lt $n_files ]; do
    get file_dir $i; get dir "$v"; compare_dir=$v
    get file_name $i; compare_name=$v
    if ! is_made "$compare_dir"; then
      get file_rest $i; dec "${v##* }"
      resolve "$v" || stale $i link -
      [ "$real_dir" = "${compare_dir%/}" ] && [ "$real_name" = "$compare_name" ] || stale $i link -
    fi
    get file_live $i; compare_file=$v; get file_before $i
    if [ "$v" = absent ]; then [ ! -e "$compare_file" ] && [ ! -L "$compare_file" ] || compare_now=1
    else [ -f "$compare_file" ] && [ -r "$compare_file" ] || compare_now=1; fi
    i=$((i+1))
  done
  s=0
  while [ $s -lt $n_services ]; do get service_seed $s; [ -z "$v" ] || compare_now=1; s=$((s+1)); done
  [ -z "$compare_now" ] || compare_contents
}

# Answers `stale` when a destination holds something else. Words: as for live_sums.
compare_contents() {
  live_sums "${1-}"
  i=0
  while [ $i -lt $n_files ]; do
    get file_live $i; compare_file=$v
    get sum $i; compare_sum=$v
    get file_before $i
    if [ "$compare_sum" = absent ]; then
      if [ -e "$compare_file" ] || [ -L "$compare_file" ]; then stale $i kind -; fi
    fi
    [ "$compare_sum" != unreadable ] || fail stage cannot_read_the_file - '' $i
    [ "$compare_sum" = "$v" ] || stale $i content "$compare_sum"
    i=$((i+1))
  done
}
