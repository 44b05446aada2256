# The new files, each in a 0700 directory beside its destination, so that no byte of a key is ever
# readable by others, and the old ones beside them as hard links: the same inode comes back, with
# its owner, mode, labels and time.

# A body of lines from the request to standard output, up to a lone dot. `echo` is a builtin in every shell:
# no byte of a key gets into an argument list.
body() {
  while IFS= read -r l <&3; do
    [ "$l" != . ] || return 0
    echo "$l" || return 1
  done
  return 1
}

stage() {
  journal_write || fail stage cannot_write_the_journal err
  step journalled
  guard_start
  step guarded
  stage_directories
  stage_old_attributes
  i=0
  while [ $i -lt $nf ]; do
    get n $i; N=$v
    get live $i; F=$v
    new_in $i; T=$v/$N
    stage_content
    stage_attributes
    i=$((i+1))
  done
  stage_old_files
  set --; i=0
  while [ $i -lt $nf ]; do new_in $i; N=$v; get n $i; set -- "$@" "$N/$v"; i=$((i+1)); done
  sums "$@"
  digests= i=0
  while [ $i -lt $nf ]; do
    get after $i; want=$v
    get sum $i
    [ "$v" = "$want" ] || fail stage what_was_written_reads_differently - '' $i
    digests=$digests,$v i=$((i+1))
  done
  guard_tell $((t_stage+t_guard))
}

stage_directories() {
  i=0
  while [ $i -lt $nm ]; do
    get md $i; D=$v
    mkdir -- "$D" 2>"$W.err" || fail stage cannot_create_the_directory err
    step directory_made
    get mu $i; u=$v
    get mg $i
    owner_set "$D" "$u" "$v" || fail stage cannot_set_the_owner_of_the_directory err
    step directory_owned
    get mm $i
    [ "$v" = - ] || chmod "$v" "$D" 2>"$W.err" || fail stage cannot_set_the_mode_of_the_directory err
    step directory_moded
    i=$((i+1))
  done
  set --; i=0
  while [ $i -lt $nd ]; do
    get d $i; D=$v
    # The plan's directory may lead elsewhere only now that it exists.
    cd -P -- "${D:-/}" 2>/dev/null && [ "${PWD%/}" = "${D%/}" ] || stage_moved $i
    cd /
    set -- "$@" "$D/.certroll-$tx" "$D/.certroll-$tx.new"
    i=$((i+1))
  done
  [ $# = 0 ] || mkdir -- "$@" 2>"$W.err" || fail stage cannot_create_the_staging_directory err
  step stage_made
}
stage_moved() {
  cd /; m=0
  while get fd $m && [ "$v" != "$1" ]; do m=$((m+1)); done
  stale $m link -
}

owner_set() { # FILE OWNER GROUP
  case $2:$3 in
  -:-) return 0;;
  *:-) chown -- "$2" "$1" 2>"$W.err";;
  -:*) chgrp -- "$3" "$1" 2>"$W.err";;
  *) chown -- "$2:$3" "$1" 2>"$W.err";;
  esac
}

# Mode, owner, group and number of names of the files that exist, in one process.
stage_old_attributes() {
  set --; i=0
  while [ $i -lt $nf ]; do get before $i; [ "$v" = absent ] || { get live $i; set -- "$@" "$v"; }; i=$((i+1)); done
  [ $# -gt 0 ] || return 0
  case $stattool in
  gnu) v=$(stat -c '%a %u %g %h' -- "$@" 2>"$W.err");;
  bsd) v=$(stat -f '%Lp %u %g %l' -- "$@" 2>"$W.err");;
  esac || fail stage cannot_stat_the_files err
  oh_counted=1
  set -- $v; i=0
  while [ $i -lt $nf ]; do
    get before $i
    [ "$v" = absent ] || { put om $i "$1"; put ou $i "$2"; put og $i "$3"; put oh $i "$4"; shift 4; }
    i=$((i+1))
  done
}

