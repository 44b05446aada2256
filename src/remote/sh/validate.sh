# The services' own checks, on the new files, before they are live.

# Inside a private mount namespace: words up to `--` say what to mount, the rest is run. Descriptor 5
# tells that the mounts were made, so that a refusal by the kernel is no refusal by the service.
mount_text='exec 5>"$1"; shift
while [ "$1" != -- ]; do
  case $1 in
  bind) mount --bind "$2" "$3" || exit 121; shift 3;;
  over) mount -t tmpfs -o "mode=$4,uid=$5,gid=$6" certroll "$3" && cp -pR "$2/." "$3/" &&
    chown "$5:$6" "$3" && chmod "$4" "$3" && mount -t overlay -o "ro,lowerdir=$3:$7" certroll "$7" || exit 121; shift 7;;
  tmpfs) mount -t tmpfs -o mode=755 certroll "$2" || exit 121; shift 2;;
  mkdir) mkdir -p "$2" || exit 121; shift 2;;
  esac
done
shift
echo 1 >&5; exec 5>&-
'

# Starts the service and looks what it serves: port, starttls, signature algorithms, name, wanted leaf or
# `any`, seconds.
boot_text='port=$1 tls=$2 algs=$3 name=$4 leaf=$5 secs=$6; shift 6
ip link set lo up 2>/dev/null || ifconfig lo up || exit 1
"$@" </dev/null & p=$! ended=
end=$(($(date +%s)+secs))
set --
[ -z "$tls" ] || set -- -starttls "$tls"
[ "$leaf" = any ] || [ -z "$algs" ] || set -- "$@" -sigalgs "$algs"
[ -z "$name" ] || set -- "$@" -servername "$name"
while [ "$(date +%s)" -lt "$end" ]; do
  got=$(openssl s_client -connect "127.0.0.1:$port" "$@" </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256 2>/dev/null | tr -d ":\r\n" | tr A-F a-f)
  got=${got##*=}
  case $leaf in
  any) [ -z "$got" ] || exit 0;;
  "$got") exit 0;;
  esac
  if [ -z "$ended" ] && ! kill -0 $p 2>/dev/null; then
    wait $p; ended=$?
    [ $ended = 0 ] || end=$(($(date +%s)+2))
  fi
  sleep 0.2 2>/dev/null || sleep 1
done
echo "served in the sealed boot: ${got:-nothing}"
exit 1
'

# Words that mount the new files over the live ones -> $binds. A bind needs something to mount
# on, and takes a process for each file; where a file is new, and in a directory of many, the directory gets an
# overlay, of which the stage is the upper layer. The kernel refuses a layer inside another, hence the copy
# in a tmpfs with the directory's own mode and owner.
mount_words() { # [singly]
  binds=' ' fresh=no crowded=no i=0
  while [ $i -lt $nf ]; do
    get before $i; [ "$v" != absent ] || fresh=yes
    i=$((i+1))
  done
  j=0
  while [ $j -lt $nd ]; do
    files_of $j
    if [ $fresh = yes ] || { [ $((end-i)) -gt 16 ] && [ $# = 0 ]; }; then crowded=yes; mount_over
    else
      while [ $i -lt $end ]; do
        binds="$binds bind \"\$d_$j/.certroll-\$tx.new/\$n_$i\" \"\$live_$i\""; i=$((i+1))
      done
    fi
    j=$((j+1))
  done
}
mount_over() {
  get d $j; D=$v
  case $stattool in
  gnu) v=$(stat -c '%a %u %g' -- "${D:-/}");;
  *) v='755 0 0';;
  esac
  binds="$binds over \"\$d_$j/.certroll-\$tx.new\" \"\$d_$j/.certroll-\$tx\" $v \"\$d_$j\""
}
# Not every kernel has overlays, and not every path can be a layer: 1 when there is no other way.
mount_singly() {
  [ $crowded = yes ] && [ $fresh = no ] || return 1
  mount_words singly
}
mount_word() { n_w=$((n_w+1)); put w $n_w "$1"; v="\"\$w_$n_w\""; }

# The user that a check runs as -> words in $as.
as_user() {
  as=
  [ "$1" != - ] && [ "$uid" = 0 ] || return 0
  dec "$1"; mount_word "$v"
  if have runuser; then as="runuser -u $v --"
  else as="su -s /bin/sh $v -c 'exec \"\$0\" \"\$@\"'"; fi
}

