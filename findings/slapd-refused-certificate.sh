#!/bin/sh
# slapd 2.5.13 (OpenLDAP, Debian 12, with GnuTLS): an `ldapmodify` of olcTLSCertificateFile whose files do not fit together is answered
# with error 80 and changes nothing in cn=config, and from then on every new TLS connection fails all the same. It stays so when the
# right key is put beside the certificate, until cn=config is modified once more.
#
# Expected: that a change which was refused leaves things as they were, TLS as the configuration.
# It matters because a renewal writes two files. Whoever tells slapd between the two gets an error, sees in cn=config that nothing
# has changed, and has no TLS any more.
set -eu
VERSION=2.5.13+dfsg-5
T=$(mktemp -d); pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$T"' EXIT
cd "$T"
apt-get download -q "slapd=$VERSION" "ldap-utils=$VERSION" "libldap-2.5-0=$VERSION" libodbc2 libltdl7 libsasl2-2 >download.log 2>&1 ||
  { cat download.log; exit 2; }
for package in ./*.deb; do dpkg-deb -x "$package" root; done
LD_LIBRARY_PATH=$(dirname "$T"/root/usr/lib/*/libldap-2.5.so.0); export LD_LIBRARY_PATH
slapd=$T/root/usr/sbin/slapd

for name in first second; do
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$name.key" -out "$name.pem" -days 30 -subj "/CN=$name" 2>/dev/null
done
port=${PORT:-42951}
cat >config.ldif <<END
dn: cn=config
objectClass: olcGlobal
cn: config
olcTLSCertificateFile: $T/site.pem
olcTLSCertificateKeyFile: $T/site.key

dn: olcDatabase={0}config,cn=config
objectClass: olcDatabaseConfig
olcDatabase: {0}config
olcAccess: to * by dn.exact=gidNumber=$(id -g)+uidNumber=$(id -u),cn=peercred,cn=external,cn=auth manage by * none
END
socket=ldapi://$(echo "$T/socket" | sed 's#/#%2F#g')
# Tells slapd of the files' names again, which makes it read them; prints the exit code, which is LDAP's.
tell() {
  code=0
  "$T/root/usr/bin/ldapmodify" -Q -Y EXTERNAL -H "$socket" >told 2>&1 <<END || code=$?
dn: cn=config
changetype: modify
replace: olcTLSCertificateFile
olcTLSCertificateFile: $T/site.pem
-
replace: olcTLSCertificateKeyFile
olcTLSCertificateKeyFile: $T/site.key
END
  echo "$code"
}
served() { openssl s_client -connect "127.0.0.1:$port" </dev/null 2>/dev/null | openssl x509 -noout -subject 2>/dev/null | sed 's/.*= *//'; }
# WHAT NOW EXPECTED: one line of what was seen
say() {
  [ "$2" = "$3" ] || { echo "CHANGED: $1: ${2:-nothing}, not ${3:-nothing}"; cat told 2>/dev/null; exit 1; }
  echo "$1: ${2:-no certificate, the handshake fails}"
}

"$slapd" -VV 2>&1 | head -n 1
cp first.pem site.pem; cp first.key site.key; mkdir config
"$T/root/usr/sbin/slapadd" -n 0 -F config -l config.ldif >add.log 2>&1 || { cat add.log; exit 2; }
"$slapd" -d 0 -h "ldaps://127.0.0.1:$port $socket" -F "$T/config" >log 2>&1 & pid=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -n "$(served)" ] && break; sleep 1; done
kill -0 "$pid" 2>/dev/null || { echo "it did not start: $(cat log)"; exit 2; }
say 'started, served                        ' "$(served)" first
cp second.pem site.pem
say 'certificate renewed, key not yet: error' "$(tell)" 80
say 'then served                            ' "$(served)" ''
cp second.key site.key
say 'key renewed as well, served            ' "$(served)" ''
say 'told again: error                      ' "$(tell)" 0
say 'then served                            ' "$(served)" second
