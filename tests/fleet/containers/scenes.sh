#!/bin/bash
# Services in containers of podman, on one host: namespaces of this script's own, a sshd on loopback, images made of this
# machine's programs. Usage: scenes.sh CERTROLL. Says one line per scene, and ends with 1 at the first that went wrong.
set -u
CERTROLL=$(readlink -f "$1")
[ "${SCENES_INSIDE-}" = 1 ] || exec env SCENES_INSIDE=1 unshare -m -n -p -f --kill-child --mount-proc --propagation private bash "$0" "$CERTROLL"
T=$(mktemp -d /tmp/certroll-containers.XXXXXX); chmod 755 "$T"; cd "$T" || exit 1
finish() { cd /; [ -z "$(podman ps -qa)" ] || podman rm -fa; [ -z "${uid-}" ] || as_user podman rm -fa; sed -n "s|^[0-9]* [0-9]* [^ ]* [^ ]* \\($T[^ ]*\\) .*|\\1|p" /proc/self/mountinfo | sort -r | xargs -r umount -l; rm -rf --one-file-system "$T"; }
trap 'finish >/dev/null 2>&1' EXIT
for d in /run /dev/shm /var/lib/certroll /etc/containers; do mkdir -p $d; mount -t tmpfs -o mode=755 t $d || exit 1; done
mkdir -p /run/sshd /run/lock; chmod 1777 /dev/shm; ip link set lo up
unset SSH_AUTH_SOCK CONTAINERS_CONF CONTAINERS_STORAGE_CONF XDG_RUNTIME_DIR
export HOME=$T/home XDG_STATE_HOME=$T/state LC_ALL=C.UTF-8; mkdir -p -m 700 "$HOME/.ssh"
# runc, because crun of Debian 12 refuses hybrid cgroups; limits below the hard ones, for machines without CAP_SYS_RESOURCE.
printf '[containers]\ndefault_ulimits = ["nofile=1024:4096", "nproc=1024:4096"]\n[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n' >/etc/containers/containers.conf
printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/root"\nrunroot = "%s/runroot"\n' "$T" "$T" >/etc/containers/storage.conf
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >/etc/containers/policy.json

wrong() { echo "WRONG: $*"; [ ! -s out ] || sed "s|$T|T|g" out; exit 1; }
right() { echo "right: $*"; }
# Whether within a minute COMMAND succeeds.
comes() { local n=0; until "$@"; do n=$((n+1)); [ $n -lt 300 ] || return 1; sleep 0.2; done; }
served() { echo | timeout 20 openssl s_client -connect 127.0.0.1:8443 -servername www.example.net 2>/dev/null | openssl x509 -noout -subject 2>/dev/null | sed -n 's/.*O = //p' | grep . || echo none; }
serves() { [ "$(served)" = "$1" ]; }

# An image of these programs and the libraries that they need.
image() {
  local name=$1 program file library; shift
  rm -rf img; mkdir -p img/bin img/lib64 img/etc/nginx/tls img/run img/tmp img/proc img/sys img/dev img/var/log/nginx img/var/lib/nginx; chmod 1777 img/tmp
  printf 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >img/etc/passwd; printf 'root:x:0:\nnogroup:x:65534:\n' >img/etc/group
  for program; do
    file=$(readlink -f "$(type -P "$program")") && cp "$file" "img/bin/$program"
    ldd "$file" | sed -nE 's/.* => (\/[^ ]+) .*/\1/p; s/^[[:space:]]*(\/[^ ]+) .*/\1/p' | while read -r library; do mkdir -p "img${library%/*}"; cp -Ln "$library" "img$library"; done
  done
  cat >img/etc/nginx/nginx.conf <<'N'
daemon off; worker_processes 1; pid /run/nginx.pid; error_log stderr notice;
events {}
http { access_log off; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
  server { listen 127.0.0.1:8443 ssl; ssl_certificate /etc/nginx/tls/cert.pem; ssl_certificate_key /etc/nginx/tls/key.pem; return 200 "ok\n"; } }
N
  tar -C img -c . >"$name.tar"
  podman import -c 'ENV PATH=/bin' -c 'CMD ["/bin/nginx","-c","/etc/nginx/nginx.conf"]' - "scene/$name" <"$name.tar" >out 2>&1 || wrong "no image $name"
}
# NAME OPTION... IMAGE: a container in this network, once it serves A
start() { local name=$1; shift; podman run -d --name "$name" --network=host "$@" >out 2>&1 || wrong "$name did not start"; comes serves A || { podman logs "$name" >out 2>&1; wrong "nginx does not serve in $name"; }; }
gone() { podman rm -f -t 1 "$1" >/dev/null 2>&1; comes serves none || wrong "$1 goes on"; }
fresh() { mkdir -p "$1"; cp pki/A/cert.pem pki/A/key.pem "$1/"; chmod 644 "$1/cert.pem"; chmod 600 "$1/key.pem"; }
# Digests, owners, modes
held() { (cd "$1" && sha256sum cert.pem key.pem && stat -c '%n %u:%g %a' cert.pem key.pem); }

