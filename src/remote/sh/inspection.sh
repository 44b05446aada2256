# Reads the state of the host and changes nothing: no scratch files either, output of commands comes
# through pipes. The request, of which only the first `kind` that fits this host counts:
#
#   inspect NONCE | state DIR | run DIR | boot_guard
#   kind FAMILY-INIT... (or *) | file PATH | pub FILE# | enclosed FILE# der | enclosed FILE# p12 PASSWORD | reader USER | prog NAME
#   running pidfile PATH | running process NAME | running command SECONDS ARG... | running first PID START SECONDS ARG...
#   who pidfile PATH | who process NAME | who port N... | workers (as who)
#   container ENGINE USER NAME
#   cmd SECONDS RUNNING# UNLESS CONTAINER# PROCESS# ARG... (UNLESS mounts: not where commands can have mounts of their
#     own; PROCESS#: its user is in certroll_user)
#   go
# Paths are looked at in files/inspect.sh.
n_files=0 n_dirs=0 n_programs=0 n_running=0 n_containers=0 n_processes=0 n_workers=0 n_commands=0 n_generations=0 pubs= enclosed= key_reader= variant=- asked_boot=

read_request() {
  request_kinds=0 request_take=0
  while IFS= read -r line <&3; do
    set -- $line
    case ${1-} in
    inspect) nonce=$2; host_kind;;
    state) dec "$2"; state=$v;;
    run) dec "$2"; run=$v;;
    boot_guard) asked_boot=1;;
    kind)
      shift; request_take=0
      case $variant:" $* " in -:*" $kind "*|-:*' * '*) request_take=1 variant=$request_kinds;; esac
      request_kinds=$((request_kinds+1));;
    go) return 0;;
    *) [ $request_take = 0 ] || parse "$@";;
    esac
  done
  return 1
}
parse() {
  parse_kind=${1-}; shift
  case $parse_kind in
  file) dec "$1"; put path $n_files "$v"; n_files=$((n_files+1));;
  pub) pubs="$pubs $1";;
  enclosed) enclosed="$enclosed $1"; put form $1 "$2"; put word_of $1 "${3-}";;
  reader) dec "$1"; key_reader=$v;;
  prog) put prog $n_programs "$1"; n_programs=$((n_programs+1));;
  running) put srv $n_running "$*"; n_running=$((n_running+1));;
  who) put who $n_processes "$*"; n_processes=$((n_processes+1));;
  workers) put workers $n_workers "$*"; n_workers=$((n_workers+1));;
  container) put asked $n_containers "$*"; n_containers=$((n_containers+1));;
  cmd) put cmd $n_commands "$*"; n_commands=$((n_commands+1));;
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
  # Profiles know no more families than these.
  case $family in debian|redhat|alpine) kind=$family;; *) kind=other;; esac
  if [ $systemd = 1 ]; then kind=$kind-systemd; else kind=$kind-plain; fi
}

tell_host() {
  tools; places
  account_name "$uid"; host_user=$v
  [ "$host_user" != "$uid" ] || host_user=$(id -un 2>/dev/null) || host_user=$uid
  input_recorded; host_input_log=$v
  # Where it is, what is sealed can be sent if this can be opened; see core/sealing.sh.
  host_unseals=0
  if [ $host_input_log = 1 ] && have openssl; then
    peek 10 openssl enc -aes-256-cbc -pbkdf2 -iter 10000 -md sha256 -pass pass:probe
    [ "$peek_rc:$peek_cut" != 0:- ] || host_unseals=1
  fi
  host_sync=none; have sync && host_sync=sync; have fsync && host_sync=fsync
  host_missing=
  for host_tool in $needed; do
    have $host_tool || [ $host_tool = stat ] || host_missing=$host_missing,$host_tool
  done
  mount_namespaces; host_mountns=$v
  # Clones that kept the id of their image are told apart by their boot.
  first_line /etc/machine-id; host_machine=
  case $v in *[!0-9a-f]*) v=;; esac
  [ "$boot_id" = noboot ] || host_machine=$v.$boot_id
  enc "$host_user"; host_user=$v; enc "$os_id"
  say host uid=$uid user=$host_user os=$v family=$family systemd=$systemd variant=$variant \
    sha256=$sumtool sync=$host_sync stat=$stattool mountns=$host_mountns \
    machine=$host_machine inputlog=$host_input_log unseals=$host_unseals missing=${host_missing#,}
  i=0
  while [ $i -lt $n_programs ]; do
    get prog $i; host_program=$v; dec "$v"
    have "$v" || say absent name=$host_program
    i=$((i+1))
  done
}

