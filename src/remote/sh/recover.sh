# What earlier runs left: every journal, then stages that no journal knows.

recover() {
  set +f; set -- "$state"/j.* "$state"/undo.* "$state"/done.* "$state"/conflict.*; set -f
  for e; do
    [ -f "$e" ] || continue
    say recovering
    # A process of its own: the request's variables are in the same places as the journal's.
    ( apart=1; recover_one "$e" ) </dev/null
    step recovered
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
  [ -z "$booting" ] || ns=0
  case ${1##*/} in
  done.*)
    # Its writer may have died before it was on disk, and the old files go now.
    flush "$state" 2>/dev/null || return 0
    step record_flushed
    finish
    rm -f -- "$J"
    step journal_removed
    say recovered tx=$tx end=new reload=- conflicts=0;;
  conflict.*)
    # Told once. The bytes that could not go back stay as a generation.
    [ $keep -gt 0 ] || keep=1
    finish
    rm -f -- "$J"
    step journal_removed
    say recovered tx=$tx end=conflict reload=- conflicts=1;;
  *)
    if ! journal_claim; then
      # A confirmation that outlived its program was first.
      [ ! -e "$state/done.$tx" ] || recover_one "$state/done.$tx"
      return
    fi
    back
    say recovered tx=$tx end=old reload=$rrc conflicts=$conflicts;;
  esac
}

# Staging directories of ours in directory $1 without a journal: power was lost before it was on disk, so
# before anything was renamed.
orphans() {
  cd -- "${1:-/}" 2>/dev/null || return 0
  orphans_d=${PWD%/}
  set +f; set -- .certroll-*; set -f
  cd /
  for e; do
    e=$orphans_d/$e
    [ -d "$e" ] && [ ! -L "$e" ] && [ -O "$e" ] || continue
    v=${e##*/.certroll-}; v=${v%.new}
    case $v in *[!A-Za-z0-9-]*|'') continue;; esac
    for k in j undo done conflict; do [ ! -e "$state/$k.$v" ] || continue 2; done
    rm -rf -- "$e"
    step orphan_removed
  done
}