# A in use, B renewed; S is signed with SHA-1, which the services' OpenSSL refuses, and the controller does not.
mkdir pki
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj '/CN=scene root' -keyout pki/ca.key -out pki/ca.pem 2>/dev/null
printf 'subjectAltName=DNS:www.example.net\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n' >pki/ext
for n in A B S; do
  mkdir pki/$n
  case $n in S) md=-sha1;; *) md=-sha256;; esac
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=www.example.net/O=$n" -keyout pki/$n/key.pem -out pki/$n/csr 2>/dev/null
  openssl x509 -req $md -in pki/$n/csr -CA pki/ca.pem -CAkey pki/ca.key -CAcreateserial -days 90 -extfile pki/ext -out pki/$n/cert.pem 2>/dev/null
done
ssh-keygen -q -t ed25519 -N '' -f hk; ssh-keygen -q -t ed25519 -N '' -f "$HOME/.ssh/id_ed25519"; cp "$HOME/.ssh/id_ed25519.pub" keys
printf 'Port 4222\nListenAddress 127.0.0.1\nPidFile %s/sshd.pid\nHostKey %s/hk\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nAuthorizedKeysFile %s/keys\n' "$T" "$T" "$T" >sshd.conf
/usr/sbin/sshd -D -E "$T/sshd.log" -f "$T/sshd.conf" &
comes test -s sshd.pid || wrong "no sshd"
printf '[127.0.0.1]:4222 %s\n' "$(cut -d' ' -f1,2 hk.pub)" >"$HOME/.ssh/known_hosts"
printf 'h1 ansible_host=127.0.0.1 ansible_port=4222 ansible_user=root\n' >inv.ini

# VERB PAIR DIRECTORY SERVICE LINE...: a run with one task -> rc, out
roll() {
  local verb=$1 pair=$2 directory=$3 service=$4 line; shift 4
  { printf -- '- hosts: all\n  tasks:\n    - certificate:\n        service: %s\n        source: {cert: %s/pki/%s/cert.pem, key: %s/pki/%s/key.pem}\n        dest: {cert: %s/cert.pem, key: %s/key.pem}\n        verify: {endpoint: "127.0.0.1:8443", server_name: www.example.net, backoff: 500ms}\n' "$service" "$T" "$pair" "$T" "$pair" "$directory" "$directory"
    for line; do printf '        %s\n' "$line"; done; } >play.yml
  "$CERTROLL" "$verb" -i inv.ini play.yml >out 2>&1; rc=$?
}
has() { grep -qF -- "$1" out || wrong "not said: $1"; }
# PAIR DIRECTORY SERVICE WHAT: renewed, quiet the second time; a pair that the service refuses is caught before anything changes.
renewed() {
  roll apply B "$2" "$3"; [ $rc = 0 ] || wrong "$1: the rollout failed"
  has "in a private copy of the container's mounts"; serves B || wrong "$1: $(served) is served"
  roll apply B "$2" "$3"; [ $rc = 0 ] || wrong "$1: the second run failed"
  has unchanged
  local before; before=$(held "$2"; podman ps -a --format '{{.Names}} {{.StartedAt}}')
  roll apply S "$2" "$3"; [ $rc = 2 ] || wrong "$1: a bad pair ended with $rc"
  has "refused by the service's own check in the container"; has "ca md too weak"; has untouched
  [ "$before" = "$(held "$2"; podman ps -a --format '{{.Names}} {{.StartedAt}}')" ] && serves B || wrong "$1: a bad pair changed something"
  right "$1: renewed, quiet, and a bad pair is caught inside"
}

image web nginx sh false
image bare nginx

