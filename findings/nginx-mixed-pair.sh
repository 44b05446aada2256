#!/bin/sh
# nginx 1.22.1 (Debian 12): a certificate with an RSA key and an EC private key pass `nginx -t`, the server starts, and every
# handshake fails.
#
# Expected: that the check which loads the pair refuses it, as it refuses two RSA keys that do not belong together.
# OpenSSL keeps one certificate and one key per kind of key: the two go into different slots, and nothing compares them.
# It matters because `nginx -t` is what everybody runs before a reload: certroll compares the pair itself.
set -eu
VERSION=1.22.1-9+deb12u11
T=$(mktemp -d); pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$T"' EXIT
chmod 755 "$T"; cd "$T"
apt-get download -q "nginx=$VERSION" >download.log 2>&1 || { cat download.log; exit 2; }
dpkg-deb -x nginx_*.deb root
nginx=$T/root/usr/sbin/nginx

openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -out rsa.pem -days 30 -subj /CN=www.example.org 2>/dev/null
openssl genrsa -out other.key 2048 2>/dev/null
openssl ecparam -name prime256v1 -genkey -noout -out ec.key
port=${PORT:-42943}
configure() {
  cat >nginx.conf <<END
daemon off; pid $T/pid; error_log $T/error.log;
events {}
http {
  access_log off;
  client_body_temp_path $T/a; proxy_temp_path $T/b; fastcgi_temp_path $T/c; uwsgi_temp_path $T/d; scgi_temp_path $T/e;
  server { listen 127.0.0.1:$port ssl; ssl_certificate $T/rsa.pem; ssl_certificate_key $T/$1; }
}
END
}
check() { "$nginx" -t -q -p "$T" -c "$T/nginx.conf" 2>check.log; }
look() { openssl s_client -connect "127.0.0.1:$port" -servername www.example.org </dev/null 2>&1 || true; }

"$nginx" -v 2>&1
configure rsa.key; check && echo "its own key:            nginx -t accepts"
configure other.key; if check; then echo "CHANGED: another RSA key is accepted"; exit 1; fi
echo "another RSA key:        nginx -t refuses: $(grep -o 'key values mismatch' check.log | head -n 1)"
configure ec.key
if ! check; then echo "CHANGED: an EC key is refused: $(cat check.log)"; exit 1; fi
echo "an EC key:              nginx -t accepts"
"$nginx" -p "$T" -c "$T/nginx.conf" & pid=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -s pid ] && break; sleep 1; done
seen=$(look)
case $seen in
*'BEGIN CERTIFICATE'*) echo "CHANGED: a certificate is served"; exit 1;;
*'alert handshake failure'*) echo "an EC key, handshake:   alert handshake failure";;
*) echo "CHANGED: $seen"; exit 1;;
esac
