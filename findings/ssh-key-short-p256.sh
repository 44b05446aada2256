#!/bin/sh
# The crate ssh-key 0.7.0-rc.12 (and rc.11): an ECDSA key for P-256 whose number begins with a zero byte, in the file that OpenSSH itself
# writes, is refused with "length invalid". For P-384 and P-521 the same is read.
#
# Expected: that every file of ssh-keygen is read. OpenSSH writes the number as an mpint, without leading zeros, so it may be of any
# length up to the curve's; the crate takes 32 bytes at least, for every curve, and for P-256 that is all of them.
# It matters because one key in 512 is such a one, by chance when it is made (a number of 31 bytes with its first bit set has a
# zero in front again): one administrator of 512 cannot log in with a key that ssh takes. Pad the number before the crate reads it.
set -eu
VERSION=0.7.0-rc.12
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T"
mkdir src
cat >Cargo.toml <<END
[package]
name = "finding"
version = "0.0.0"
edition = "2021"
[dependencies]
ssh-key = "=$VERSION"
END
cat >src/main.rs <<'END'
fn main() {
    for file in std::env::args().skip(1) {
        match ssh_key::PrivateKey::read_openssh_file(&file) {
            Ok(key) => println!("{file} read, {}", key.algorithm()),
            Err(error) => println!("{file} {error}"),
        }
    }
}
END
export CARGO_HOME="$T/cargo" CARGO_TARGET_DIR="$T/target"
cargo build -q >build.log 2>&1 || { cat build.log; exit 2; }

# NAME DER: a key of SEC 1 whose number has one zero byte in front, written anew by ssh-keygen.
key() {
  { echo '-----BEGIN EC PRIVATE KEY-----'; printf "$2" | base64 | tr -d '\n' | fold -w 64; echo; echo '-----END EC PRIVATE KEY-----'; } >"$1"
  chmod 600 "$1"
  ssh-keygen -q -p -P '' -N '' -f "$1" >log 2>&1 && ssh-keygen -y -f "$1" >"$1.pub" || { cat log; exit 2; }
  grep -q 'BEGIN OPENSSH PRIVATE KEY' "$1" || { echo "ssh-keygen does not write its own format"; exit 2; }
}
# COUNT: so many bytes of a number
bytes() { n=$1; while [ "$n" -gt 0 ]; do printf '\\125'; n=$((n - 1)); done; }
key p256 "\\060\\061\\002\\001\\001\\004\\040\\000$(bytes 31)\\240\\012\\006\\010\\052\\206\\110\\316\\075\\003\\001\\007"
key p384 "\\060\\076\\002\\001\\001\\004\\060\\000$(bytes 47)\\240\\007\\006\\005\\053\\201\\004\\000\\042"
key p521 "\\060\\120\\002\\001\\001\\004\\102\\000$(bytes 65)\\240\\007\\006\\005\\053\\201\\004\\000\\043"

ssh -V 2>&1
echo "ssh-key $VERSION"
"$T/target/debug/finding" p256 p384 p521 >seen
cat seen
printf '%s\n' 'p256 length invalid' 'p384 read, ecdsa-sha2-nistp384' 'p521 read, ecdsa-sha2-nistp521' | cmp -s - seen ||
  { echo "CHANGED"; exit 1; }
