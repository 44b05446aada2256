# Files that are overwritten where they are, because a container has mounted them by themselves and would not see another
# file of their name. Not atomic: for a moment a reader sees a part of the file. What the way back needs is a copy, on disk
# before the first byte is overwritten. In the staging directory of the old files lies the new one too, under a name of ours:
# so a write that broke off can be told from what somebody else wrote.

in_place_new() { kept_in "$1"; v=$v/.certroll.$1; }

# Before anything is live: copies of the old ones in directory $j, and whether these can be written at all.
stage_in_place() {
  files_of $j; set --
  while [ $i -lt $end ]; do
    get file_in_place $i
    if [ "$v" = 1 ]; then
      get file_live $i
      { true >>"$v"; } 2>"$work.err" || fail stage cannot_write_the_file_in_place err '' $i
      set -- "$@" "$v"
    fi
    i=$((i+1))
  done
  [ $# = 0 ] || stage_copies "$@"
}

# File $i: arm_name, arm_kept, arm_before. Its copy must be of what was compared -> arm_note. The caller flushes.
arm_in_place() {
  sums "$arm_kept"
  [ "$sum_0" = "$arm_before" ] || fail commit cannot_keep_the_old_file - '' $i
  in_place_new $i; arm_note=$v
  new_in $i
  ln -- "$v/$arm_name" "$arm_note" 2>/dev/null || cp -p -- "$v/$arm_name" "$arm_note" 2>"$work.err" || fail commit cannot_keep_the_new_file err '' $i
  step noted
}

# All of them, in the order of the renames; each leaves the name under which it was staged first: it may be seen from then on.
switch_in_place() {
  i=0
  while [ $i -lt $n_files ]; do
    get file_in_place $i
    if [ "$v" = 1 ]; then
      get file_name $i; switch_name=$v; new_in $i; switch_from=$v/.certroll.$i
      mv -- "$v/$switch_name" "$switch_from" 2>"$work.err" || roll_back commit cannot_rename err
      step begun
      get file_live $i
      write_in_place "$switch_from" "$v" || roll_back commit cannot_write_the_file_in_place out $rc $i
      step overwritten
    fi
    i=$((i+1))
  done
}

# FROM TO. A command like a service's: whoever finds its program dead ends it. One that begins later than that finds no FROM,
# and leaves TO alone.
write_in_place() {
  run $t_flush sh -c 'exec 4<"$1" && [ -f "$2" ] && cat <&4 >"$2"' certroll "$1" "$2"
  step filled
  [ $rc = 0 ] || return 1
  [ ! "$1" -nt "$2" ] || touch -c -r "$1" -- "$2" 2>/dev/null
  step dated
}

# The way back of file $i, which is there and has a copy: undo_kept, undo_live, undo_now, undo_before, undo_after.
undo_decide_in_place() {
  if [ "$undo_now" = "$undo_before" ]; then
    # One that was written back has the time of its copy, or a later one.
    [ ! "$undo_kept" -nt "$undo_live" ] || undo_over="$undo_over $i"
  elif [ "$undo_now" = "$undo_after" ] || undo_is_part; then undo_over="$undo_over $i"
  else undo_conflict; fi
}

# Whether it is the beginning of the new file or of the old one, with zeros behind it where power was lost.
undo_is_part() {
  have wc || return 1
  undo_size=$(tr -d '\000' <"$undo_live" | wc -c); undo_seen=$(tr -d '\000' <"$undo_live" | digest)
  in_place_new $i
  for undo_whole in "$v" "$undo_kept"; do
    v=$(tr -d '\000' <"$undo_whole" 2>/dev/null | head -c $((undo_size)) | digest)
    [ "${v%% *}" != "${undo_seen%% *}" ] || return 0
  done
  return 1
}

# Those that undo_decide_in_place named -> unwritten: one could not be written, and nothing of what the way back needs may go.
undo_in_place() {
  for i in $undo_over; do
    get file_name $i; undo_kept=$undo_kept_dir/$v; get file_live $i; undo_live=$v
    later "$undo_kept" -- '"$undo_live"'
    step made_later
    write_in_place "$undo_kept" "$undo_live" || unwritten=1
    step written_back
    undo_flush="$undo_flush \"\$file_live_$i\""
  done
}

# Nothing can be said but that it is not known: whoever comes next tries again, the guard first.
unsettled() {
  echo "an old file cannot be written back in place; the disk may be full or read-only" >&2
  [ -z "$in_recovery" ] || exit 77
  unlock
  exit 1
}

# Our names in directory $j, which are no part of the generation.
finish_in_place() {
  [ $any_in_place = 1 ] || return 0
  files_of $j; set --
  while [ $i -lt $end ]; do set -- "$@" "$finish_kept/.certroll.$i"; i=$((i+1)); done
  rm -f -- "$@"
  step notes_removed
}
