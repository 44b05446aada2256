# `group` (Ansible, modules/group.py).
m_gid= m_system=0
module() {
  entry group "$m_name"; group_gid=
  if [ -n "$v" ]; then v=${v#*:*:}; group_gid=${v%%:*}; fi
  case $m_state in
  absent)
    if [ -n "$group_gid" ]; then
      change state present absent
      if [ $check = 0 ]; then if have groupdel; then account_do groupdel "$m_name"; else account_do delgroup "$m_name"; fi; fi
    fi;;
  *)
    if [ -z "$group_gid" ]; then
      change state absent present
      [ $check = 1 ] || group_add
    elif [ -n "$m_gid" ] && [ "$m_gid" != "$group_gid" ]; then
      change gid "$group_gid" "$m_gid"
      [ $check = 1 ] || account_do groupmod -g "$m_gid" "$m_name"
    fi;;
  esac
  entry group "$m_name"; group_gid=
  if [ -n "$v" ]; then v=${v#*:*:}; group_gid=${v%%:*}; fi
  say done changed=$changed gid=$group_gid changes=$changes
  exit 0
}
group_add() {
  set --
  if have groupadd; then
    [ -z "$m_gid" ] || set -- "$@" -g "$m_gid"
    [ "$m_system" = 0 ] || set -- "$@" -r
    account_do groupadd "$@" "$m_name"
  else
    [ -z "$m_gid" ] || set -- "$@" -g "$m_gid"
    [ "$m_system" = 0 ] || set -- "$@" -S
    account_do addgroup "$@" "$m_name"
  fi
}