stage_content() {
  get content $i
  case $v in
  text) body >"$T" 2>"$W.err" || stage_unwritten;;
  base64) { body || echo '!'; } | base64 -d >"$T" 2>"$W.err" || stage_unwritten;;
  keep) cp -p -- "$F" "$T" 2>"$W.err" || fail stage cannot_copy_the_file err "" $i;;
  gen:*)
    get fd $i; get d "$v"; D=$v
    get content $i
    cp -p -- "$D/.certroll/${v#gen:}/$N" "$T" 2>"$W.err" || fail stage there_is_no_such_generation err "" $i;;
  esac
  step written
}

# A shell's echo says no more than "I/O error": the free space tells.
stage_unwritten() {
  df -Pk -- "$T" >>"$W.err" 2>/dev/null
  fail stage cannot_write_the_file err '' $i
}

# What the task does not say the old file says; where there is none, the defaults.
stage_attributes() {
  get fu $i; u=$v; get fg $i; g=$v; get fm $i; m=$v
  get before $i
  if [ "$v" = absent ]; then
    [ "$u" != - ] || { get du $i; u=$v; }
    [ "$g" != - ] || { get dg $i; g=$v; }
    [ "$m" != - ] || { get dm $i; m=$v; }
  else
    get ou $i; ou=$v; get og $i; og=$v; get om $i; om=$v
    keep_attributes
    step attributes_kept
    case $u in "$ou") u=-;; root) [ "$ou" != 0 ] || u=-;; esac
    case $g in "$og") g=-;; root) [ "$og" != 0 ] || g=-;; esac
    case $m in "$om"|"0$om") m=-;; esac
  fi
  owner_set "$T" "$u" "$g" || fail stage cannot_set_the_owner err "" $i
  step owned
  [ "$m" = - ] || chmod "$m" "$T" 2>"$W.err" || fail stage cannot_set_the_mode err "" $i
  step moded
}

# Owner, mode, access list, extended attributes and label of the old file, by one GNU cp or by several others.
keep_attributes() {
  kinds=mode,ownership,xattr
  [ ! -e /sys/fs/selinux/enforce ] || kinds=$kinds,context
  cp --attributes-only --preserve=$kinds -- "$F" "$T" 2>/dev/null && return 0
  step kept_in_part
  chown -- "$ou:$og" "$T" 2>"$W.err" || fail stage cannot_keep_the_owner err "" $i
  step owner_kept
  chmod "$om" "$T" 2>"$W.err" || fail stage cannot_keep_the_mode err "" $i
  step mode_kept
  if have getfacl && have setfacl; then getfacl -pE -- "$F" 2>/dev/null | setfacl --set-file=- -- "$T" 2>/dev/null; fi
  step list_kept
  if [ -e /sys/fs/selinux/enforce ] && have chcon; then chcon --reference="$F" -- "$T" 2>/dev/null; fi
  step label_kept
}

# Hard links to what is there, one process per directory; a copy where the file system has no links.
stage_old_files() {
  j=0
  while [ $j -lt $nd ]; do
    get d $j; D=$v; S=$v/.certroll-$tx
    set --; i=0
    while [ $i -lt $nf ]; do
      get fd $i
      if [ "$v" = $j ]; then get before $i; [ "$v" = absent ] || { get live $i; set -- "$@" "$v"; }; fi
      i=$((i+1))
    done
    if [ $# -gt 0 ]; then
      ln -- "$@" "$S/" 2>"$W.err" || stage_copies "$@"
      step linked
    fi
    j=$((j+1))
  done
}
stage_copies() {
  for F; do
    T=$S/${F##*/}
    [ ! -e "$T" ] || continue
    v=; have lsattr && v=$(lsattr -d -- "$F" 2>/dev/null)
    case ${v%% *} in
    *i*|*a*) fail stage the_file_is_immutable err;;
    esac
    cp -p -- "$F" "$T" 2>"$W.err" || fail stage cannot_keep_the_old_file err
    step copied
  done
}
