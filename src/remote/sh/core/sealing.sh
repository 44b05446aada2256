# What this program alone can open, for a sudo that keeps what it is given: both sides make a key of one use and agree on
# a secret, which never travels. What sudo kept opens nothing then.

# DIR: our half of it -> v, its public part in hex. 1: $work.out tells why there is none
sealing_half() {
  sealing_run ecparam -name prime256v1 -genkey -noout -out "$1/key" &&
    sealing_run pkey -in "$1/key" -pubout -outform DER -out "$1/public" || return 1
  hex_head "$1/public"
}
# DIR PEER: with the other half, in PEM, what opens it. 1: likewise
sealing_agree() {
  { echo "$2" >"$1/peer"; } 2>"$work.out" &&
    sealing_run pkeyutl -derive -inkey "$1/key" -peerkey "$1/peer" -out "$1/secret" || return 1
  v=$(digest <"$1/secret"); v=${v%% *}
  { echo "$v" >"$1/word"; } 2>"$work.out"
}
sealing_run() { run 30 openssl "$@"; [ $rc = 0 ]; }

# DIR FILE NEW: a file for who has the other half.
sealing_seal() { sealing_run enc -aes-256-cbc -pbkdf2 -iter 10000 -md sha256 -pass "file:$1/word" -in "$2" -out "$3"; }
# DIR: opens what comes on standard input, in base64.
sealing_open() { openssl enc -d -a -aes-256-cbc -pbkdf2 -iter 10000 -md sha256 -pass "file:$1/word"; }
