# The body that comes with the request of a command or a module: as it is, or sealed where it would be recorded.
input=none input_allowed=0 input_key=

# Before it is asked for -> input_key, our half of what seals it. 1: it must not come.
input_begin() {
  [ $input != none ] || return 0
  input_recorded
  [ $v = 1 ] || return 0
  if have openssl && sealing_run enc -aes-256-cbc -pbkdf2 -iter 10000 -md sha256 -pass pass:probe -in /dev/null &&
    mkdir -- "$work.seal" 2>/dev/null && sealing_half "$work.seal"; then input_key=$v
  else [ $input_allowed = 1 ]; fi
}

# After it was asked for: reads the other half, where ours was told.
input_agree() {
  [ -n "$input_key" ] || return 0
  IFS= read -r line <&3 || exit 1
  dec "$line"; sealing_agree "$work.seal" "$v"
}

# To standard output.
input_body() {
  if [ -n "$input_key" ]; then { body || echo '!'; } | sealing_open "$work.seal"
  elif [ $input = text ]; then body
  else { body || echo '!'; } | base64 -d; fi
}
