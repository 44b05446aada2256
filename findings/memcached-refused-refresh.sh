#!/bin/sh
# memcached 1.6.18 (Debian 12): `refresh_certs` with a new certificate whose key has not arrived yet is answered with an error, and
# from then on every new TLS connection fails, also when the pair is complete: the command that would load it needs a connection.
# Only one that was open before can still send it.
#
# Expected: that what is refused changes nothing, and that the old pair stays in use. But the certificate goes into the context in
# use before the key is looked at, and OpenSSL drops the old key, which does not fit it.
# It matters because a pair is two files: a refresh between the two renames may cost a restart, and the cache its contents. So
# whoever refreshes opens the connection first, and keeps it until a handshake has shown the new certificate.
set -eu
VERSION=1.6.18-1+deb12u1
T=$(mktemp -d); pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$T"' EXIT
[ "$(id -u)" != 0 ] || { echo "run it as an ordinary user: memcached refuses to be root"; exit 2; }
cd "$T"
apt-get download -q "memcached=$VERSION" >download.log 2>&1 || { cat download.log; exit 2; }
dpkg-deb -x memcached_*.deb root
memcached=$T/root/usr/bin/memcached
if ldd "$memcached" | grep 'not found'; then exit 2; fi

for name in first second third; do
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$name.key" -out "$name.pem" -days 30 -subj "/CN=$name" 2>/dev/null
done
port=${PORT:-42946}
look() { openssl s_client -connect "127.0.0.1:$port" </dev/null 2>&1 || true; }
served() { look | openssl x509 -noout -subject 2>/dev/null | sed 's/.*= *//'; }
refresh() {
  { printf 'refresh_certs\r\n'; sleep 2; printf 'quit\r\n'; } |
    openssl s_client -quiet -connect "127.0.0.1:$port" 2>/dev/null | tr -d '\r' || true
}
# WHAT EXPECTED: one line of what was seen
say() {
  now=$(served)
  [ "$now" = "$2" ] || { echo "CHANGED: $1: serves ${now:-nothing}, not $2"; exit 1; }
  printf "%-38s %s\n" "$1:" "serves $now"
}
fails() {
  seen=$(look)
  case $seen in
  *'BEGIN CERTIFICATE'*) echo "CHANGED: $1: a certificate is served"; exit 1;;
  *'alert handshake failure'*) printf "%-38s %s\n" "$1:" "alert handshake failure";;
  *) echo "CHANGED: $1: $seen"; exit 1;;
  esac
}

"$memcached" --version
cp first.pem site.pem; cp first.key site.key
"$memcached" -Z -l 127.0.0.1 -p "$port" -o "ssl_chain_cert=$T/site.pem,ssl_key=$T/site.key" >log 2>&1 & pid=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -n "$(served)" ] && break; sleep 1; done
kill -0 "$pid" 2>/dev/null || { echo "it did not start: $(cat log)"; exit 2; }
say 'started' first
# A connection that stays open: it sends the command when there is a file "go".
{ while [ -d "$T" ] && [ ! -e go ]; do sleep 1; done; printf 'refresh_certs\r\n'; sleep 2; printf 'quit\r\n'; } |
  openssl s_client -quiet -connect "127.0.0.1:$port" >kept 2>/dev/null & kept=$!
sleep 1
cp second.pem site.pem; cp second.key site.key
printf "%-38s %s\n" "both files renewed, refresh_certs:" "answers $(refresh)"
say 'after it' second
cp third.pem site.pem
reply=$(refresh)
case $reply in
*'key values mismatch'*) printf "%-38s %s\n" "certificate renewed, key not yet:" "answers \"key values mismatch\"";;
*) echo "CHANGED: refresh_certs answers: $reply"; exit 1;;
esac
fails 'after it'
cp third.key site.key
fails 'key renewed as well'
reply=$(refresh)
[ -z "$reply" ] || { echo "CHANGED: refresh_certs can be sent again: $reply"; exit 1; }
fails 'after another try of refresh_certs'
: >go; wait "$kept" || true
reply=$(tr -d '\r' <kept)
[ "$reply" = OK ] || { echo "CHANGED: the open connection is answered: $reply"; exit 1; }
printf "%-38s %s\n" "refresh_certs, connection from before:" "answers $reply"
say 'after it' third
