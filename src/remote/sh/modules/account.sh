# What `user` and `group` share: entries of the host's accounts, by whatever name service it has.

# DATABASE KEY -> v, the whole entry; empty when there is none
entry() {
  v=
  if have getent; then v=$(getent "$1" "$2" 2>/dev/null)
  else v=$(ENTRY=$2 awk -F: '$1 == ENVIRON["ENTRY"] || $3 == ENVIRON["ENTRY"] { print; exit }' "/etc/$1" 2>/dev/null); fi
}

# What changes accounts: an exit code other than 0 is a failure.
account_do() {
  have "$1" || refuse "this host has no $1"
  run 120 "$@"
  [ $rc = 0 ] || { cp -- "$work.out" "$work.err"; refuse "\`$1\` exited with code $rc"; }
}
