#!/bin/bash
# Services in containers, on one host: namespaces of this script's own, a sshd on loopback, images made of this machine's
# programs. Usage: scenes.sh CERTROLL podman|docker [cost]; docker's daemon is one of its own. With `cost`, instead of the
# scenes: how many processes a rollout takes there and for the same service without a container. Says one line per scene, and ends with 1 at the first that went wrong.
set -u
CERTROLL=$(readlink -f "$1") ENGINE=$2 WHAT=${3-scenes}
[ "${SCENES_INSIDE-}" = 1 ] || exec env SCENES_INSIDE=1 unshare -m -n -p -f --kill-child --mount-proc --propagation private bash "$0" "$CERTROLL" "$ENGINE" "$WHAT"
T=$(mktemp -d /tmp/certroll-containers.XXXXXX); chmod 755 "$T"; cd "$T" || exit 1
finish() { cd /; v=$("$ENGINE" ps -qa); [ -z "$v" ] || "$ENGINE" rm -f $v; [ "$ENGINE$uid" = docker ] || [ -z "$uid" ] || as_user podman rm -fa; daemon_ends; sed -n "s|^[0-9]* [0-9]* [^ ]* [^ ]* \\($T[^ ]*\\) .*|\\1|p" /proc/self/mountinfo | sort -r | xargs -r umount -l; rm -rf --one-file-system "$T"; }
uid= daemon=
trap 'finish >/dev/null 2>&1' EXIT
for d in /run /dev/shm /var/lib/certroll /etc/containers; do mkdir -p $d; mount -t tmpfs -o mode=755 t $d || exit 1; done
mkdir -p /run/sshd /run/lock; chmod 1777 /dev/shm; ip link set lo up
unset SSH_AUTH_SOCK DOCKER_HOST DOCKER_CONTEXT CONTAINERS_CONF CONTAINERS_STORAGE_CONF XDG_RUNTIME_DIR
export HOME=$T/home XDG_STATE_HOME=$T/state LC_ALL=C.UTF-8; mkdir -p -m 700 "$HOME/.ssh"
# runc, because crun of Debian 12 refuses hybrid cgroups; limits below the hard ones, for machines without CAP_SYS_RESOURCE.
printf '[containers]\ndefault_ulimits = ["nofile=1024:4096", "nproc=1024:4096"]\n[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n' >/etc/containers/containers.conf
printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/root"\nrunroot = "%s/runroot"\n' "$T" "$T" >/etc/containers/storage.conf
echo '{"default": [{"type": "insecureAcceptAnything"}]}' >/etc/containers/policy.json

wrong() { echo "WRONG: $*"; [ ! -s out ] || sed "s|$T|T|g" out; exit 1; }
right() { echo "right: $*"; }
# Whether within a minute COMMAND succeeds.
comes() { local n=0; until "$@"; do n=$((n+1)); [ $n -lt 300 ] || return 1; sleep 0.2; done; }
# The organization that its certificate names. Nothing is verified: reading the machine's roots would be most of the work.
served() {
  local said; said=$(timeout 20 openssl s_client -no-CAfile -no-CApath -no-CAstore -connect 127.0.0.1:8443 -servername www.example.net </dev/null 2>/dev/null)
  [[ $said =~ subject=[^$'\n']*"O = "([^$'\n']+) ]] && echo "${BASH_REMATCH[1]}" || echo none
}
serves() { [ "$(served)" = "$1" ]; }

# OPTION...: docker's daemon, at the socket that its clients know
daemon() {
  echo '{}' >daemon.json
  dockerd --config-file="$T/daemon.json" --data-root="$T/docker" --exec-root="$T/docker.run" --pidfile="$T/docker.pid" -H unix:///run/docker.sock \
    --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false --bridge=none --storage-driver=overlay2 "$@" >>docker.log 2>&1 & daemon=$!
  comes docker version >/dev/null 2>&1 || { cp docker.log out; wrong "docker's daemon does not come up"; }
}
daemon_ends() { [ -z "$daemon" ] || { kill "$daemon"; wait "$daemon"; daemon=; } 2>/dev/null; }
[ "$ENGINE" != docker ] || daemon

