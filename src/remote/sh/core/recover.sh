# What earlier runs left: every journal, then stages that no journal knows.

recover() {
  set +f; set -- "$state"/j.* "$state"/undo.* "$state"/done.* "$state"/conflict.*; set -f
  for recover_file; do
    [ -f "$recover_file" ] || continue
    say recovering
    # A process of its own: the request's variables are in the same places as the journal's.
    ( in_recovery=1 self_pid=$(exec sh -c 'echo $PPID'); recover_one "$recover_file" ) </dev/null
    recover_rc=$?
    step recovered
    [ $recover_rc != 77 ] || leave 1 failed step=recover why=an_old_file_cannot_be_written_back_in_place out= rc=- file=- service=- check=-
  done
  boot_orphans
}

recover_one() {
  if ! journal_read "$1"; then
    rm -f -- "$1"
    step torn_removed
    return
  fi
  # At boot services are not started yet, and who tells one to reload would wait for that.
  [ -z "$booting" ] || n_services=0
  journal_limit; end_within "$v"
  recover_journal
  end_within_stop
}

recover_journal() {
  case ${journal##*/} in
  done.*)
    # Its writer may have died before it was on disk, and the old files go now.
    generations
    flush_finished || return 0
    step record_flushed
    finish
    recover_finished
    say recovered tx=$tx end=new reload=- conflicts=0 by=$by;;
  conflict.*)
    # Told once. The bytes that could not go back stay as a generation.
    [ $keep -gt 0 ] || keep=1
    marks=' '
    generations
    flush_finished
    step conflict_flushed
    finish
    recover_finished
    say recovered tx=$tx end=conflict reload=- conflicts=1 by=$by;;
  *)
    if ! journal_claim; then
      # A confirmation that outlived its program was first.
      recover_done=$state/done.$tx
      if [ -e "$recover_done" ] && journal_read "$recover_done"; then recover_journal; fi
      return
    fi
    restore
    say recovered tx=$tx end=old reload=$back_worst conflicts=$conflicts by=$by;;
  esac
}

recover_finished() {
  eval "rm -rf -- $litter \"\$journal\""
  step journal_removed
}

# Staging directories of ours in directory $1 without a journal: power was lost before it was on disk, so
# before anything was renamed, or before it was on disk that they were removed.
orphans() {
  cd -- "${1:-/}" 2>/dev/null || return 0
  orphans_dir=${PWD%/}
  set +f; set -- .certroll-*; set -f
  cd /
  for orphans_entry; do
    orphans_entry=$orphans_dir/$orphans_entry
    [ -d "$orphans_entry" ] && [ ! -L "$orphans_entry" ] && [ -O "$orphans_entry" ] || continue
    v=${orphans_entry##*/.certroll-}; v=${v%.new}
    case $v in *[!A-Za-z0-9-]*|'') continue;; esac
    for orphans_kind in j undo done conflict; do [ ! -e "$state/$orphans_kind.$v" ] || continue 2; done
    rm -rf -- "$orphans_entry"
    step orphan_removed
  done
}