D=$T/dir; fresh "$D"; start web -v "$D:/etc/nginx/tls:ro" scene/web
web='{name: nginx, container: web}'
roll plan B "$D" "$web"; [ $rc = 0 ] || wrong "no plan"
has "podman exec web nginx -s reload"; has "/etc/nginx/tls/cert.pem"
grep -q "sees the live files only" out && wrong "the check of the container passes with garbage"
renewed "a mounted directory" "$D" "$web"
before=$(held "$D")
roll apply A "$D" "$web" 'reload: ["false"]'; [ $rc = 2 ] || wrong "a reload that fails ended with $rc"
has "the reload in the container web failed"; has "rolled back"
[ "$before" = "$(held "$D")" ] && serves B || wrong "not as before the reload that failed"
roll apply A "$D" "$web" 'reload: [no-such-program]'; [ $rc = 2 ] || wrong "a reload without its program ended with $rc"
has "the container web has no such program"; [ "$before" = "$(held "$D")" ] || wrong "not as before"
right "a reload that fails goes back"
roll plan A "$D" "$web"
sed -i 's|^        verify:|        checks: [{command: [sleep, "1000"], timeout: 1000s}]\n&|' play.yml
"$CERTROLL" apply -i inv.ini play.yml >out 2>&1 & run=$!
comes serves A || wrong "the new certificate is not served before the confirmation"
kill -9 $run; wait $run 2>/dev/null; pkill -9 -P $$ -x sleep
comes serves B || wrong "nobody went back when the controller was killed: $(served) is served"
comes test "$before" = "$(held "$D")" || wrong "the files did not come back"
right "the controller killed in the middle: the host goes back by itself"
podman pause web >/dev/null || wrong "podman does not pause"
roll plan A "$D" "$web"; has "the container web is paused"
podman unpause web >/dev/null; podman stop -t 1 web >/dev/null
roll plan A "$D" "$web"; has "nginx (container web) is not running"
roll plan A "$D" '{name: nginx, container: other, engine: podman}'; has "knows no container other"
right "paused, stopped and missing are told apart"
gone web

D=$T/single; fresh "$D"
start one --read-only --tmpfs /run --tmpfs /tmp -v "$D/cert.pem:/etc/nginx/tls/cert.pem:ro" -v "$D/key.pem:/etc/nginx/tls/key.pem:ro" scene/bare
roll plan B "$D" '{name: nginx, container: one}'; has "as a single file"; has "restart: true"
renewed "single files, no shell, read-only, restarted" "$D" '{name: nginx, container: one, restart: true}'
gone one

podman volume create scene >/dev/null; D=$(podman volume inspect -f '{{.Mountpoint}}' scene); fresh "$D"
start vol -v scene:/etc/nginx/tls scene/bare
renewed "a named volume, no shell" "$D" '{name: nginx, container: vol, engine: podman}'
gone vol

D=$T/mapped; fresh "$D"; chown 100000:100000 "$D" "$D"/*
start mapped --uidmap 0:100000:65536 -v "$D:/etc/nginx/tls:ro" scene/bare
renewed "a user namespace" "$D" '{name: nginx, container: mapped}'
[ "$(stat -c %u:%g "$D/key.pem")" = 100000:100000 ] || wrong "the key's owner was not kept"
gone mapped

# An account of its own, in this namespace alone.
for f in passwd group subuid subgid; do cp /etc/$f $f; [ $f = passwd ] || [ $f = group ] || echo scene:200000:65536 >>$f; done
uid=20001; echo "scene:x:$uid:$uid::$T/scene:/bin/sh" >>passwd; echo "scene:x:$uid:" >>group
for f in passwd group subuid subgid; do [ -e /etc/$f ] || : >/etc/$f; mount --bind $f /etc/$f; done
mkdir -p "$T/scene" /run/user/$uid; chown $uid:$uid "$T/scene" /run/user/$uid; chmod 700 /run/user/$uid
as_user() { (cd / && runuser -u scene -- env HOME="$T/scene" XDG_RUNTIME_DIR=/run/user/$uid "$@"); }
D=$T/scene/tls; fresh "$D"; chown -R $uid:$uid "$D"
as_user podman import -c 'ENV PATH=/bin' -c 'CMD ["/bin/nginx","-c","/etc/nginx/nginx.conf"]' - scene/bare <bare.tar >out 2>&1 || wrong "no rootless image"
as_user podman run -d --name mine --network=host -v "$D:/etc/nginx/tls:ro" scene/bare >out 2>&1 || wrong "no rootless container"
comes serves A || wrong "the rootless container does not serve"
renewed "rootless" "$D" '{name: nginx, container: mine, user: scene}'
[ "$(stat -c %u "$D/key.pem")" = $uid ] || wrong "the rootless key's owner was not kept"
as_user podman rm -f -t 1 mine >/dev/null 2>&1
echo "all right"