# NAME PROGRAM...: an image of these programs and the libraries that they need, which runs the first of them.
image() {
  local name=$1 first=$2 program file library run; shift
  case $first in
  nginx) run='"/bin/nginx","-c","/etc/nginx/nginx.conf"';;
  haproxy) run='"/bin/haproxy","-W","-db","-f","/etc/haproxy/haproxy.cfg"';;
  mosquitto) run='"/bin/mosquitto","-c","/etc/mosquitto/mosquitto.conf"';;
  esac
  rm -rf img; mkdir -p img/bin img/lib64 img/etc/nginx/tls img/etc/haproxy/tls img/etc/mosquitto/tls img/run img/tmp img/proc img/sys img/dev img/var/log/nginx img/var/lib/nginx; chmod 1777 img/tmp
  printf 'global\n maxconn 64\ndefaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\nfrontend site\n bind 127.0.0.1:8443 ssl crt /etc/haproxy/tls/site.pem\n http-request return status 200\n' >img/etc/haproxy/haproxy.cfg
  printf 'user root\nlistener 8443 127.0.0.1\nallow_anonymous true\ncertfile /etc/mosquitto/tls/cert.pem\nkeyfile /etc/mosquitto/tls/key.pem\nlog_dest stderr\n' >img/etc/mosquitto/mosquitto.conf
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
  import "$name" "$run"
}
# NAME COMMAND
import() { "$ENGINE" import -c 'ENV PATH=/bin' -c "CMD [$2]" - "scene/$1" <"$1.tar" >out 2>&1 || wrong "no image $1"; }
# NAME OPTION... IMAGE: a container in this network, once it serves A
start() { local name=$1; shift; "$ENGINE" run -d --name "$name" --network="${network-host}" "$@" >out 2>&1 || wrong "$name did not start"; comes serves A || { "$ENGINE" logs "$name" >out 2>&1; wrong "A is not served in $name"; }; }
gone() { "$ENGINE" kill "$1" >/dev/null 2>&1; "$ENGINE" rm -f "$1" >/dev/null 2>&1; comes serves none || wrong "$1 goes on"; }
fresh() { mkdir -p "$1"; cp pki/A/cert.pem pki/A/key.pem "$1/"; chmod 644 "$1/cert.pem"; chmod 600 "$1/key.pem"; }
# Digests, owners, modes
held() { (cd "$1" && sha256sum -- *.pem && stat -c '%n %u:%g %a' -- *.pem); }
inodes() { stat -c '%n %i' "$1"/*.pem; }
# Since when a container runs
since() { "$ENGINE" inspect -f '{{.State.StartedAt}}' "$1" 2>&1; }

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
printf 'Port 4222\nListenAddress 127.0.0.1\nPidFile %s/sshd.pid\nHostKey %s/hk\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nAuthorizedKeysFile %s/keys\nSetEnv HOME=%s/home PATH=/usr/sbin:/usr/bin:/sbin:/bin\n' "$T" "$T" "$T" "$T" >sshd.conf
/usr/sbin/sshd -D -E "$T/sshd.log" -f "$T/sshd.conf" &
comes test -s sshd.pid || wrong "no sshd"
printf '[127.0.0.1]:4222 %s\n' "$(cut -d' ' -f1,2 hk.pub)" >"$HOME/.ssh/known_hosts"
printf 'h1 ansible_host=127.0.0.1 ansible_port=4222 ansible_user=root\n' >inv.ini

# VERB PAIR DIRECTORY SERVICE LINE...: a run with one task -> rc, out
roll() {
  local verb=$1 pair=$2 directory=$3 service=$4 line dest; shift 4
  dest="{cert: $directory/cert.pem, key: $directory/key.pem}"; [ ! -e "$directory/site.pem" ] || dest="{cert: $directory/site.pem}"
  { printf -- '- hosts: all\n  tasks:\n    - certificate:\n        service: %s\n        source: {cert: %s/pki/%s/cert.pem, key: %s/pki/%s/key.pem}\n        dest: %s\n        verify: {endpoint: "127.0.0.1:8443", server_name: www.example.net, backoff: 500ms}\n' "$service" "$T" "$pair" "$T" "$pair" "$dest"
    for line; do printf '        %s\n' "$line"; done; } >play.yml
  "$CERTROLL" "$verb" -i inv.ini play.yml >out 2>&1; rc=$?
}
has() { grep -qF -- "$1" out || wrong "not said: $1"; }
copy="in a private copy of the container's mounts"
# WHAT CONTAINER DIRECTORY SERVICE [WAY]: renewed, quiet the second time; a pair that the service refuses is caught before
# anything changes.
renewed() {
  roll apply B "$3" "$4"; [ $rc = 0 ] || wrong "$1: the rollout failed"
  has "${5-$copy}"; serves B || wrong "$1: $(served) is served"
  roll apply B "$3" "$4"; [ $rc = 0 ] || wrong "$1: the second run failed"
  has unchanged
  refused "$@"
  right "$1: renewed, quiet, and a bad pair is caught inside"
}
refusal="ca md too weak"
refused() {
  local before; before=$(held "$3"; inodes "$3"; since "$2")
  roll apply S "$3" "$4"; [ $rc = 2 ] || wrong "$1: a bad pair ended with $rc"
  has "refused by the service's own check in the container"; has "$refusal"; has untouched
  [ "$before" = "$(held "$3"; inodes "$3"; since "$2")" ] && serves B || wrong "$1: a bad pair changed something"
}
# WHAT CONTAINER DIRECTORY SERVICE: a reload that fails, and a controller that is killed in the middle.
goes_back() {
  local before; before=$(held "$3"; inodes "$3"; since "$2")
  roll apply A "$3" "$4" 'reload: ["false"]'; [ $rc = 2 ] || wrong "$1: a reload that fails ended with $rc"
  has "the reload in the container $2 failed"; has "rolled back"
  [ "$before" = "$(held "$3"; inodes "$3"; since "$2")" ] && serves B || wrong "$1: not as before the reload that failed"
  roll apply A "$3" "$4" 'reload: [no-such-program]'; [ $rc = 2 ] || wrong "$1: a reload without its program ended with $rc"
  has "the container $2 has no such program"; [ "$before" = "$(held "$3"; inodes "$3"; since "$2")" ] || wrong "$1: not as before"
  killed "$before" "$@"
  right "$1: a reload that fails, and a controller killed in the middle: the host goes back"
}
# The same of one that is restarted in place of a reload: a check of the operator's fails.
goes_back_by_restarts() {
  local before; before=$(held "$3"; inodes "$3")
  roll apply A "$3" "$4" 'checks: [{command: ["false"]}]'; [ $rc = 2 ] || wrong "$1: a check that fails ended with $rc"
  has "rolled back"; [ "$before" = "$(held "$3"; inodes "$3")" ] && serves B || wrong "$1: not as before the check that failed"
  ( since() { :; }; killed "$before" "$@" ) || exit 1
  right "$1: a check that fails, and a controller killed in the middle: the host goes back"
}
# BEFORE WHAT CONTAINER DIRECTORY SERVICE
killed() {
  local before=$1 run; shift
  roll plan A "$3" "$4"
  sed -i 's|^        verify:|        checks: [{command: [sleep, "1000"], timeout: 1000s}]\n&|' play.yml
  "$CERTROLL" apply -i inv.ini play.yml >out 2>&1 & run=$!
  comes serves A || wrong "$1: the new certificate is not served before the confirmation"
  kill -9 $run; wait $run 2>/dev/null; pkill -9 -P $$ -x sleep
  comes serves B || wrong "$1: nobody went back when the controller was killed: $(served) is served"
  comes as_before "$before" "$@" || wrong "$1: the files did not come back"
}
as_before() { [ "$1" = "$(held "$4"; inodes "$4"; since "$3")" ]; }

# VERB SERVICE PAIR: what a run starts on the host: processes without threads, those of them that are timers, and runs of the
# service's own check -> took, timers, checks. What the engine's daemon and nginx itself start is not below sshd.
cost() {
  strace -f -qq -s 80 -o trace -e trace=execve,clone,clone3,fork,vfork -p "$(cat sshd.pid)" 2>/dev/null & local tracer=$!
  comes grep -q '^TracerPid:[[:space:]]*[1-9]' "/proc/$(cat sshd.pid)/status" || wrong "strace does not attach"
  roll "$1" "$3" "$D" "$2"; [ $rc = 0 ] || wrong "$1 of $2 failed"
  # Its guard ends within a second.
  sleep 1.5; kill -INT $tracer; wait $tracer
  took=$(grep -E '(clone|clone3|fork|vfork)( resumed>|\()' trace | grep -v CLONE_THREAD | grep -cE '= [0-9]+$')
  checks=$(grep -E 'execve\("[^"]*/nginx", \["nginx", "-t"' trace | grep -c '= 0$')
  timers=$(grep -F '["sleep", "1"]' trace | grep -c '= 0$')
}
# VERB SERVICE LABEL: the quickest of three. Timers look every second with a process each, on a busy machine more often.
costs() {
  local verb=$1 service=$2 best=0 pair
  for pair in B A B; do
    cost $verb "$service" $pair
    [ $best != 0 ] && [ $best -le $took ] || eval "best=$took timers_$verb=$timers checks_$verb=$checks"
  done
  eval "printf '%-8s%-30s%5d processes, %d of them timers, %d runs of nginx -t\n' $verb \"\$3\" $best \$timers_$verb \$checks_$verb; took_$verb=$best"
}
costs_of_a_container() {
  local host_plan host_apply
  mkdir host; cp -a img/etc/nginx/. host/; rm -rf host/tls; D=$T/dir; fresh "$D"; ln -s "$D" host/tls
  mount --bind host /etc/nginx || wrong "/etc/nginx"
  nginx -g 'daemon on;' 2>/dev/null || nginx & comes serves A || wrong "no nginx on the host"
  costs plan nginx "nginx on the host"; costs apply nginx "nginx on the host"; host_plan=$took_plan host_apply=$took_apply
  kill "$(cat /run/nginx.pid)"; comes serves none || wrong "nginx goes on"; umount /etc/nginx
  fresh "$D"; start web -v "$D:/etc/nginx/tls:ro" scene/bare
  costs plan "$web" "nginx in a container of $ENGINE"; costs apply "$web" "nginx in a container of $ENGINE"
  echo "more for the container: $((took_plan-host_plan)) in plan, $((took_apply-host_apply)) in apply (aim: at most 25)"
  gone web; echo "all right"; exit 0
}