# Kinds of namespaces in order of preference, as options of unshare.
enter() { # NET MOUNTS -> runs $cmd; $way, rc; 1: no namespace can be had
  have unshare || return 1
  for option in "-m -n" -m "-U -r -m"; do
    case $1:$option in 0:*-n*) continue;; esac
    case $option:$uid in "-U -r -m:0") ;; -U*) continue;; esac
    true >"$W.ns"
    eval "run $secs unshare $option sh -c \"\$mount_text\"'exec \"\$@\"' certroll \"\$W.ns\" $2 -- $as $cmd"
    [ ! -s "$W.ns" ] || break
    [ $rc != 124 ] || break
  done
  [ -s "$W.ns" ] || return 1
  case $option in *-n) way=net;; -m) way=mnt;; *) way=user;; esac
}

# Whether the output holds one of the texts that are a refusal.
refused() {
  [ -n "$1" ] && [ -s "$W.out" ] || return 1
  refused_all=$(tr -d '\000' <"$W.out")
  for a in $1; do
    dec "$a"
    case $refused_all in *"$v"*) return 0;; esac
  done
  return 1
}

# Runs check $c once: $way, rc, output in $W.out.
one_check() {
  get csec $c; secs=$v
  get cuser $c; as_user "$v"
  get cargs $c; words "$v"
  get cvia $c
  case $v in
  staged)
    way=staged
    get cnet $c
    if [ "$v" = 1 ] && [ "$uid" = 0 ]; then enter 1 ' ' && { way=staged; return 0; }; fi
    eval "run $secs $as $cmd";;
  live)
    if [ $live = yes ]; then way=live; eval "run $secs $as $cmd"
    else way=later; fi;;
  mnt)
    [ -n "$binds" ] || mount_words
    get cnet $c
    enter "$v" "$binds" && return 0
    if mount_singly; then get cnet $c; enter "$v" "$binds" && return 0; fi
    put cvia $c live; one_check;;
  boot) sealed;;
  esac
}

# A sealed boot with the new files; if that fails, one with the old: when not even they are served
# the answer says nothing.
sealed() {
  way=inconclusive rc=0
  true >"$W.out"
  have unshare && have openssl && [ "$uid" = 0 ] || return 0
  [ -n "$binds" ] || mount_words
  get cseal $c; set -- $v
  port=$1 tls=$2 algs=$3 name=$4 leaf=$5 n=$6; shift 6
  seal=
  for a; do
    dec "$a"; mount_word "$v"
    if [ $n -gt 0 ]; then seal="$seal tmpfs $v"; n=$((n-1)); else seal="$seal mkdir $v"; fi
  done
  case $tls in -) tls=;; esac
  dec "$algs"; case $algs in -) v=;; esac
  algs=$v
  dec "$name"; case $name in -) v=;; esac
  mount_word "$v"; name=$v
  sealed_run "$binds" $leaf
  if [ ! -s "$W.ns" ] && mount_singly; then sealed_run "$binds" $leaf; fi
  [ -s "$W.ns" ] || { rc=0; return 0; }
  if [ $rc = 0 ]; then way=boot; return 0; fi
  hex_tail "$W.out"; sealed_rc=$rc sealed_out=$v
  sealed_run '' any
  if [ $rc = 0 ] && [ -s "$W.ns" ]; then way=boot rc=$sealed_rc told=$sealed_out; else rc=0; fi
}
sealed_run() {
  true >"$W.ns"
  eval "run $((secs+5)) unshare -m -n -p --fork --mount-proc --kill-child sh -c \"\$mount_text\$boot_text\" certroll \"\$W.ns\" $seal $1 -- $port '$tls' '$algs' $name $2 $secs $cmd"
}

# All checks, or those that had to wait until the files are live; the first refusal ends it with $1.
validate() {
  live=$2 c=0 binds=
  while [ $c -lt $nc ]; do
    get cvia $c
    case $live:$v in
    yes:live|no:*) validate_one "$1";;
    esac
    c=$((c+1))
  done
}
validate_one() {
  get csvc $c; s=$v
  told= rc=0
  get copt $c; dec "$v"
  if [ "$v" != - ] && ! have "$v"; then way=absent; true >"$W.out"
  else
    true >"$W.out"
    one_check
  fi
  step checked
  get cref $c
  if [ $way != later ] && [ $way != inconclusive ] && { [ $rc != 0 ] || refused "$v"; }; then
    [ -n "$told" ] || { hex_tail "$W.out"; told=$v; }
    refused_c=$c
    "$1" validate refused_by_the_service told $rc '' $s
  fi
  hex_head "$W.out"
  say checked check=$c way=$way rc=$rc out=$v
}
