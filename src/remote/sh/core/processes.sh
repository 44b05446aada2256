# Who runs a service: its process, that one's user, and the unit that started it. Read out of /proc.

# pidfile PATH | process NAME | port N... -> v: the id of its main process, or empty
service_process() {
  v=
  [ -r /proc/self/status ] || return 0
  case $1 in
  pidfile)
    dec "$2"; first_line "$v"
    case $v in ''|*[!0-9]*) v=;; *) [ -e "/proc/$v/stat" ] || v=;; esac;;
  process) dec "$2"; processes_named "$v"; eldest;;
  port) shift; processes_listening "$@"; eldest;;
  esac
}

# Processes of that name -> processes. Not those of containers, as far as that can be told.
processes_named() {
  processes=
  set +f; set -- "$1" /proc/[0-9]*/comm; set -f
  processes_name=$1; shift
  for processes_file; do
    first_line "$processes_file"
    [ "$v" = "$processes_name" ] || continue
    v=${processes_file#/proc/}; v=${v%/comm}
    [ ! -e "/proc/$v/ns/pid" ] || [ "/proc/$v/ns/pid" -ef /proc/self/ns/pid ] || continue
    processes="$processes $v"
  done
}

# Processes that hold a socket which listens on one of these TCP ports -> processes
processes_listening() {
  processes=
  have awk || return 0
  processes_sockets=$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v ports="$*" 'BEGIN { n = split(ports, port, " ")
for (i = 1; i <= n; i++) wanted[sprintf("%04X", port[i] + 0)] = 1 }
$4 == "0A" { split($2, at, ":"); if (at[2] in wanted) print $10 }')
  set -- $processes_sockets; processes_sockets="$*"
  [ -n "$processes_sockets" ] || return 0
  set +f; set -- /proc/[0-9]*/fd; set -f
  processes=$(ls -l "$@" 2>/dev/null | awk -v sockets="$processes_sockets" 'BEGIN { n = split(sockets, one, " ")
for (i = 1; i <= n; i++) wanted["socket:[" one[i] "]"] = 1 }
/^\/proc\// { split($0, part, "/"); pid = part[3] }
$NF in wanted && !seen[pid]++ { print pid }')
  set -- $processes; processes="$*"
}

# Of $processes the first whose parent is none of them -> v
eldest() {
  for eldest_pid in $processes; do
    first_line "/proc/$eldest_pid/stat"
    after_name; set -- $v
    case " $processes " in *" ${2-} "*) ;; *) v=$eldest_pid; return;; esac
  done
  v=
}

# PID -> processes: those that it started
started_by() {
  processes=
  set +f; set -- "$1" "/proc/$1/task"/*/children; set -f
  # Not every kernel tells.
  if [ -r "$2" ]; then
    shift
    for started_file; do first_line "$started_file"; processes="$processes $v"; done
    return
  fi
  started_parent=$1
  set +f; set -- /proc/[0-9]*/stat; set -f
  for started_file; do
    first_line "$started_file"
    after_name; set -- $v
    [ "${2-}" = "$started_parent" ] || continue
    v=${started_file#/proc/}; processes="$processes ${v%/stat}"
  done
}

# PID -> process_uid, process_gid, process_groups (each after a comma), process_caps (1: it may read any file); 1: it has gone
process_rights() {
  process_uid= process_gid= process_groups= process_caps=0
  { while read -r process_word process_real process_value process_rest; do
      case $process_word in
      Uid:) process_uid=$process_value;;
      Gid:) process_gid=$process_value;;
      Groups:) for v in $process_real $process_value $process_rest; do process_groups=$process_groups,$v; done;;
      # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
      CapEff:) case $process_real in *[2-7a-fA-F]) process_caps=1;; esac; break;;
      esac
    done <"/proc/$1/status"; } 2>/dev/null
  case $process_uid$process_gid in ''|*[!0-9]*) return 1;; esac
}

# UID -> v: its name, or the number where the host's own files know none
account_name() {
  account_id=$1 v=$1
  { while IFS=: read -r account_word account_rest account_uid account_rest; do
      [ "$account_uid" != "$account_id" ] || { v=$account_word; break; }
    done </etc/passwd; } 2>/dev/null
}

# PID UID -> v: the name of its user, who has that number; or the number where nobody knows one
process_user() {
  account_name "$2"
  [ "$v" = "$2" ] && [ $stattool = gnu ] || return 0
  # What is in no file may be in a directory of accounts. What shall not be traced is root's here.
  v=$(stat -c %u:%U "/proc/$1" 2>/dev/null)
  case $v in "$2:UNKNOWN") v=$2;; "$2:"?*) v=${v#*:};; *) v=$2;; esac
}

# PID -> v: the systemd unit whose main process it is, or empty
process_unit() {
  v=
  [ $systemd = 1 ] && have systemctl || return 0
  process_group=
  { while IFS=: read -r process_word process_value process_rest; do
      case $process_value:$process_rest in :/|name=systemd:/) ;; :*|name=systemd:*) process_group=$process_rest;; esac
    done <"/proc/$1/cgroup"; } 2>/dev/null
  # What a login or another unit's process started by hand is not that unit's main process.
  case $process_group in */user@*) return 0;; *.service|*.service/*) ;; *) return 0;; esac
  process_group=${process_group%%.service*}.service; process_group=${process_group##*/}
  case $process_group in -*|*[!A-Za-z0-9:_.@-]*) return 0;; esac
  [ "$(systemctl show -p MainPID "$process_group" 2>/dev/null)" != "MainPID=$1" ] || v=$process_group
}
