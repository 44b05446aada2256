# Bodies that this program alone can open, for a sudo that keeps what it is given: both sides make a key of one use and
# agree on a secret, which never travels and is gone with the last body. What sudo kept opens nothing then.
peer=

# -> sealed_public: our half in hex, for `hello`; `-` where bodies come as they are
sealed_key() {
  sealed_public=-
  [ -n "$peer" ] || return 0
  mkdir -- "$work.seal" 2>"$work.err" || fail stage cannot_make_a_key_for_sealed_bodies err
  step seal_made
  { echo "$peer" >"$work.seal/peer"; } 2>"$work.err" || fail stage cannot_make_a_key_for_sealed_bodies err
  sealed_openssl ecparam -name prime256v1 -genkey -noout -out "$work.seal/key"
  sealed_openssl pkey -in "$work.seal/key" -pubout -outform DER -out "$work.seal/public"
  sealed_openssl pkeyutl -derive -inkey "$work.seal/key" -peerkey "$work.seal/peer" -out "$work.seal/secret"
  v=$(digest <"$work.seal/secret"); v=${v%% *}
  { echo "$v" >"$work.seal/word"; } 2>"$work.err" || fail stage cannot_make_a_key_for_sealed_bodies err
  hex_head "$work.seal/public"; sealed_public=$v
  rm -f -- "$work.seal/key" "$work.seal/secret"
  step seal_agreed
}
sealed_openssl() {
  run 30 openssl "$@"
  [ $rc = 0 ] || fail stage cannot_make_a_key_for_sealed_bodies out $rc
}

# A sealed body from the request to standard output, as it was.
sealed_body() {
  { body || echo '!'; } | openssl enc -d -a -aes-256-cbc -pbkdf2 -iter 10000 -md sha256 -pass "file:$work.seal/word"
}

# No body is to come.
sealed_end() {
  [ -n "$peer" ] || return 0
  rm -rf -- "$work.seal"
  step seal_removed
}
