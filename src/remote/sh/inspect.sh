# Reads the state of the host and changes nothing: no scratch files either, output of commands comes
# through pipes. The request, of which only the first `kind` that fits this host counts:
#
#   inspect NONCE | state DIR | run DIR | boot_guard
#   kind FAMILY-INIT... (or *) | file PATH | pub FILE# | reader USER | prog NAME
#   running pidfile PATH | running process NAME | running command SECONDS ARG...
#   cmd SECONDS RUNNING# ARG...
#   go
# Paths are looked at in files.sh.
nf=0 nd=0 np=0 nr=0 nc=0 ng=0 pubs= reader= variant=- asked_boot=

read_request() {
  n_kind=0 take=0
  while IFS= read -r line <&3; do
    set -- $line
    case ${1-} in
    inspect) nonce=$2; host_kind;;
    state) dec "$2"; state=$v;;
    run) dec "$2"; run=$v;;
    boot_guard) asked_boot=1;;
    kind)
      shift; take=0
      case $variant:" $* " in -:*" $kind "*|-:*' * '*) take=1 variant=$n_kind;; esac
      n_kind=$((n_kind+1));;
    go) return 0;;
    *) [ $take = 0 ] || parse "$@";;
    esac
  done
  return 1
}
parse() {
  parse_k=${1-}; shift
  case $parse_k in
  file) dec "$1"; put path $nf "$v"; nf=$((nf+1));;
  pub) pubs="$pubs $1";;
  reader) dec "$1"; reader=$v;;
  prog) put prog $np "$1"; np=$((np+1));;
  running) put srv $nr "$*"; nr=$((nr+1));;
  cmd) put cmd $nc "$*"; nc=$((nc+1));;
  esac
}

# Sets family, os_id, systemd and kind.
host_kind() {
  os_id= os_like= os_file=/etc/os-release
  [ -r $os_file ] || os_file=/usr/lib/os-release
  { while IFS= read -r line; do
      v=${line#*=}
      case $v in '"'*) v=${v#'"'}; v=${v%'"'};; "'"*) v=${v#"'"}; v=${v%"'"};; esac
      case $line in ID=*) os_id=$v;; ID_LIKE=*) os_like=$v;; esac
    done <$os_file; } 2>/dev/null
  family=other
  for v in $os_id $os_like; do
    case $v in
    debian|ubuntu) family=debian;;
    rhel|fedora|centos|rocky|almalinux|amzn|ol) family=redhat;;
    alpine) family=alpine;;
    suse|opensuse*|sles) family=suse;;
    arch) family=arch;;
    freebsd) family=freebsd;;
    *) continue;;
    esac
    break
  done
  systemd=0; [ ! -d /run/systemd/system ] || systemd=1
  selinux=0; [ ! -e /sys/fs/selinux/enforce ] || selinux=1
  # Profiles know no more families than these.
  case $family in debian|redhat|alpine) kind=$family;; *) kind=other;; esac
  if [ $systemd = 1 ]; then kind=$kind-systemd; else kind=$kind-plain; fi
}

tell_host() {
  tools; places
  user=$(id -un 2>/dev/null) || user=$uid
  missing=
  for t in od mkdir mv ln rm rmdir cp chmod chown sleep ls tail head tr readlink awk; do
    have $t || missing=$missing,$t
  done
  mountns=0 netns=0
  if have unshare; then
    if unshare -m -n true; then mountns=1 netns=1
    elif unshare -m true; then mountns=1
    elif [ "$uid" != 0 ] && unshare -Urm true; then mountns=1; fi
  fi 2>/dev/null
  has_ssl=0; ! have openssl || has_ssl=1
  has_64=0; ! have base64 || has_64=1
  enc "$user"; user=$v; enc "$os_id"
  say host uid=$uid user=$user os=$v family=$family systemd=$systemd selinux=$selinux variant=$variant \
    sha256=$sumtool sync=$synctool stat=$stattool setsid=${own:+1} mountns=$mountns netns=$netns \
    openssl=$has_ssl base64=$has_64 missing=${missing#,}
  i=0
  while [ $i -lt $np ]; do
    get prog $i; name=$v; dec "$v"
    have "$v" || say absent name=$name
    i=$((i+1))
  done
}

# Whether a unit could settle a transaction at boot, after read_mounts.
tell_boot_guard() {
  if [ $systemd = 0 ]; then v=no_systemd
  elif [ "$uid" != 0 ]; then v=not_root
  elif [ ! -w /etc/systemd/system ]; then v=read_only
  elif in_memory "$state" || in_memory /etc/systemd/system; then v=volatile
  else v=possible; fi
  say boot_guard way=$v
}
in_memory() {
  best=-1 k=0 type=
  while [ $k -lt $nm ]; do
    get mp $k; m=${v%/}
    case $1/ in "$m"/*) [ ${#m} -lt $best ] || { best=${#m}; get mt $k; type=$v; };; esac
    k=$((k+1))
  done
  case $type in tmpfs|ramfs) return 0;; esac
  return 1
}

# SECONDS ARG... -> v: in hex the first of what it said, its end, and how it ended.
peek() {
  peek_l=$1; shift
  v=$(peek_run "$@" | { head -c 65536; head -c 1048576 | tail -c 24; } | od -An -v -tx1 | tr -d ' \n')
}
peek_run() {
  $own "$@" </dev/null 2>&1 3<&- &
  peek_p=$!
  ( s=; trap 'kill $s 2>/dev/null; exit 0' USR1; i=0
    while [ $i -lt "$peek_l" ]; do sleep 1 >/dev/null 2>&1 & s=$!; wait $s; i=$((i+1)); done
    echo; echo @late
    kill -s KILL -- "-$peek_p" 2>/dev/null || kill -s KILL "$peek_p" ) 2>/dev/null 3<&- &
  peek_t=$!
  { wait $peek_p; rc=$?; kill -s USR1 $peek_t; wait $peek_t; } 2>/dev/null
  # ksh93 says 256 + signal.
  [ $rc -le 255 ] || rc=$((rc-128))
  echo; echo "@rc=$rc"
}

look_at_services() {
  i=0
  while [ $i -lt $nr ]; do
    get srv $i; set -- $v
    case $1 in
    command)
      l=$2; shift 2; words "$*"; eval "peek $l $cmd"
      # The last line in hex: @rc=0, or a code that says that it could not be asked.
      case $v in
      *0a4072633d300a) v=1;;
      *0a4072633d31323[4-7]0a|*0a406c6174650a*) v=-;;
      *) v=0;;
      esac;;
    *) running "$@";;
    esac
    put up $i $v
    say running i=$i up=$v
    i=$((i+1))
  done
}

run_commands() {
  i=0
  while [ $i -lt $nc ]; do
    get cmd $i; set -- $v; l=$1 needs=$2; shift 2
    v=1; [ "$needs" = - ] || get up $needs
    if [ "$v" = 0 ]; then say cmd i=$i skipped=1
    else
      words "$*"; eval "peek $l $cmd"
      say cmd i=$i skipped=0 out=$v
    fi
    i=$((i+1))
  done
}

journals=
inspect() {
  if ! read_request; then return; fi
  tell_host
  locate_all
  look_at_directories
  [ -z "$asked_boot" ] || tell_boot_guard
  list_generations
  read_files
  tell_files
  look_at_services
  run_commands
  for f in $journals; do say journal id=${f%%:*} state=${f#*:}; done
  if [ -d "$run/lock" ]; then
    look
    [ -z "$holder" ] || say lock pid=$holder note=$held
  fi
  say facts files=$nf
}
inspect
