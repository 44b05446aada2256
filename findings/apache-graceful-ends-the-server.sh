#!/bin/sh
# Apache httpd 2.4.71 (Debian 12): with a key that does not belong to the certificate, `configtest` and `graceful` both exit with 0,
# and then the server is gone.
#
# Expected: that the check loads the pair, or that a graceful restart that cannot go on leaves the running server alone (as
# nginx and HAProxy do), or at least an exit code.
# It matters because a rollout that trusts these exit codes ends in an outage that nobody is told of: certroll compares the pair
# itself, looks by a handshake, and starts the service again when it was up before and is down after.
set -eu
VERSION=2.4.71-1~deb12u1
T=$(mktemp -d)
trap 'kill "$(cat "$T/pid" 2>/dev/null)" 2>/dev/null || true; rm -rf "$T"' EXIT
chmod 755 "$T"; cd "$T"
apt-get download -q "apache2-bin=$VERSION" >download.log 2>&1 || { cat download.log; exit 2; }
dpkg-deb -x apache2-bin_*.deb root
apache=$T/root/usr/sbin/apache2; modules=$T/root/usr/lib/apache2/modules
port=${PORT:-42944}
openssl req -x509 -newkey rsa:2048 -nodes -keyout own.key -out cert.pem -days 30 -subj /CN=www.example.org 2>/dev/null
openssl genrsa -out other.key 2048 2>/dev/null
cp own.key live.key
cat >httpd.conf <<END
ServerRoot $T
ServerName www.example.org
PidFile $T/pid
ErrorLog $T/error.log
Mutex file:$T default
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule ssl_module $modules/mod_ssl.so
Listen 127.0.0.1:$port https
SSLEngine on
SSLCertificateFile $T/cert.pem
SSLCertificateKeyFile $T/live.key
END
served() { openssl s_client -connect "127.0.0.1:$port" </dev/null 2>/dev/null | grep -q 'BEGIN CERTIFICATE'; }
within() { # SECONDS COMMAND...: until it is so
  left=$1; shift
  while ! "$@"; do left=$((left - 1)); [ "$left" -gt 0 ] || return 1; sleep 1; done
}
gone() { ! kill -0 "$1" 2>/dev/null; }

"$apache" -v
"$apache" -f "$T/httpd.conf" -k start
within 20 served || { echo "the server did not start:"; cat error.log; exit 2; }
pid=$(cat pid); echo "the pair that fits:      served"
cp other.key live.key
"$apache" -f "$T/httpd.conf" -t 2>check.log || { echo "CHANGED: configtest refuses: $(cat check.log)"; exit 1; }
echo "another key, configtest: exit code 0, $(tail -n 1 check.log)"
"$apache" -f "$T/httpd.conf" -k graceful || { echo "CHANGED: graceful exits with $?"; exit 1; }
echo "another key, graceful:   exit code 0"
within 20 gone "$pid" || { echo "CHANGED: the server goes on"; exit 1; }
if served; then echo "CHANGED: something is served"; exit 1; fi
echo "then:                    the server has ended: $(grep -o 'AH02565.*' error.log | head -n 1 | cut -c1-80)"