web='{name: nginx, container: web}'
image web nginx sh false
image bare nginx false
[ "$WHAT" != cost ] || costs_of_a_container

D=$T/dir; fresh "$D"; start web -v "$D:/etc/nginx/tls:ro" scene/web
roll plan B "$D" "$web"; [ $rc = 0 ] || wrong "no plan"
has "$ENGINE exec web nginx -s reload"; has "/etc/nginx/tls/cert.pem"
grep -q "sees the live files only" out && wrong "the check of the container passes with garbage"
renewed "a mounted directory" web "$D" "$web"
goes_back "a mounted directory" web "$D" "$web"
"$ENGINE" pause web >/dev/null || wrong "$ENGINE does not pause"
roll plan A "$D" "$web"; has "the container web is paused"
"$ENGINE" unpause web >/dev/null; "$ENGINE" stop -t 1 web >/dev/null
roll plan A "$D" "$web"; has "nginx (container web) is not running"
roll plan A "$D" "{name: nginx, container: other, engine: $ENGINE}"; has "knows no container other"
right "paused, stopped and missing are told apart"
gone web

D=$T/thrown; fresh "$D"; start web -v "$D:/etc/nginx/tls:ro" scene/web
mount --bind /dev/null /usr/bin/nsenter
renewed "a host without nsenter" web "$D" "$web" "in a throwaway container of its image"
umount /usr/bin/nsenter || wrong "nsenter is not back"
gone web

