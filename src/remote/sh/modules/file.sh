# `file`: directories, links, attributes, and what is to be gone (Ansible, modules/file.py).
module() {
  at "$m_path"
  file_was=$at_kind
  if [ $at_kind = file ] && [ "$at_links" -gt 1 ]; then file_was=hard; fi
  if [ -z "$m_state" ]; then
    if [ "$m_recurse" = 1 ]; then m_state=directory
    else case $file_was in link|directory|hard) m_state=$file_was;; *) m_state="file";; esac; fi
  fi
  file_target=$m_path
  case $m_state in link|hard|absent) ;; *) file_follow;; esac
  file_$m_state
  finish "$file_target" "was=$file_was as=$m_state $file_says"
}
file_says=

# To where the path leads -> file_target, file_was
file_follow() {
  [ "$m_follow" = 1 ] && [ "$file_was" = link ] || return 0
  v=$(readlink -f -- "$m_path" 2>/dev/null; echo x); v=${v%x}; v=${v%"$nl"}
  [ -n "$v" ] || return 0
  file_target=$v
  at "$file_target"; file_was=$at_kind
  if [ $at_kind = file ] && [ "$at_links" -gt 1 ]; then file_was=hard; fi
}

file_file() {
  case $file_was in file|hard) ;; *) refuse "file ($file_target) is $file_was, cannot continue";; esac
  own "$file_target"
}

file_directory() {
  case $file_was in
  absent)
    change state absent directory
    m_directory_mode=$m_mode
    make_directories "$file_target";;
  directory)
    own "$file_target"
    if [ "$m_recurse" = 1 ]; then own_below "$file_target"; fi;;
  *) refuse "$file_target already exists as a $file_was";;
  esac
}

# Everything below a directory; links themselves, not where they lead.
own_below() {
  set +f; set -- "$1"/* "$1"/.[!.]* "$1"/..?*; set -f
  for own_entry; do
    [ -e "$own_entry" ] || [ -L "$own_entry" ] || continue
    own "$own_entry"
    if [ -d "$own_entry" ] && [ ! -L "$own_entry" ]; then own_below "$own_entry"; fi
  done
}

file_absent() {
  [ "$file_was" != absent ] || return 0
  change state "$file_was" absent
  [ $check = 0 ] || return 0
  case ${m_path%/} in ''|/bin|/boot|/dev|/etc|/home|/lib|/proc|/root|/run|/sbin|/sys|/usr|/var) refuse "$m_path is not removed: the host needs it";; esac
  if [ "$file_was" = directory ]; then rm -rf -- "$m_path" 2>"$work.err"; else rm -f -- "$m_path" 2>"$work.err"; fi ||
    refuse "cannot remove $m_path"
}

file_touch() {
  if [ "$file_was" = absent ]; then
    change state absent file
    [ $check = 0 ] || return 0
    ( umask "$mask"; true >"$file_target" ) 2>"$work.err" || refuse "cannot create $file_target"
  fi
  own "$file_target"
  case $m_atime:$m_mtime in
  preserve:preserve) return 0;;
  preserve:*) set -- -m;;
  *:preserve) set -- -a;;
  *) set --;;
  esac
  changed=1
  [ $check = 0 ] || return 0
  touch -c "$@" -- "$file_target" 2>"$work.err" || refuse "cannot set the times of $file_target"
}

# A link's text, whole.
link_text() { v=$(readlink -- "$1" 2>/dev/null; echo x); v=${v%x}; v=${v%"$nl"}; }

file_link() {
  if [ -z "$m_src" ]; then
    [ "$file_was" = link ] || refuse "src is required for creating new symlinks"
    link_text "$m_path"; m_src=$v
  fi
  case $m_src in
  /*) link_leads=$m_src;;
  *) if [ "$file_was" = directory ]; then link_leads=$m_path/$m_src; else link_leads=${m_path%/*}/$m_src; fi;;
  esac
  [ "$m_force" = 1 ] || [ -e "$link_leads" ] ||
    refuse "src file does not exist, use 'force=yes' if you really want to create the link: $link_leads"
  case $file_was in
  link)
    link_text "$m_path"
    [ "$v" = "$m_src" ] || change src "$v" "$m_src";;
  absent) change state absent link;;
  directory)
    [ "$m_force" = 1 ] || refuse "refusing to convert from directory to symlink for $m_path"
    [ -z "$(ls -A -- "$m_path" 2>/dev/null)" ] || refuse "the directory $m_path is not empty, refusing to convert it"
    change state directory link;;
  *)
    [ "$m_force" = 1 ] || refuse "refusing to convert from $file_was to symlink for $m_path"
    change state "$file_was" link;;
  esac
  enc "$m_src"; file_says=src=$v
  if [ $changed = 1 ] && [ $check = 0 ]; then
    stage_beside "$m_path"
    [ "$file_was" != directory ] || rmdir -- "$m_path" 2>"$work.err" || refuse "cannot replace $m_path"
    ln -s -- "$m_src" "$staged" 2>"$work.err" || refuse "cannot create the link $m_path"
    rename_over "$staged" "$m_path" || refuse "cannot replace $m_path"
    staged=
  fi
  if [ $check = 1 ] && [ "$file_was" = absent ]; then return 0; fi
  # Attributes are those of where it leads, unless told not to follow.
  if [ "$m_follow" = 1 ]; then
    if [ -e "$m_path" ]; then v=$(readlink -f -- "$m_path"; echo x); v=${v%x}; own "${v%"$nl"}"; fi
  else own "$m_path"; fi
}

file_hard() {
  if [ -z "$m_src" ]; then
    [ "$file_was" = hard ] || refuse "src is required for creating new hardlinks"
    own "$m_path"
    return 0
  fi
  [ -e "$m_src" ] || refuse "src does not exist"
  at "$m_src"; hard_src=$at_dev:$at_inode
  at "$m_path"
  case $file_was in
  absent) change state absent hard;;
  hard|file)
    if [ "$at_dev:$at_inode" != "$hard_src" ]; then
      [ "$m_force" = 1 ] || refuse "Cannot link, $file_was exists at destination"
      change src "$m_path" "$m_src"
    fi;;
  link) change state link hard;;
  *) refuse "Cannot link, $file_was exists at destination";;
  esac
  enc "$m_src"; file_says=src=$v
  if [ $changed = 1 ] && [ $check = 0 ]; then
    stage_beside "$m_path"
    ln -- "$m_src" "$staged" 2>"$work.err" || refuse "cannot create the link $m_path"
    rename_over "$staged" "$m_path" || refuse "cannot replace $m_path"
    staged=
  fi
  if [ $check = 1 ] && [ "$file_was" = absent ]; then return 0; fi
  own "$m_path"
}
