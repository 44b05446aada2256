# The way back of the files. Idempotent and without a counter: what has to be done follows from which names
# exist, so it may itself be interrupted anywhere.

# -> conflicts, file_conflict_N, touched (whether a service may have seen the new files), restored (whether that is on disk),
# unwritten (whether one that is written in place could not be).
undo() {
  conflicts=0 touched=0 restored=1 unwritten=0 undo_flush=
  undo_generations
  i=0
  [ $n_files -gt 0 ] || touched=1
  set --
  while [ $i -lt $n_files ]; do
    put file_conflict $i 0
    get file_name $i; undo_name=$v; new_in $i
    if [ $armed = 0 ]; then :
    elif ! is_gone; then [ -e "$v/$undo_name" ] || touched=1
    elif [ ! -d "$v" ] || [ -e "$v/$undo_name" ]; then touched=1; fi
    i=$((i+1))
  done
  j=0
  while [ $j -lt $n_dirs ]; do get dir $j; set -- "$@" "$v/.certroll-$tx.new"; j=$((j+1)); done
  # First, so that no straggler of the switch can still find them.
  [ $# = 0 ] || rm -rf -- "$@"
  step new_removed
  [ $armed = 1 ] || return 0
  live_sums
  j=0
  while [ $j -lt $n_dirs ]; do undo_directory; j=$((j+1)); done
  # An earlier attempt may have removed a directory that was made.
  j=0; set --
  while [ $j -lt $n_dirs ]; do get dir $j; [ ! -d "${v:-/}" ] || set -- "$@" "${v:-/}"; j=$((j+1)); done
  eval "set -- \"\$@\" $undo_flush"
  [ $# = 0 ] || flush "$@" 2>/dev/null || restored=0
  step undone
}

# What a confirmation has moved whose record was lost with the power (finish.sh).
undo_generations() {
  j=0
  while [ $j -lt $n_dirs ]; do
    get dir $j; undo_dir=$v undo_kept_dir=$v/.certroll-$tx
    if [ ! -d "$undo_kept_dir" ] && [ -d "$undo_dir/.certroll/$tx" ]; then
      mv -- "$undo_dir/.certroll/$tx" "$undo_kept_dir" 2>/dev/null
      step taken_back
      rmdir -- "$undo_dir/.certroll" 2>/dev/null
      step emptied_removed
    fi
    j=$((j+1))
  done
}

undo_directory() {
  get dir $j; undo_dir=$v undo_kept_dir=$v/.certroll-$tx
  undo_back= undo_gone= undo_added= undo_over=
  files_of $j
  while [ $i -lt $end ]; do undo_decide; i=$((i+1)); done
  [ -z "$undo_over" ] || undo_in_place
  if [ -n "$undo_back" ]; then
    undo_later
    set --
    for i in $undo_back; do
      get file_name $i; undo_kept=$undo_kept_dir/$v; get file_no_rename $i
      if [ "$v" = 1 ]; then get file_live $i; replace_without_rename "$undo_kept" "$v"; else set -- "$@" "$undo_kept"; fi
    done
    [ $# = 0 ] || mv -f -- "$@" "$undo_dir/" 2>/dev/null
    step restored
    for i in $undo_back; do get file_name $i; [ ! -e "$undo_kept_dir/$v" ] || undo_conflict; done
  fi
  if [ -n "$undo_gone" ]; then
    # By a rename into the stage, which no straggler can make once that is gone: a removal could meet what
    # somebody puts there next.
    set --; for i in $undo_gone; do get file_live $i; set -- "$@" "$v"; done
    mv -f -- "$@" "$undo_kept_dir/" 2>/dev/null
    step taken_away
    for i in $undo_gone; do get file_live $i; [ ! -e "$v" ] || undo_conflict; done
  fi
  # No generation may have what was not there before.
  if [ -n "$undo_added" ]; then
    set --; for i in $undo_added; do get file_name $i; set -- "$@" "$undo_kept_dir/$v"; done
    rm -f -- "$@"
    step removed
  fi
}
# What goes back gets a later time than what it replaces, in whole seconds: some services (hitch) read a file again only
# when its time is later than that of the one that they loaded.
undo_later() {
  set --; undo_live_words=
  for i in $undo_back; do
    get file_name $i; set -- "$@" "$undo_kept_dir/$v"
    if [ -e "$undo_dir/$v" ]; then undo_live_words="$undo_live_words \"\$undo_dir/\$file_name_$i\""
    else undo_live_words="$undo_live_words \"\$undo_kept_dir/\$file_name_$i\""; fi
  done
  later "$@" -- "$undo_live_words"
  step made_later
}
undo_conflict() { put file_conflict $i 1; conflicts=$((conflicts+1)); }

# File $i: goes back, goes away, is left alone, or was changed by somebody else.
undo_decide() {
  get file_name $i; undo_kept=$undo_kept_dir/$v; get file_live $i; undo_live=$v
  get file_before $i; undo_before=$v; get file_after $i; undo_after=$v; get sum $i; undo_now=$v
  if [ "$undo_before" = absent ]; then
    undo_added="$undo_added $i"
    if [ "$undo_now" = "$undo_after" ]; then undo_gone="$undo_gone $i"
    elif [ "$undo_now" != absent ] || [ -e "$undo_live" ]; then undo_conflict; fi
  elif [ -e "$undo_kept" ]; then
    get file_in_place $i
    if [ "$v" = 1 ] && [ -e "$undo_live" ]; then undo_decide_in_place
    elif [ "$undo_live" -ef "$undo_kept" ]; then :
    elif [ "$undo_now" = "$undo_after" ] && ! is_gone; then undo_back="$undo_back $i"
    elif [ "$undo_now" = absent ] && [ ! -e "$undo_live" ]; then undo_back="$undo_back $i"
    elif [ "$undo_now" = "$undo_before" ]; then :
    else undo_conflict; fi
  elif [ "$undo_now" != "$undo_before" ]; then undo_conflict; fi
}

# Removes stages and created directories.
sweep_files() {
  j=0; set --
  while [ $j -lt $n_dirs ]; do get dir $j; set -- "$@" "$v/.certroll-$tx" "$v/.certroll-$tx.new"; j=$((j+1)); done
  [ $# = 0 ] || rm -rf -- "$@"
  step swept
  m=$n_made
  while [ $m -gt 0 ]; do
    m=$((m-1)); get made $m
    [ ! -d "$v" ] || rmdir -- "$v" 2>/dev/null
    step directory_removed
  done
}