D=$T/own; fresh "$D"; start web -v "$D:/etc/nginx/tls:ro" scene/web
set -- "validate: $ENGINE exec web nginx -t" "reload: $ENGINE exec web nginx -s reload"
roll apply B "$D" files "$@"; [ $rc = 0 ] || wrong "a check by exec: the rollout failed"
has "$copy"; serves B || wrong "a check by exec: $(served) is served"
before=$(held "$D"; inodes "$D"; since web)
roll apply S "$D" files "$@"; [ $rc = 2 ] || wrong "a check by exec: a bad pair ended with $rc"
has "$refusal"; has untouched
[ "$before" = "$(held "$D"; inodes "$D"; since web)" ] && serves B || wrong "a check by exec: a bad pair changed something"
right "a check by exec, of a task's own: it sees the staged files"
gone web

D=$T/unseen; fresh "$D"; start web -v "$D:/etc/nginx/tls:ro" scene/web
# A service that is told first, and hides the directory from the container.
mkdir services; printf 'description: hides them\nextends: files\nreload: {command: [sh, %s/hide]}\n' "$T" >services/hider.yml
cat >hide <<H
pid=\$($ENGINE inspect -f '{{.State.Pid}}' web)
if [ -e $T/hidden ]; then umount -N \$pid /etc/nginx/tls; else mount -N \$pid -t tmpfs t /etc/nginx/tls && : >$T/hidden; fi
H
roll apply B "$D" "[hider, $web]"; [ $rc = 2 ] || wrong "hidden files: ended with $rc"
has "the container web does not see the new files"; has "its /etc/nginx/tls/cert.pem is another one"; has "rolled back"
serves A || wrong "hidden files: $(served) is served"
right "files that the container does not see after all: said before any handshake, and back"
gone web

