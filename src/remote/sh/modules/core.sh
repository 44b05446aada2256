# What modules share: the settings of a request, how it is answered, what a path is, owner and mode of it.
#
#   tx NONCE - | check 0|1 | set NAME TEXT (as m_NAME) | input none|text|base64 | open (it may be recorded) | go, then the input's body when asked
#
# Answers: `part`, `send` (the body is wanted now, sealed with `key` where there is one), then `done changed=… …` or `failed why=…`.
check=0 changed=0 changes= staged= backup_file=
m_path= m_name= m_state= m_src= m_owner= m_group= m_mode= m_directory_mode= m_sum= m_before= m_backup=0 m_force=1 m_follow=0
m_recurse=0 m_validate= m_limit=0 m_show=0 m_algorithm= m_mtime= m_atime= m_parents=0 m_peer= m_secret=0

# WHY: the end of it, with what a program said in $work.err.
refuse() {
  refuse_out=
  if [ -n "$work" ] && [ -s "$work.err" ]; then hex_tail "$work.err"; refuse_out=$v; fi
  enc "$1"
  say failed why=$v out=$refuse_out
  exit 0
}

# `~` as Ansible has it: the home of who works here.
# shellcheck disable=SC2088 # the tilde as it was written is what is looked for
home() { case $1 in '~') v=${HOME:-/};; '~/'*) v=${HOME:-}/${1#'~/'};; *) v=$1;; esac; }

# What is at a path, no link followed -> at_kind, and where there is something at_mode at_uid at_gid at_size at_links
# at_inode at_dev at_atime at_mtime at_ctime at_owner at_group
at() {
  at_kind=absent at_mode= at_uid= at_gid= at_size= at_links= at_inode= at_dev= at_atime= at_mtime= at_ctime= at_owner= at_group=
  if [ -L "$1" ]; then at_kind="link"
  elif [ -f "$1" ]; then at_kind="file"
  elif [ -d "$1" ]; then at_kind=directory
  elif [ -b "$1" ]; then at_kind=block
  elif [ -c "$1" ]; then at_kind=character
  elif [ -p "$1" ]; then at_kind=fifo
  elif [ -S "$1" ]; then at_kind=socket
  else return 0; fi
  case $stattool in
  gnu) v=$(stat -c "%a %u %g %s %h %i %d %X %Y %Z$nl%U$nl%G" -- "$1" 2>"$work.err");;
  bsd) v=$(stat -f "%Mp%Lp %u %g %z %l %i %d %a %m %c$nl%Su$nl%Sg" -- "$1" 2>"$work.err");;
  *) refuse "this host has no stat";;
  esac || refuse "cannot stat $1"
  IFS=$nl; set -- $v; IFS=$ifs
  at_owner=${2-} at_group=${3-}
  set -- $1
  at_mode=$1 at_uid=$2 at_gid=$3 at_size=$4 at_links=$5 at_inode=$6 at_dev=$7 at_atime=$8 at_mtime=$9
  shift 9; at_ctime=$1
  while [ ${#at_mode} -lt 4 ]; do at_mode=0$at_mode; done
}

# Numbers of a user and of a group; empty when there is none.
uid_of() { case $1 in *[!0-9]*) v=$(id -u "$1" 2>/dev/null) || v=;; *) v=$1;; esac; }
gid_of() {
  case $1 in
  *[!0-9]*)
    v=
    if have getent; then v=$(getent group "$1" 2>/dev/null); v=${v#*:*:}; v=${v%%:*}; fi
    [ -n "$v" ] || v=$(GID_OF=$1 awk -F: '$1 == ENVIRON["GID_OF"] { print $3; exit }' /etc/group 2>/dev/null);;
  *) v=$1;;
  esac
}

