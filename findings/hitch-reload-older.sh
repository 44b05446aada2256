#!/bin/sh
# hitch 1.7.2 (Debian 12): a reload reads a certificate file again only if its modification time is later than that of the file it
# has loaded. A renewed file with an older time, or with the same one, is left out, and the log says "Config reloaded" all the same.
#
# Expected: that a reload loads what the configuration names, or that a file counts as changed when its time is different.
# It matters because `cp -p`, `rsync -t`, `tar -x` and a restored backup all bring a time of their own: a certificate renewed
# yesterday and copied today over one that was made here this morning is never served, and nothing says so.
set -eu
VERSION=1.7.2-1+b1
T=$(mktemp -d); pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$T"' EXIT
[ "$(id -u)" != 0 ] || { echo "run it as an ordinary user: hitch refuses workers that are root"; exit 2; }
cd "$T"
apt-get download -q "hitch=$VERSION" >download.log 2>&1 || { cat download.log; exit 2; }
dpkg-deb -x hitch_*.deb root
hitch=$T/root/usr/sbin/hitch

for name in first second; do
  openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out crt -days 30 -subj "/CN=$name" 2>/dev/null
  cat crt key >"$name.pem"
done
port=${PORT:-42944}
printf '%s\n' "frontend = \"[127.0.0.1]:$port\"" 'backend = "[127.0.0.1]:9"' "pem-file = \"$T/site.pem\"" 'workers = 1' \
  'syslog = off' >hitch.conf
# CONTENT TIME: puts the certificate there with that modification time
put() { cp "$1.pem" site.pem; touch -d "$2" site.pem; }
served() { openssl s_client -connect "127.0.0.1:$port" </dev/null 2>/dev/null | openssl x509 -noout -subject 2>/dev/null | sed 's/.*= *//'; }
reloads() { grep -c 'Config reloaded' log || true; }
# Reloads, and waits until the log says that it is done.
reload() {
  before=$(reloads); kill -HUP "$pid"
  for _ in 1 2 3 4 5 6 7 8 9 10; do [ "$(reloads)" = "$before" ] || break; sleep 1; done
  [ "$(reloads)" != "$before" ] || { echo "CHANGED: the log does not say that it reloaded: $(tail -n 3 log)"; exit 1; }
  sleep 2
}
# WHAT EXPECTED: one line of what was seen
say() {
  now=$(served)
  [ "$now" = "$2" ] || { echo "CHANGED: $1: serves ${now:-nothing}, not $2"; exit 1; }
  echo "$1: serves $now"
}

"$hitch" --version
put first '2026-01-02 12:00:00.5'
"$hitch" --config "$T/hitch.conf" >log 2>&1 & pid=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -n "$(served)" ] && break; sleep 1; done
kill -0 "$pid" 2>/dev/null || { echo "it did not start: $(cat log)"; exit 2; }
say 'started with the first certificate          ' first
put second '2026-01-02 11:00:00.5'; reload; say 'second one, an hour older, "Config reloaded"' first
put second '2026-01-02 12:00:00.5'; reload; say 'second one, same time, "Config reloaded"    ' first
put second '2026-01-02 12:00:00.6'; reload; say 'second one, a tenth of a second later       ' second