D=$T/named; fresh "$D"; start web -v "$D/cert.pem:/etc/nginx/tls/cert.pem" -v "$D/key.pem:/etc/nginx/tls/key.pem" scene/web
hup="reload: [kill, -HUP, \"$("$ENGINE" inspect -f '{{.State.Pid}}' web)\"]"
before=$(held "$D"; inodes "$D"; since web)
roll apply B "$D" files "$hup"; [ $rc = 2 ] || wrong "a mount that nobody named: ended with $rc"
grep -q "likely the cause: .*key.pem is mounted into container" <(tr -s ' \n' ' ' <out) || wrong "the failure does not name the mount"
[ "$before" = "$(held "$D"; inodes "$D"; since web)" ] && serves A || wrong "a mount that nobody named: not as before"
roll plan B "$D" files "$hup"; has "as a single file"
right "single files of a service that is told past the engine: named in the failure, and again after the way back"
gone web

D=$T/archive; fresh "$D"; L=$T/live; mkdir "$L"
# certbot's way: a new file each time, and the link pointed at it.
renews() { for f in cert key; do cp -p pki/$1/$f.pem "$D/$f$2.pem"; ln -sfn "../archive/$f$2.pem" "$L/$f.pem"; done; }
renews A 1; start linked -v "$L/cert.pem:/etc/nginx/tls/cert.pem:ro" -v "$L/key.pem:/etc/nginx/tls/key.pem:ro" scene/web
renews B 2
roll plan B "$L" '{name: nginx, container: linked}'; has "as a single file"; has "was replaced since: an older file is in there"
roll apply B "$L" '{name: nginx, container: linked, restart: true}'; [ $rc = 0 ] || wrong "a link: no restart"
serves B || wrong "a link: $(served) is served"
roll apply B "$L" '{name: nginx, container: linked, restart: true}'; has unchanged
right "files mounted through a link that points at others since: said, and seen after a restart"
gone linked

