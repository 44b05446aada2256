# A store that takes its pair out of files and keeps it for itself: before the first change the pair that it has is
# written where the old files are kept, and becomes what was there before, for whoever goes back.

seed() {
  s=0
  while [ $s -lt $n_services ]; do
    get service_seed $s
    [ -z "$v" ] || seed_spool $v
    s=$((s+1))
  done
}

# NEEDED FILES# FILE#... SECONDS ARG...
seed_spool() {
  seed_needed=$1 seed_left=$2 seed_files=; shift 2
  while [ "$seed_left" -gt 0 ]; do seed_files="$seed_files $1"; shift; seed_left=$((seed_left-1)); done
  run_encoded "$*"
  step exported
  [ $signals = 0 ] || discard signal
  if [ $rc != 0 ] && [ "$seed_needed" = 0 ]; then seed_nothing; return; fi
  [ $rc = 0 ] || fail stage the_store_did_not_give_its_pair_away out $rc '' $s
  set --
  for i in $seed_files; do
    get file_name $i; seed_name=$v; kept_in $i
    [ -f "$v/$seed_name" ] && [ ! -L "$v/$seed_name" ] && [ -s "$v/$seed_name" ] ||
      fail stage the_export_wrote_nothing_there out $rc $i $s
    set -- "$@" "$v/$seed_name"
  done
  chmod 600 -- "$@" 2>"$work.err" || fail stage cannot_set_the_mode err
  step seed_moded
  for i in $seed_files; do
    get file_name $i; seed_name=$v; kept_in $i; seed_kept=$v; get file_live $i
    mv -f -- "$seed_kept/$seed_name" "$v" 2>"$work.err" || fail stage cannot_write_the_file err '' $i
    step seeded
  done
  seed_tell
}

# The operator goes on without a way back.
seed_nothing() {
  set --
  for i in $seed_files; do get file_name $i; seed_name=$v; kept_in $i; set -- "$@" "$v/$seed_name"; done
  rm -rf -- "$@"
  step seed_given_up
}

# What the files hold now is what was there before, in the journal as well.
seed_tell() {
  set --
  for i in $seed_files; do get file_live $i; set -- "$@" "$v"; done
  flush "$@" 2>"$work.err" || fail stage cannot_flush_to_disk err
  step seed_flushed
  sums "$@"
  seed_n=0 seed_lines=
  for i in $seed_files; do
    get sum $seed_n; put file_before $i "$v"
    case $v in absent|unreadable) fail stage cannot_read_the_file - '' $i;; esac
    seed_lines="${seed_lines}seeded $i $v$nl" seed_n=$((seed_n+1))
  done
  { printf %s "$seed_lines" >>"$journal"; } 2>"$work.err" || { unwritten "$state"; fail stage cannot_write_the_journal err; }
  step seed_told
}