# Whether commands can be given mounts of their own -> v. Who has CAP_SYS_ADMIN, and neither a seccomp filter nor a label
# that could forbid it, can; all others try.
mount_namespaces() {
  v=0
  have unshare || return 0
  mounts_caps= mounts_filter=
  { while read -r mounts_word mounts_value mounts_rest; do
      case $mounts_word in CapEff:) mounts_caps=$mounts_value;; Seccomp:) mounts_filter=$mounts_value; break;; esac
    done </proc/self/status; } 2>/dev/null
  first_line /proc/self/attr/current; mounts_label=$v v=0
  case $mounts_caps:$mounts_filter:$mounts_label in
  *[2367abefABEF]?????:0:|*[2367abefABEF]?????:0:unconfined*) v=1;;
  *)
    if unshare -m true; then v=1
    elif [ "$uid" != 0 ] && unshare -Urm true; then v=1; fi 2>/dev/null;;
  esac
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
  memory_best=-1 memory_at=0 memory_type=
  while [ $memory_at -lt $n_mounts ]; do
    get mp $memory_at; memory_mount=${v%/}
    case $1/ in "$memory_mount"/*) [ ${#memory_mount} -lt $memory_best ] || { memory_best=${#memory_mount}; get mt $memory_at; memory_type=$v; };; esac
    memory_at=$((memory_at+1))
  done
  case $memory_type in tmpfs|ramfs) return 0;; esac
  return 1
}

# SECONDS ARG... -> v: in hex the first 64 KiB of what it said; peek_rc, peek_cut: how it ended, as rc and cut. Through
# pipes: nothing is written. What says more than a mebibyte finds its pipe closed.
peek() {
  peek_limit=$1; shift
  v=$({
    own_process
    peek_end=$({ own_process; peek_run "$@" | { od -An -v -tx1 -N 65536 >&4; if IFS= read -r v; then head -c 1048576 >/dev/null; fi; }; } 5>&1)
    echo "= $peek_end"; } 4>&1)
  peek_end=${v##*= } v=${v%= *}
  # A closed pipe that ends the command ends ksh93 as well, before it tells.
  [ -n "$peek_end" ] || peek_end='141 -'
  peek_rc=${peek_end% *} peek_cut=${peek_end#* }
  join_hex
}
peek_run() {
  $new_session "$@" </dev/null 2>&1 3<&- 4>&- 5>&- &
  watch $! "$peek_limit"
  echo "$rc $cut" >&5
}

# The processes of services, and which of the files each can read: asked as it, with its groups.
tell_processes() {
  p=0
  while [ $p -lt $n_processes ]; do
    get who $p; service_process $v; who_pid=$v
    put who_name $p ''
    if [ -n "$who_pid" ] && process_rights "$who_pid"; then
      process_unit "$who_pid"; enc "$v"; who_unit=$v
      process_user "$who_pid" "$process_uid"
      case $v in -*|*[!A-Za-z0-9_.@-]*) ;; *[!0-9]*) put who_name $p "$v";; esac
      enc "$v"; who_user=$v
      i=0
      while [ $i -lt $n_files ]; do put can $i -; i=$((i+1)); done
      if [ $process_caps = 0 ]; then
        who_groups="--groups=${process_groups#,}"; [ -n "$process_groups" ] || who_groups=--clear-groups
        ask_as "--reuid=$process_uid --regid=$process_gid $who_groups"
      fi
      who_can= i=0
      while [ $i -lt $n_files ]; do get can $i; who_can=$who_can,$v; i=$((i+1)); done
      say process i=$p pid=$who_pid uid=$process_uid gid=$process_gid groups=${process_groups#,} any=$process_caps \
        user=$who_user unit=$who_unit can=${who_can#,}
    else say process i=$p pid=-
    fi
    p=$((p+1))
  done
}

# The main process of a service and those that it started, each with when it began.
tell_workers() {
  p=0
  while [ $p -lt $n_workers ]; do
    get workers $p; service_process $v; workers_main=$v workers_began= workers_started=
    if [ -n "$workers_main" ]; then
      start_time "$workers_main"; workers_began=$v
      started_by "$workers_main"
      for workers_pid in $processes; do
        start_time "$workers_pid"
        [ -z "$v" ] || workers_started=$workers_started,$workers_pid:$v
      done
    fi
    # It may have ended meanwhile.
    [ -z "$workers_began" ] || workers_main=$workers_main:$workers_began
    [ -n "$workers_began" ] || workers_main= workers_started=
    say workers i=$p main=$workers_main started=${workers_started#,}
    p=$((p+1))
  done
}

look_at_services() {
  i=0
  while [ $i -lt $n_running ]; do
    get srv $i; set -- $v
    running_pid=
    case $1 in first) start_time "$2"; if [ "$v" = "$3" ]; then set -- told "$2"; else shift 3; set -- command "$@"; fi;; esac
    case $1 in
    told) v=1 running_pid=$2;;
    command)
      service_limit=$2; shift 2; words "$*"; eval "peek $service_limit $cmd"
      # Some codes say that it could not be asked.
      case $peek_rc:$peek_cut in 0:-) v=1;; 12[4-7]:*) v=-;; *:-) v=0;; *) v=-;; esac;;
    *) running "$@";;
    esac
    put up $i $v
    say running i=$i up=$v
    i=$((i+1))
  done
}

run_commands() {
  i=0
  while [ $i -lt $n_commands ]; do
    get cmd $i; set -- $v; service_limit=$1 command_needs=$2 command_unless=$3 command_inside=$4 command_user=$5; shift 5
    v=; [ "$command_user" = - ] || get who_name $command_user
    certroll_user=$v; [ "$command_user" = - ] || export certroll_user
    v=1; [ "$command_needs" = - ] || get up $command_needs
    [ "$command_inside" = - ] || enter_words $command_inside
    [ "$command_unless:$host_mountns" != mounts:1 ] || v=0
    if [ "$v" = 0 ]; then say cmd i=$i skipped=1
    else
      words "$*"; eval "peek $service_limit $cmd"
      say cmd i=$i skipped=0 rc=$peek_rc cut=$peek_cut out=$v
    fi
    i=$((i+1))
  done
}

# Each with who began it, which its second line says in hex.
tell_journals() {
  for journals_one in $journals; do
    journals_id=${journals_one%%:*} journals_kind=${journals_one#*:} journals_by=
    if [ -r "$state/$journals_kind.$journals_id" ]; then
      { read -r line; read -r journals_word journals_by; } <"$state/$journals_kind.$journals_id"
      [ "$journals_word" = by ] || journals_by=
      case $journals_by in *[!0-9a-f]*) journals_by=;; esac
    fi
    say journal id=$journals_id state=$journals_kind by=$journals_by
  done
}

journals=
inspect() {
  if ! read_request; then return; fi
  require_shell
  tell_host
  locate_all
  look_at_directories
  [ -z "$asked_boot" ] || tell_boot_guard
  list_generations
  read_files
  [ -z "$enclosed" ] || open_enclosed
  tell_files
  [ $n_containers = 0 ] || tell_containers
  tell_holds
  tell_processes
  tell_workers
  look_at_services
  run_commands
  tell_journals
  if [ -d "$run/lock" ]; then
    find_lock_holder
    [ -z "$holder" ] || say lock pid=$holder note=$held
  fi
  say facts files=$n_files
}
inspect
