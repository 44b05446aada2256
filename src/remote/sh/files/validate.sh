# The services' own checks, on the new files, before they are live.

# Inside a private mount namespace: words up to `--` say what to mount, the rest is run. Descriptor 5
# tells that the mounts were made, so that a refusal by the kernel is no refusal by the service. Files are bound by one
# `mount` for all, which takes a table that is a file (the scratch file is free); and what it left out one by one.
mount_text='table=${1%.ns}.err binds= n="
"
exec 5>"$1"; shift
bind_all() {
  [ $# -le 6 ] || { echo "$binds" >"$table" && mount -a -T "$table"; } >/dev/null 2>&1
  while [ $# -gt 0 ]; do [ "$1" -ef "$2" ] || mount --bind "$1" "$2" || exit 121; shift 6; done
}
while [ "$1" != -- ]; do
  case $1 in
  bind)
    case $2$3 in
    *[!A-Za-z0-9/._-]*) mount --bind "$2" "$3" || exit 121;;
    *) binds="$binds$2 $3 none bind 0 0$n";;
    esac
    shift 3;;
  layer) mount -t tmpfs -o "mode=$4,uid=$5,gid=$6" certroll "$3" && cp -pR "$2/." "$3/" &&
    chown "$5:$6" "$3" && chmod "$4" "$3" || exit 121; shift 6;;
  gone) mknod "$2" c 0 0 || exit 121; shift 2;;
  over) mount -t overlay -o "ro,lowerdir=$2:$3" certroll "$3" || exit 121; shift 3;;
  tmpfs) mount -t tmpfs -o mode=755 certroll "$2" || exit 121; shift 2;;
  mkdir) mkdir -p "$2" || exit 121; shift 2;;
  esac
done
shift
bind_all $binds
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

# Words that mount the new files over the live ones -> $mount_binds. A bind needs something to mount
# on, and takes a process for each file; where a file is new, and in a directory of many, the directory gets an
# overlay, of which the stage is the upper layer. The kernel refuses a layer inside another, hence the copy
# in a tmpfs with the directory's own mode and owner. A file that is to go is hidden there by a device 0:0, as overlays have it.
mount_words() { # [singly]
  mount_binds=' ' mount_fresh=no mount_crowded=no i=0
  while [ $i -lt $n_files ]; do
    get file_before $i; [ "$v" != absent ] || mount_fresh=yes
    ! is_gone || mount_fresh=yes
    i=$((i+1))
  done
  j=0
  while [ $j -lt $n_dirs ]; do
    files_of $j
    if [ $mount_fresh = yes ] || { [ $((end-i)) -gt 16 ] && [ $# = 0 ]; }; then mount_crowded=yes; mount_over
    else
      while [ $i -lt $end ]; do
        mount_binds="$mount_binds bind \"\$dir_$j/.certroll-\$tx.new/\$file_name_$i\" \"\$file_live_$i\""; i=$((i+1))
      done
    fi
    j=$((j+1))
  done
}
mount_over() {
  get dir $j; mount_dir=$v
  case $stattool in
  gnu) v=$(stat -c '%a %u %g' -- "${mount_dir:-/}");;
  *) v='755 0 0';;
  esac
  mount_binds="$mount_binds layer \"\$dir_$j/.certroll-\$tx.new\" \"\$dir_$j/.certroll-\$tx\" $v"
  files_of $j
  while [ $i -lt $end ]; do ! is_gone || mount_binds="$mount_binds gone \"\$dir_$j/.certroll-\$tx/\$file_name_$i\""; i=$((i+1)); done
  mount_binds="$mount_binds over \"\$dir_$j/.certroll-\$tx\" \"\$dir_$j\""
}
# Not every kernel has overlays, and not every path can be a layer: 1 when there is no other way.
mount_singly() {
  [ $mount_crowded = yes ] && [ $mount_fresh = no ] || return 1
  mount_words singly
}
mount_word() { n_words=$((n_words+1)); put word $n_words "$1"; v="\"\$word_$n_words\""; }

# The user that a check runs as -> words in $as_words.
as_user() {
  as_words=
  [ "$1" != - ] && [ "$uid" = 0 ] || return 0
  dec "$1"; mount_word "$v"
  if have runuser; then as_words="runuser -u $v --"
  else as_words="su -s /bin/sh $v -c 'exec \"\$0\" \"\$@\"'"; fi
}

# Kinds of namespaces in order of preference, as options of unshare.
enter() { # NET MOUNTS -> runs $cmd; $check_way, rc; 1: no namespace can be had
  have unshare || return 1
  for enter_option in "-m -n" -m "-U -r -m"; do
    case $1:$enter_option in 0:*-n*) continue;; esac
    case $enter_option:$uid in "-U -r -m:0") ;; -U*) continue;; esac
    true >"$work.ns"
    eval "run $check_limit unshare $enter_option sh -c \"\$mount_text\"'exec \"\$@\"' certroll \"\$work.ns\" $2 -- $as_words $cmd"
    [ ! -s "$work.ns" ] || break
    [ $rc != 124 ] || break
  done
  [ -s "$work.ns" ] || return 1
  case $enter_option in *-n) check_way=net;; -m) check_way=mnt;; *) check_way=user;; esac
}

