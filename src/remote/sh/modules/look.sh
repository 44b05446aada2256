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
    if [ -n "$m_algorithm" ] && [ -r "$look_path" ]; then digest_of "$m_algorithm" "$look_path"; look_says="$look_says checksum=$v"; fi
    if [ "$m_limit" != 0 ]; then
      [ -r "$look_path" ] || refuse "file is not readable: $m_path"
      [ "$look_size" -le "$m_limit" ] || refuse "$m_path has $look_size bytes; up to $m_limit are read"
      look_parts
    fi
  fi
  for v in r w x; do if test "-$v" "$look_path"; then look_says="$look_says $v=1"; fi; done
  finish "$look_path" "$look_says links=$at_links inode=$at_inode dev=$at_dev atime=$at_atime mtime=$at_mtime ctime=$at_ctime"
}

# The content; for who asks alone where it would be recorded.
look_parts() {
  output_recorded; look_recorded=$v
  if [ $look_recorded = 1 ] && [ -n "$m_peer" ] && have openssl && mkdir -- "$work.seal" 2>/dev/null && sealing_half "$work.seal"; then
    look_says="$look_says sealed=$v"
    sealing_agree "$work.seal" "$m_peer" && sealing_seal "$work.seal" "$look_path" "$work.sealed" ||
      refuse "cannot seal $m_path, and sudo records what is said here"
    m_limit=$((m_limit+64)); parts "$work.sealed"
    return
  fi
  if [ $look_recorded = 1 ] && [ "$m_secret" = 1 ]; then say failed why=output_recorded out=; exit 0; fi
  parts "$look_path"
}