# What `chmod` would make of a mode: NOW WISH KIND -> v
mode_after() {
  case $2 in
  *[!0-7]*)
    rm -rf -- "$work.mode"
    if [ "$3" = directory ]; then mkdir -- "$work.mode"; else true >"$work.mode"; fi
    chmod "$1" "$work.mode"
    # Symbolic modes without `ugoa` heed the umask of who asks.
    ( umask "$mask"; chmod -- "$2" "$work.mode" ) 2>"$work.err" || refuse "the mode $2 is not one"
    case $stattool in gnu) v=$(stat -c %a "$work.mode");; *) v=$(stat -f %Mp%Lp "$work.mode");; esac;;
  *) v=$2;;
  esac
  while [ ${#v} -gt 4 ]; do v=${v#?}; done
  while [ ${#v} -lt 4 ]; do v=0$v; done
}

# NAME OLD NEW: one thing that is otherwise.
change() {
  changed=1
  [ ${#changes} -lt 4000 ] || return 0
  enc "$2"; change_old=$v; enc "$3"
  changes="$changes$1|$change_old|$v;"
}

# PATH: gives it owner, group and mode as wished (m_owner, m_group, m_mode), unless it has them.
own() {
  at "$1"
  own_user= own_group=
  if [ -n "$m_owner" ]; then
    uid_of "$m_owner"
    if [ -z "$v" ]; then
      [ $check = 1 ] || refuse "there is no user $m_owner"
      change owner "$at_owner" "$m_owner"
    elif [ "$v" != "$at_uid" ]; then own_user=$v; change owner "$at_owner" "$m_owner"; fi
  fi
  if [ -n "$m_group" ]; then
    gid_of "$m_group"
    if [ -z "$v" ]; then
      [ $check = 1 ] || refuse "there is no group $m_group"
      change group "$at_group" "$m_group"
    elif [ "$v" != "$at_gid" ]; then own_group=$v; change group "$at_group" "$m_group"; fi
  fi
  own_mode=
  if [ -n "$m_mode" ] && [ $at_kind != link ]; then
    mode_after "$at_mode" "$m_mode" $at_kind
    [ "$v" = "$at_mode" ] || { own_mode=$v; change mode "$at_mode" "$v"; }
  fi
  [ $check = 0 ] || return 0
  if [ -n "$own_user$own_group" ]; then
    chown -h -- "$own_user${own_group:+:$own_group}" "$1" 2>"$work.err" || refuse "cannot set the owner of $1"
    # A change of owner may have taken bits away.
    [ -n "$own_mode" ] || case $at_mode in 0*) ;; *) [ $at_kind = link ] || own_mode=$at_mode;; esac
  fi
  [ -z "$own_mode" ] || chmod "$own_mode" "$1" 2>"$work.err" || refuse "cannot set the mode of $1"
}

# A directory and those above it that are missing; each new one gets owner, group and $m_directory_mode. PATH
make_directories() {
  make_rest=${1%/} make_path=
  while [ -n "$make_rest" ]; do
    make_rest=${make_rest#/}
    make_path=$make_path/${make_rest%%/*}
    case $make_rest in */*) make_rest=/${make_rest#*/};; *) make_rest=;; esac
    [ ! -d "$make_path" ] || continue
    changed=1
    [ $check = 0 ] || return 0
    ( umask "$mask"; mkdir -- "$make_path" ) 2>"$work.err" || refuse "cannot create the directory $make_path"
    make_mode=$m_mode m_mode=$m_directory_mode
    own "$make_path"
    m_mode=$make_mode
  done
}

# NEW PATH: one rename, also over a link that leads to a directory.
rename_over() {
  if [ -L "$2" ] && [ -d "$2" ]; then
    mv -fT -- "$1" "$2" 2>/dev/null || mv -fh -- "$1" "$2" 2>/dev/null || { rm -f -- "$2" && mv -f -- "$1" "$2"; } 2>"$work.err"
  else mv -f -- "$1" "$2" 2>"$work.err"; fi
}

# A name beside PATH that nobody else takes -> staged. Those whose program has died go.
stage_beside() {
  stage_dir=${1%/*}/
  set +f; set -- "$stage_dir".certroll-put-*; set -f
  for stage_old; do
    [ -O "$stage_old" ] || continue
    v=${stage_old##*/.certroll-put-}; stage_pid=${v%%.*} stage_start=${v#*.}
    case $stage_pid in ''|*[!0-9]*) continue;; esac
    start_time "$stage_pid"
    [ "$v" = "$stage_start" ] || rm -f -- "$stage_old"
  done
  start_time $$
  staged=$stage_dir.certroll-put-$$.$v
}

# The first $m_limit bytes of a file, as `part` lines.
parts() {
  { echo "@certroll1 $nonce part hex="; od -An -v -tx1 -N "$m_limit" "$1" 2>"$work.err"; } |
    awk 'NR == 1 { mark = $0; next }
{ gsub(/ /, ""); line = line $0; if (++n == 4096) { print mark line; line = ""; n = 0 } }
END { if (line != "") print mark line }'
}

# By whichever program this host has: ALGORITHM FILE -> v, empty without one
digest_of() {
  v=
  if have "${1}sum"; then v=$("${1}sum" <"$2" 2>/dev/null)
  elif have "$1"; then v=$("$1" -q <"$2" 2>/dev/null)
  elif have openssl; then v=$(openssl dgst -"$1" -r <"$2" 2>/dev/null); fi
  v=${v%% *}
  case $v in *[!0-9a-f]*) v=;; esac
}

# The last words: what is at PATH now, and what else was said.
finish() {
  at "$1"
  finish_kind=$at_kind
  if [ $at_kind = file ] && [ "$at_links" -gt 1 ]; then finish_kind=hard; fi
  enc "$1"; finish_path=$v
  enc "$at_owner"; finish_owner=$v
  enc "$at_group"; finish_group=$v
  finish_more=${2-}
  if [ $at_kind = link ] && [ ! -e "$1" ]; then finish_more="$finish_more dangling=1"; fi
  enc "$backup_file"
  say done changed=$changed path=$finish_path state=$finish_kind mode=$at_mode uid=$at_uid gid=$at_gid owner=$finish_owner group=$finish_group size=$at_size backup=$v changes=$changes $finish_more
  exit 0
}