D=$T/single; fresh "$D"
start one --read-only --tmpfs /run --tmpfs /tmp -v "$D/cert.pem:/etc/nginx/tls/cert.pem:ro" -v "$D/key.pem:/etc/nginx/tls/key.pem:ro" scene/bare
roll plan B "$D" '{name: nginx, container: one}'; has "as a single file"; has "restart: true"; has "in_place: true"
renewed "single files, no shell, read-only, restarted" one "$D" '{name: nginx, container: one, restart: true}'
goes_back_by_restarts "single files, restarted" one "$D" '{name: nginx, container: one, restart: true}'
# The container has the files that are on the host since that restart.
place='{name: nginx, container: one, in_place: true}'
began=$(inodes "$D"; since one)
roll plan A "$D" "$place"; [ $rc = 0 ] || wrong "no plan in place"
has "is overwritten in place"; has "not atomic"
goes_back "single files in place" one "$D" "$place"
roll apply A "$D" "$place"; [ $rc = 0 ] || wrong "in place: the rollout failed"
serves A || wrong "in place: $(served) is served"
roll apply A "$D" "$place"; [ $rc = 0 ] || wrong "in place: the second run failed"
has unchanged
roll apply B "$D" "$place"; serves B || wrong "in place: $(served) is served"
refused "in place" one "$D" "$place"
[ "$began" = "$(inodes "$D"; since one)" ] || wrong "in place: another inode, or a restart"
right "single files in place: renewed in their inodes without a restart, quiet, and a bad pair is caught inside"
cp "$D/cert.pem" "$D/new" && mv "$D/new" "$D/cert.pem"
roll apply A "$D" "$place"; [ $rc != 0 ] || wrong "in place: an older file in there did not matter"
has "restart the container once"
gone one

"$ENGINE" volume create scene >/dev/null; D=$("$ENGINE" volume inspect -f '{{.Mountpoint}}' scene); fresh "$D"
start vol -v scene:/etc/nginx/tls scene/bare
renewed "a named volume, no shell" vol "$D" "{name: nginx, container: vol, engine: $ENGINE}"
goes_back "a named volume" vol "$D" "{name: nginx, container: vol, engine: $ENGINE}"
gone vol

refusal="unable to load SSL certificate"
image haproxy haproxy sh
D=$T/haproxy; mkdir "$D"; cat pki/A/cert.pem pki/A/key.pem >"$D/site.pem"; chmod 600 "$D/site.pem"
start balancer -v "$D:/etc/haproxy/tls:ro" scene/haproxy
renewed "HAProxy" balancer "$D" '{name: haproxy, container: balancer}'
gone balancer
refusal="ca md too weak"

image mosquitto mosquitto
D=$T/mosquitto; fresh "$D"; start broker -v "$D:/etc/mosquitto/tls:ro" scene/mosquitto
roll apply B "$D" '{name: mosquitto, container: broker}'; [ $rc = 0 ] || wrong "Mosquitto: the rollout failed"
serves B || wrong "Mosquitto: $(served) is served"
roll apply B "$D" '{name: mosquitto, container: broker}'; has unchanged
# It has no check, and goes on with the old pair: only the handshake tells.
before=$(held "$D"; since broker)
roll apply S "$D" '{name: mosquitto, container: broker}'; [ $rc = 2 ] || wrong "Mosquitto: a bad pair ended with $rc"
has "rolled back"; has "the container broker saw the new files"
[ "$before" = "$(held "$D"; since broker)" ] && serves B || wrong "Mosquitto: not as before"
right "Mosquitto: renewed by a signal, quiet, and back when the handshake tells of a bad pair"
gone broker

