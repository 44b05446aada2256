#!/bin/sh
# mosquitto 2.0.11 (Debian 12): after a change from an EC certificate to an RSA one, a reload (SIGHUP) goes on serving the EC
# certificate, which is no longer on the disk. Only a client that cannot do ECDSA gets the new one.
#
# Expected: the certificate of the configured file, and no other; the manual says that it is reloaded on SIGHUP, and a renewal with
# the same kind of key is. The reload loads into the context in use, where OpenSSL keeps one pair for each kind of key and prefers
# the EC one.
# It matters because the old certificate is then served until somebody restarts it, and a probe that offers RSA only says that all is
# well.
set -eu
VERSION=2.0.11-1.2+deb12u2
T=$(mktemp -d); pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$T"' EXIT
[ "$(id -u)" != 0 ] || { echo "run it as an ordinary user: mosquitto becomes another one, who cannot read these files"; exit 2; }
cd "$T"
apt-get download -q "mosquitto=$VERSION" >download.log 2>&1 || { cat download.log; exit 2; }
dpkg-deb -x mosquitto_*.deb root
mosquitto=$T/root/usr/sbin/mosquitto
if ldd "$mosquitto" | grep 'not found'; then exit 2; fi

# NAME KEY...
certificate() {
  name=$1; shift
  openssl req -x509 -newkey "$@" -nodes -keyout "$name.key" -out "$name.pem" -days 30 -subj "/CN=$name" 2>/dev/null
}
certificate old-ec ec -pkeyopt ec_paramgen_curve:prime256v1
certificate new-ec ec -pkeyopt ec_paramgen_curve:prime256v1
certificate new-rsa rsa:2048
port=${PORT:-42945}
printf '%s\n' 'allow_anonymous true' "listener $port 127.0.0.1" "certfile $T/site.pem" "keyfile $T/site.key" >mosquitto.conf
put() { cp "$1.pem" site.pem; cp "$1.key" site.key; }
served() {
  openssl s_client -connect "127.0.0.1:$port" "$@" </dev/null 2>/dev/null | openssl x509 -noout -subject 2>/dev/null | sed 's/.*= *//'
}
start() {
  "$mosquitto" -c mosquitto.conf >log 2>&1 & pid=$!
  for _ in 1 2 3 4 5 6 7 8 9 10; do [ -n "$(served)" ] && break; sleep 1; done
  kill -0 "$pid" 2>/dev/null || { echo "it did not start: $(cat log)"; exit 2; }
}
# WHAT EXPECTED [OPTION...]: one line of what was seen by a client with these options
say() {
  what=$1 expected=$2; shift 2
  now=$(served "$@")
  [ "$now" = "$expected" ] || { echo "CHANGED: $what: serves ${now:-nothing}, not $expected"; cat log; exit 1; }
  echo "$what: serves $now"
}

"$mosquitto" -h | head -n 1
put old-ec; start
say 'started with an EC certificate   ' old-ec
put new-ec; kill -HUP "$pid"; sleep 2
say 'EC to EC, SIGHUP                 ' new-ec
put new-rsa; kill -HUP "$pid"; sleep 2
say 'EC to RSA, SIGHUP                ' new-ec
say 'the same, a client with RSA only ' new-rsa -sigalgs RSA-PSS+SHA256
kill "$pid"; wait "$pid" || true; start
say 'restarted                        ' new-rsa
