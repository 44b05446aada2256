# What a path is, and what is in it.
module() {
  look_path=$m_path
  if [ "$m_follow" = 1 ] && [ -L "$m_path" ]; then
    [ -e "$m_path" ] || finish "$m_path" "was=broken"
    v=$(readlink -f -- "$m_path"; echo x); v=${v%x}; look_path=${v%"$nl"}
  fi
  at "$look_path"
  look_says= look_kind=$at_kind look_size=$at_size
  if [ $look_kind = link ]; then
    v=$(readlink -- "$look_path"; echo x); v=${v%x}; enc "${v%"$nl"}"; look_says="target=$v"
    v=$(readlink -f -- "$look_path" 2>/dev/null; echo x); v=${v%x}; enc "${v%"$nl"}"; look_says="$look_says source=$v"
  fi
  if [ $look_kind = file ]; then
    if [ -n "$m_algorithm" ] && [ -r "$look_path" ]; then digest "$m_algorithm" "$look_path"; look_says="$look_says checksum=$v"; fi
    if [ "$m_limit" != 0 ]; then
      [ -r "$look_path" ] || refuse "file is not readable: $m_path"
      [ "$look_size" -le "$m_limit" ] || refuse "$m_path has $look_size bytes; up to $m_limit are read"
      parts "$look_path"
    fi
  fi
  for v in r w x; do if test "-$v" "$look_path"; then look_says="$look_says $v=1"; fi; done
  finish "$look_path" "$look_says links=$at_links inode=$at_inode dev=$at_dev atime=$at_atime mtime=$at_mtime ctime=$at_ctime"
}
