# Bodies of a transaction that it alone can open (core/sealing.sh), gone with the last of them.
peer=

# -> sealed_public: our half in hex, for `hello`; `-` where bodies come as they are
sealed_key() {
  sealed_public=-
  [ -n "$peer" ] || return 0
  mkdir -- "$work.seal" 2>"$work.err" || fail stage cannot_make_a_key_for_sealed_bodies err
  step seal_made
  sealing_half "$work.seal" || fail stage cannot_make_a_key_for_sealed_bodies out
  sealed_public=$v
  sealing_agree "$work.seal" "$peer" || fail stage cannot_make_a_key_for_sealed_bodies out
  rm -f -- "$work.seal/key" "$work.seal/secret"
  step seal_agreed
}

# A sealed body from the request to standard output, as it was.
sealed_body() {
  { body || echo '!'; } | sealing_open "$work.seal"
}

# No body is to come.
sealed_end() {
  [ -n "$peer" ] || return 0
  rm -rf -- "$work.seal"
  step seal_removed
}
