# `user` (Ansible, modules/user.py). What is changed afterwards needs the shadow utilities; BusyBox only adds.
m_uid= m_groups= m_groups_given=0 m_append=0 m_shell= m_home= m_create_home=1 m_move_home=0 m_system=0 m_comment= m_comment_given=0
m_remove=0 m_update_password=always m_non_unique=0
module() {
  user_look
  case $m_state in
  absent)
    if [ -n "$user_uid" ]; then
      change state present absent
      if [ $check = 0 ]; then
        set --; [ "$m_remove" = 0 ] || set -- -r
        [ "$m_force" = 0 ] || set -- "$@" -f
        if have userdel; then account_do userdel "$@" "$m_name"; else account_do deluser "$m_name"; fi
      fi
    fi;;
  *)
    user_password_begin
    if [ -z "$user_uid" ]; then
      change state absent present
      [ $check = 1 ] || user_add
    else user_modify; fi
    [ $user_asks = 0 ] || user_password;;
  esac
  user_look
  enc "$user_home"; user_home=$v
  enc "$user_shell"; user_shell=$v
  enc "$user_comment"; user_comment=$v
  say done changed=$changed uid=$user_uid gid=$user_gid home=$user_home shell=$user_shell comment=$user_comment changes=$changes
  exit 0
}

user_look() {
  entry passwd "$m_name"
  user_uid= user_gid= user_comment= user_home= user_shell=
  [ -n "$v" ] || return 0
  user_rest=${v#*:*:}
  user_uid=${user_rest%%:*}; user_rest=${user_rest#*:}
  user_gid=${user_rest%%:*}; user_rest=${user_rest#*:}
  user_comment=${user_rest%%:*}; user_rest=${user_rest#*:}
  user_home=${user_rest%%:*}; user_shell=${user_rest#*:}
}

user_add() {
  set --
  if have useradd; then
    [ -z "$m_uid" ] || set -- "$@" -u "$m_uid"
    [ "$m_non_unique" = 0 ] || set -- "$@" -o
    if [ -n "$m_group" ]; then
      entry group "$m_group"; [ -n "$v" ] || refuse "Group $m_group does not exist"
      set -- "$@" -g "$m_group"
    else
      entry group "$m_name"; [ -z "$v" ] || set -- "$@" -N
    fi
    [ -z "$m_groups" ] || set -- "$@" -G "$m_groups"
    [ -z "$m_comment" ] || set -- "$@" -c "$m_comment"
    [ -z "$m_home" ] || set -- "$@" -d "$m_home"
    [ -z "$m_shell" ] || set -- "$@" -s "$m_shell"
    if [ "$m_create_home" = 1 ]; then set -- "$@" -m; else set -- "$@" -M; fi
    [ "$m_system" = 0 ] || set -- "$@" -r
    account_do useradd "$@" "$m_name"
  else
    set -- -D
    [ -z "$m_uid" ] || set -- "$@" -u "$m_uid"
    [ -z "$m_group" ] || set -- "$@" -G "$m_group"
    [ -z "$m_comment" ] || set -- "$@" -g "$m_comment"
    [ -z "$m_home" ] || set -- "$@" -h "$m_home"
    [ -z "$m_shell" ] || set -- "$@" -s "$m_shell"
    [ "$m_create_home" = 1 ] || set -- "$@" -H
    [ "$m_system" = 0 ] || set -- "$@" -S
    account_do adduser "$@" "$m_name"
    [ -z "$m_groups" ] || for user_group in $(IFS=,; echo $m_groups); do account_do addgroup "$m_name" "$user_group"; done
  fi
}

user_modify() {
  set --
  if [ -n "$m_uid" ] && [ "$m_uid" != "$user_uid" ]; then change uid "$user_uid" "$m_uid"; set -- "$@" -u "$m_uid"; fi
  if [ -n "$m_group" ]; then
    gid_of "$m_group"
    [ -n "$v" ] || [ $check = 1 ] || refuse "Group $m_group does not exist"
    if [ "$v" != "$user_gid" ]; then change group "$user_gid" "$m_group"; set -- "$@" -g "$m_group"; fi
  fi
  if [ "$m_comment_given" = 1 ] && [ "$m_comment" != "$user_comment" ]; then change comment "$user_comment" "$m_comment"; set -- "$@" -c "$m_comment"; fi
  if [ -n "$m_home" ] && [ "$m_home" != "$user_home" ]; then
    change home "$user_home" "$m_home"; set -- "$@" -d "$m_home"
    [ "$m_move_home" = 0 ] || set -- "$@" -m
  fi
  if [ -n "$m_shell" ] && [ "$m_shell" != "$user_shell" ]; then change shell "$user_shell" "$m_shell"; set -- "$@" -s "$m_shell"; fi
  if [ "$m_groups_given" = 1 ]; then
    user_groups_differ
    if [ $user_differ = 1 ]; then
      change groups "$user_now" "$m_groups"
      if [ "$m_append" = 1 ]; then set -- "$@" -a; fi
      set -- "$@" -G "$m_groups"
    fi
  fi
  [ $# -gt 0 ] && [ $check = 0 ] || return 0
  account_do usermod "$@" "$m_name"
}

# Whether its groups besides the first are otherwise -> user_differ; those that it has -> user_now
user_groups_differ() {
  user_first=$(id -gn "$m_name" 2>/dev/null) user_now= user_differ=0
  for user_group in $(id -Gn "$m_name" 2>/dev/null); do
    [ "$user_group" = "$user_first" ] || user_now=$user_now${user_now:+,}$user_group
  done
  IFS=,; set -- $m_groups; IFS=$ifs
  for user_group; do
    [ "$user_group" != "$user_first" ] || continue
    case ,$user_now, in *",$user_group,"*) ;; *) user_differ=1;; esac
  done
  [ "$m_append" = 0 ] || return 0
  IFS=,; set -- $user_now; IFS=$ifs
  for user_group; do case ,$m_groups, in *",$user_group,"*) ;; *) user_differ=1;; esac; done
}

# Whether its password is to be compared or set -> user_asks. The request's body is the encrypted one and a colon; before
# anything is done it is told that it must not come.
user_password_begin() {
  user_asks=0
  case $input:$m_update_password:$user_uid in none:*|*:on_create:?*) return 0;; esac
  input_begin || { say failed why=input_recorded out=; exit 0; }
  case $check:$user_uid in 1:) ;; *) user_asks=1;; esac
}

# It is in no argument list.
user_password() {
  say send key=$input_key
  input_agree && user_wanted=$(input_body 2>"$work.err") || refuse "cannot read the password of $m_name"
  case $user_wanted in *:) user_wanted=${user_wanted%:};; *) refuse "cannot read the password of $m_name";; esac
  user_has=
  while IFS=: read -r user_entry v user_rest; do [ "$user_entry" != "$m_name" ] || user_has=$v; done 2>/dev/null </etc/shadow
  IFS=$ifs
  [ "$user_has" != "$user_wanted" ] || return 0
  changed=1
  [ $check = 0 ] || return 0
  have chpasswd || refuse "this host has no chpasswd"
  secret_line "$m_name:$user_wanted" | chpasswd -e >"$work.err" 2>&1 || refuse "cannot set the password of $m_name"
}