# An account of its own, in this namespace alone.
for f in passwd group subuid subgid; do cp /etc/$f $f; [ $f = passwd ] || [ $f = group ] || echo scene:200000:65536 >>$f; done
uid=20001; echo "scene:x:$uid:$uid::$T/scene:/bin/sh" >>passwd; echo "scene:x:$uid:" >>group
for f in passwd group subuid subgid; do [ -e /etc/$f ] || : >/etc/$f; mount --bind $f /etc/$f; done

D=$T/mapped; fresh "$D"
if [ "$ENGINE" = docker ]; then
  # Every container of this daemon is in a user namespace.
  daemon_ends; daemon --userns-remap=scene; import bare '"/bin/nginx","-c","/etc/nginx/nginx.conf"'
  root=200000; chown $root:$root "$D" "$D"/*
  # They cannot have the host's network: what comes to its port goes to theirs.
  printf '#!/bin/sh\nexec nsenter -t "$(docker inspect -f "{{.State.Pid}}" mapped)" -n socat - TCP:127.0.0.1:8443\n' >forward; chmod 755 forward
  socat TCP-LISTEN:8443,bind=127.0.0.1,reuseaddr,fork "EXEC:$T/forward" 2>/dev/null &
  network=none start mapped -v "$D:/etc/nginx/tls:ro" scene/bare
else
  root=100000; chown $root:$root "$D" "$D"/*
  start mapped --uidmap 0:$root:65536 -v "$D:/etc/nginx/tls:ro" scene/bare
fi
renewed "a user namespace" mapped "$D" '{name: nginx, container: mapped}'
[ "$(stat -c %u:%g "$D/key.pem")" = $root:$root ] || wrong "the key's owner was not kept"
goes_back "a user namespace" mapped "$D" '{name: nginx, container: mapped}'
rm "$D/key.pem" "$D/cert.pem"
roll apply B "$D" '{name: nginx, container: mapped}'; [ $rc = 0 ] || wrong "new files for a user namespace"
[ "$(stat -c %u:%g "$D/key.pem")" = $root:$root ] || wrong "new files do not belong to root in there"
right "a user namespace: new files belong to root in there"
gone mapped
[ "$ENGINE" != docker ] || { echo "all right"; exit 0; }

mkdir -p "$T/scene" /run/user/$uid; chown $uid:$uid "$T/scene" /run/user/$uid; chmod 700 /run/user/$uid
as_user() { (cd / && runuser -u scene -- env HOME="$T/scene" XDG_RUNTIME_DIR=/run/user/$uid "$@"); }
D=$T/scene/tls; fresh "$D"; chown -R $uid:$uid "$D"
as_user podman import -c 'ENV PATH=/bin' -c 'CMD ["/bin/nginx","-c","/etc/nginx/nginx.conf"]' - scene/bare <bare.tar >out 2>&1 || wrong "no rootless image"
as_user podman run -d --name mine --network=host -v "$D:/etc/nginx/tls:ro" scene/bare >out 2>&1 || wrong "no rootless container"
comes serves A || wrong "the rootless container does not serve"
since() { as_user podman inspect -f '{{.State.StartedAt}}' "$1"; }
renewed "rootless" mine "$D" '{name: nginx, container: mine, user: scene}'
[ "$(stat -c %u "$D/key.pem")" = $uid ] || wrong "the rootless key's owner was not kept"
goes_back rootless mine "$D" '{name: nginx, container: mine, user: scene}'
as_user podman rm -f -t 1 mine >/dev/null 2>&1
echo "all right"