# Whether the output holds one of the texts that are a refusal.
refused() {
  [ -n "$1" ] && [ -s "$work.out" ] || return 1
  refused_text=$(tr -d '\000' <"$work.out")
  for validate_word in $1; do
    dec "$validate_word"
    case $refused_text in *"$v"*) return 0;; esac
  done
  return 1
}

# Runs check $c once: $check_way, rc, output in $work.out.
one_check() {
  get check_seconds $c; check_limit=$v
  get check_user $c; as_user "$v"
  get check_args $c; words "$v"
  get check_via $c
  case $v in
  staged)
    check_way=staged
    get check_net $c
    if [ "$v" = 1 ] && [ "$uid" = 0 ]; then enter 1 ' ' && { check_way=staged; return 0; }; fi
    eval "run $check_limit $as_words $cmd";;
  container|throwaway) check_way=$v; eval "run $check_limit $cmd";;
  live)
    if [ $validate_live = yes ]; then check_way=live; eval "run $check_limit $as_words $cmd"
    else check_way=later; fi;;
  mnt)
    [ -n "$mount_binds" ] || mount_words
    get check_net $c
    enter "$v" "$mount_binds" && return 0
    if mount_singly; then get check_net $c; enter "$v" "$mount_binds" && return 0; fi
    put check_via $c live; one_check;;
  boot) sealed;;
  esac
}

# A sealed boot with the new files; if that fails, one with the old: when not even they are served
# the answer says nothing.
sealed() {
  check_way=inconclusive rc=0
  true >"$work.out"
  have unshare && have openssl && [ "$uid" = 0 ] || return 0
  [ -n "$mount_binds" ] || mount_words
  get check_seal $c; set -- $v
  seal_port=$1 seal_tls=$2 seal_algs=$3 seal_name=$4 seal_leaf=$5 seal_left=$6; shift 6
  seal_mounts=
  for validate_word; do
    dec "$validate_word"; mount_word "$v"
    if [ $seal_left -gt 0 ]; then seal_mounts="$seal_mounts tmpfs $v"; seal_left=$((seal_left-1)); else seal_mounts="$seal_mounts mkdir $v"; fi
  done
  case $seal_tls in -) seal_tls=;; esac
  dec "$seal_algs"; case $seal_algs in -) v=;; esac
  seal_algs=$v
  dec "$seal_name"; case $seal_name in -) v=;; esac
  mount_word "$v"; seal_name=$v
  sealed_run "$mount_binds" $seal_leaf
  if [ ! -s "$work.ns" ] && mount_singly; then sealed_run "$mount_binds" $seal_leaf; fi
  [ -s "$work.ns" ] || { rc=0; return 0; }
  if [ $rc = 0 ]; then check_way=boot; return 0; fi
  hex_tail "$work.out"; seal_rc=$rc seal_out=$v
  sealed_run '' any
  if [ $rc = 0 ] && [ -s "$work.ns" ]; then check_way=boot rc=$seal_rc told=$seal_out; else rc=0; fi
}
sealed_run() {
  true >"$work.ns"
  eval "run $((check_limit+5)) unshare -m -n -p --fork --mount-proc --kill-child sh -c \"\$mount_text\$boot_text\" certroll \"\$work.ns\" $seal_mounts $1 -- $seal_port '$seal_tls' '$seal_algs' $seal_name $2 $check_limit $cmd"
}

# All checks, or those that had to wait until the files are live; the first refusal ends it with $1.
validate() {
  validate_live=$2 c=0 mount_binds=
  while [ $c -lt $n_checks ]; do
    get check_via $c
    case $validate_live:$v in
    yes:live|no:*) validate_one "$1";;
    esac
    c=$((c+1))
  done
}
validate_one() {
  get check_service $c; s=$v
  told= rc=0
  get check_optional $c; dec "$v"
  if [ "$v" != - ] && ! have "$v"; then check_way=absent; true >"$work.out"
  else
    true >"$work.out"
    one_check
  fi
  step checked
  get check_refusals $c
  if [ $check_way != later ] && [ $check_way != inconclusive ] && { [ $rc != 0 ] || refused "$v"; }; then
    [ -n "$told" ] || { hex_tail "$work.out"; told=$v; }
    refused_check=$c
    "$1" validate refused_by_the_service told $rc '' $s
  fi
  said "$work.out"
  say checked check=$c way=$check_way rc=$rc out=$v
}
