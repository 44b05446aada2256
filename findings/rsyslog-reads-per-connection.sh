#!/bin/sh
# rsyslog 8.2302.0 with its GnuTLS driver (Debian 12): certificate and key are read for every single connection, without a reload,
# and nothing compares them. With a new certificate and the key of the old one, a client is sent the new certificate, and the
# handshake fails after it.
#
# Expected: that the files are read once, at the start, as the rest of the configuration is; and that a key which is not the
# certificate's is refused, as programs with OpenSSL refuse it.
# It matters twice: between the renames of the two files each new sender is turned away, without any reload having been asked for;
# and a probe that only looks at which certificate is sent takes this server for renewed. `rsyslogd -N1` passes in all these cases.
set -eu
VERSION=8.2302.0-1+deb12u2
T=$(mktemp -d); pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$T"' EXIT
cd "$T"
apt-get download -q "rsyslog=$VERSION" "rsyslog-gnutls=$VERSION" libestr0=0.1.11-1 libfastjson4=1.2304.0-1 >download.log 2>&1 ||
  { cat download.log; exit 2; }
for package in ./*.deb; do dpkg-deb -x "$package" root; done
library=$(dirname "$T"/root/usr/lib/*/rsyslog)
# An argument list, not a function: in the background a function would leave the program behind when it is killed.
set -- env "LD_LIBRARY_PATH=$library" "$T/root/usr/sbin/rsyslogd" -M "$library/rsyslog" -f "$T/rsyslog.conf" -i "$T/pid"

for name in first second third; do
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$name.key" -out "$name.pem" -days 30 -subj "/CN=$name" 2>/dev/null
done
port=${PORT:-42947}
cat >rsyslog.conf <<END_OF_CONFIGURATION
global(workDirectory="$T" defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="$T/first.pem"
       defaultNetstreamDriverCertFile="$T/site.pem" defaultNetstreamDriverKeyFile="$T/site.key")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
input(type="imtcp" port="$port" address="127.0.0.1")
*.* action(type="omfile" file="$T/messages")
END_OF_CONFIGURATION
# WHAT EXPECTED: one line of what a client sees: the certificate, and whether the handshake was completed
say() {
  openssl s_client -connect "127.0.0.1:$port" </dev/null >client 2>&1 || true
  now="$(openssl x509 -noout -subject <client 2>/dev/null | sed 's/.*= *//')"
  if grep -q 'Cipher is (NONE)' client; then now="$now, handshake failed"; else now="$now, handshake completed"; fi
  [ "$now" = "$2" ] || { echo "CHANGED: $1: $now, not $2"; cat client; exit 1; }
  echo "$1: $now"
}

"$@" -v | head -n 1
cp first.pem site.pem; cp first.key site.key
"$@" -n >log 2>&1 & pid=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do openssl s_client -connect "127.0.0.1:$port" </dev/null >/dev/null 2>&1 && break; sleep 1; done
if ! kill -0 "$pid" 2>/dev/null || grep -q 'in use' log; then echo "it did not start: $(cat log)"; exit 2; fi
say 'started                          ' 'first, handshake completed'
cp second.pem site.pem; cp second.key site.key
say 'both files renewed, no reload    ' 'second, handshake completed'
cp third.pem site.pem
say 'certificate renewed, key not yet ' 'third, handshake failed'
if ! "$@" -N1 >check.log 2>&1; then echo "CHANGED: rsyslogd -N1 refuses it: $(cat check.log)"; exit 1; fi
echo 'the same, rsyslogd -N1           : accepts'
cp third.key site.key
say 'key renewed as well, no reload   ' 'third, handshake completed'
