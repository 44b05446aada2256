# Containers that the request names: what podman or docker says of them, and what the kernel says of their first process.

# PODMAN|DOCKER USER -> engine_words (for eval), which run the engine as USER; 1: it is not here, or not as that user
engine_as() {
  have "$1" || return 1
  engine_words=$1 engine_home= engine_uid=
  [ "$2" != - ] || return 0
  dec "$2"; engine_user=$v
  { while IFS=: read -r engine_name engine_rest engine_id engine_rest engine_rest v engine_rest; do
      [ "$engine_name" != "$engine_user" ] || { engine_home=$v engine_uid=$engine_id; break; }
    done </etc/passwd; } 2>/dev/null
  [ -n "$engine_uid" ] || return 1
  [ "$engine_uid" != "$uid" ] || return 0
  [ "$uid" = 0 ] && have runuser || return 1
  engine_words="runuser -u \"\$engine_user\" -- env HOME=\"\$engine_home\" XDG_RUNTIME_DIR=/run/user/$engine_uid $1"
}

# Go's templates, which both engines take. A text that may be empty has a letter before it.
engine_format='@c {{.State.Running}} {{.State.Paused}} {{.State.Pid}} u{{.Config.User}}'

# NAME -> engine_says, and its parts in engine_up, engine_paused, engine_pid, engine_image_user; 1: it is none of this engine
engine_inspect() {
  peek_limit=30
  # GNU's and BusyBox's `timeout` is one process, where a limit of ours takes three.
  if have timeout; then
    engine_says=$(cd / && eval "exec timeout -s KILL $peek_limit $engine_words container inspect -f \"\$engine_format\" \"\$1\"" </dev/null 2>&1 3<&-)
  else
    engine_says=$(cd / && eval "peek_run $engine_words container inspect -f \"\$engine_format\" \"\$1\"" | head -c 4096)
  fi
  case $engine_says in
  *@c\ *)
    v=${engine_says##*@c }; set -- $v
    [ $# -ge 4 ] || return 1
    engine_up=$1 engine_paused=$2 engine_pid=$3 engine_image_user=${4#u}
    case $engine_pid in ''|*[!0-9]*) return 1;; esac;;
  *) return 1;;
  esac
}

# ENGINE USER NAME -> engine_state, and what engine_inspect tells
engine_find() {
  engine_state=no_engine engine_found=-
  dec "$3"; engine_of=$v
  case $1 in -) v='podman docker';; *) v=$1;; esac
  for engine_one in $v; do
    engine_as "$engine_one" "$2" || continue
    engine_found=$engine_one
    if engine_inspect "$engine_of"; then
      case $engine_up:$engine_paused in *:true) engine_state=paused;; true:*) engine_state=running;; *) engine_state=stopped;; esac
      return 0
    fi
    case $engine_says in
    *"o such container"*|*"o container with name or ID"*) engine_state=missing;;
    *) engine_state=failed; return 0;;
    esac
  done
}

# PID ID -> v: what that number is in its user namespace; 1: nothing. `uid_map` or `gid_map` in $3.
id_inside() {
  { while read -r map_in map_out map_count; do
      v=$(($2-map_out))
      [ $v -lt 0 ] || [ $v -ge "$map_count" ] || { v=$((v+map_in)); return 0; }
    done <"/proc/$1/$3"; } 2>/dev/null
  return 1
}
# PID uid_map|gid_map -> v: the number on the host that 0 in there is
root_outside() {
  { while read -r map_in map_out v; do
      [ "$map_in" != 0 ] || { v=$map_out; return 0; }
    done <"/proc/$1/$2"; } 2>/dev/null
  v=0
}

tell_containers() {
  c=0
  while [ $c -lt $n_containers ]; do
    get asked $c; engine_find $v
    put in_pid $c ''
    engine_root=0:0 engine_runs_as=- engine_enter=0 engine_start=
    if [ $engine_state = running ]; then
      start_time "$engine_pid"; engine_start=$v
      [ -n "$engine_start" ] || engine_state=stopped
    fi
    if [ $engine_state = running ]; then
      root_outside "$engine_pid" uid_map; engine_root=$v
      root_outside "$engine_pid" gid_map; engine_root=$engine_root:$v
      if [ -n "$engine_image_user" ] && process_rights "$engine_pid" && id_inside "$engine_pid" "$process_uid" uid_map; then
        engine_runs_as=$v
        if id_inside "$engine_pid" "$process_gid" gid_map; then engine_runs_as=$engine_runs_as:$v; else engine_runs_as=-; fi
      fi
      if [ "$uid" = 0 ] && have nsenter && have chroot &&
        nsenter -t "$engine_pid" -m --root=/ -- unshare -m --propagation unchanged -- true >/dev/null 2>&1; then engine_enter=1; fi
      put in_pid $c "$engine_pid"; put in_start $c "$engine_start"; put in_as $c "$engine_runs_as"; put in_enter $c $engine_enter
    fi
    v=; [ $engine_state != failed ] || v=$(printf %s "$engine_says" | tail -c 600 | od -An -v -tx1 | tr -d ' \n')
    engine_says=$v
    enc "${engine_home-}"
    say container i=$c state=$engine_state engine=$engine_found home=$v uid=${engine_uid:--} pid=${engine_pid:-0} \
      start=$engine_start root=$engine_root runs_as=$engine_runs_as enter=$engine_enter out=$engine_says
    engine_pid=
    c=$((c+1))
  done
}

# What a command that enters container $1 finds in its environment -> v: 1, or 0 when it cannot be entered
enter_words() {
  get in_pid $1; certroll_pid=$v
  v=0; [ -z "$certroll_pid" ] || get in_enter $1
  [ "$v" = 1 ] || { v=0; return 0; }
  get in_start $1; certroll_started=$v
  get in_as $1; certroll_as=$v
  export certroll_pid certroll_started certroll_as
  enter_n=0
  while [ $enter_n -lt $n_files ]; do
    eval "v=\${at_$1_$enter_n-}"
    put certroll_at $enter_n "$v"; export "certroll_at_$enter_n"
    enter_n=$((enter_n+1))
  done
  v=1
}
