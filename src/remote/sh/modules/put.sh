# A file's new content, written beside it with its owner and mode, checked, and renamed over it.
module() {
  case $m_path in
  */) put_into_directory;;
  *) [ ! -d "$m_path" ] || put_into_directory;;
  esac
  if [ "$m_follow" = 1 ] && [ -L "$m_path" ] && [ -e "$m_path" ]; then
    v=$(readlink -f -- "$m_path"; echo x); v=${v%x}; m_path=${v%"$nl"}
  fi
  if [ -n "$m_src" ]; then put_from; fi
  at "$m_path"
  put_was=$at_kind
  case $put_was in absent|file|link) ;; *) refuse "$m_path is a $put_was";; esac
  sums "$m_path"; put_before=$sum_0
  [ $put_was != link ] || put_before="link"
  [ -z "$m_before" ] || [ "$m_before" = "$put_before" ] || refuse "$m_path was modified by another process meanwhile"
  if [ "$m_force" = 0 ] && [ $put_was != absent ]; then finish "$m_path" "was=$put_was kept=1"; fi
  if [ "$m_show" = 1 ] && [ $put_was = file ]; then parts "$m_path"; fi
  if [ "$put_before" = "$m_sum" ]; then own "$m_path"; finish "$m_path" "was=$put_was $put_says"; fi
  if [ ! -d "${m_path%/*}/" ] && [ "$m_parents" = 1 ] && [ $check = 0 ]; then
    ( umask "$mask"; mkdir -p -- "${m_path%/*}/" ) 2>"$work.err" || refuse "cannot create the directory ${m_path%/*}"
  fi
  if [ ! -d "${m_path%/*}/" ]; then
    changed=1
    [ $check = 1 ] || refuse "Destination directory ${m_path%/*} does not exist"
    finish "$m_path" "was=$put_was written=1 $put_says"
  fi
  if [ -z "$m_src" ] && ! input_begin; then
    say failed why=input_recorded out=; exit 0
  fi
  if [ $check = 1 ]; then
    [ $put_was != file ] || own "$m_path"
    changed=1
    finish "$m_path" "was=$put_was written=1 $put_says"
  fi
  put_write
  finish "$m_path" "was=$put_was written=1 $put_says"
}

put_says=

put_into_directory() {
  [ -n "$m_name" ] || refuse "$m_path is a directory: name the file in it"
  case $m_path in */) put_mode=$m_mode; make_directories "$m_path"; m_mode=$put_mode;; esac
  m_path=${m_path%/}/$m_name
}

# The content is another file of this host.
put_from() {
  home "$m_src"; m_src=$v
  [ -e "$m_src" ] || refuse "Source $m_src not found"
  [ -f "$m_src" ] || refuse "$m_src is not a file"
  sums "$m_src"; m_sum=$sum_0
  [ "$m_sum" != unreadable ] || refuse "cannot read $m_src"
  digest_of sha1 "$m_src"; put_says=sha1=$v
  digest_of md5 "$m_src"; put_says="$put_says md5=$v"
  [ "$m_mode" != preserve ] || { v=$(readlink -f -- "$m_src"); at "$v"; m_mode=$at_mode; }
}

put_write() {
  stage_beside "$m_path"
  # Nobody can read it before it has its owner and mode, and it is empty until then.
  { exec 4>"$staged"; } 2>"$work.err" || refuse "cannot write in the directory ${m_path%/*}/"
  put_absolute_mode
  if [ $put_was = file ]; then
    check=1; own "$m_path"; check=0
    put_changes=$changes
    put_keep
  else put_changes=; fi
  own "$staged"
  if [ -n "$m_src" ]; then cat -- "$m_src" >&4 2>"$work.err"
  else
    say send key=$input_key
    input_agree && input_body >&4 2>"$work.err"
  fi || put_unwritten
  exec 4>&-
  # A write may have taken bits away.
  own "$staged"
  changes=$put_changes changed=1
  sums "$staged"
  [ "$sum_0" = "$m_sum" ] || put_unwritten
  if [ -n "$m_validate" ]; then put_validate; fi
  if [ "$m_backup" = 1 ] && [ $put_was = file ]; then
    backup_file=$m_path.$$.$(date +%Y-%m-%d@%H:%M:%S)~
    cp -p -- "$m_path" "$backup_file" 2>"$work.err" || refuse "cannot keep a backup of $m_path"
  fi
  mv -f -- "$staged" "$m_path" 2>"$work.err" || refuse "cannot replace $m_path"
  staged=
  if [ $put_was != file ] && [ -e /sys/fs/selinux/enforce ] && have restorecon; then restorecon -- "$m_path" 2>/dev/null; fi
  return 0
}

# The mode as a number: what the old file has, or what a new one gets by the umask, as the task changes it.
put_absolute_mode() {
  case $put_was:$m_mode in
  file:) return 0;;
  file:*) put_base=$at_mode;;
  *)
    true >"$work.base"
    put_base=$(umask "$mask"; umask -S)
    chmod "$put_base,a-x" "$work.base"
    at "$work.base"; put_base=$at_mode;;
  esac
  mode_after "$put_base" "${m_mode:-$put_base}" file; m_mode=$v
  at "$m_path"
}

# A shell's echo says no more than "I/O error": the free space tells.
put_unwritten() {
  df -Pk -- "$staged" >>"$work.err" 2>/dev/null
  refuse "cannot write $m_path: what was written reads differently"
}

# Owner, mode, access list, extended attributes and label of what is replaced.
put_keep() {
  put_kinds=mode,ownership,xattr
  [ ! -e /sys/fs/selinux/enforce ] || put_kinds=$put_kinds,context
  # Without readers that the new mode has not.
  if [ -n "$m_mode" ]; then put_kinds=${put_kinds#mode,}; fi
  if cp --attributes-only --preserve=$put_kinds -- "$m_path" "$staged" 2>/dev/null; then return 0; fi
  chown -- "$at_uid:$at_gid" "$staged" 2>"$work.err" || refuse "cannot keep the owner of $m_path"
  [ -n "$m_mode" ] || chmod "$at_mode" "$staged" 2>"$work.err" || refuse "cannot keep the mode of $m_path"
}

# The author's check of the new file, whose path stands for %s.
put_validate() {
  words "$m_validate"
  eval "set -- $cmd"
  put_rest=$#
  while [ $put_rest -gt 0 ]; do
    v=$1; shift; put_rest=$((put_rest-1))
    case $v in *%s*) v=${v%%%s*}$staged${v#*%s};; esac
    set -- "$@" "$v"
  done
  run 300 "$@"
  [ $rc = 0 ] || { cp -- "$work.out" "$work.err"; refuse "failed to validate: exited with code $rc"; }
}
