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
  t_bodies=$((t_bodies+nf/8))
  guard_start
  step guarded
  stage_directories
  stage_old_attributes
  stage_names
  stage_bodies || stage_contents
  j=0
  while [ $j -lt $nd ]; do
    get d $j; D=$v S=$v/.certroll-$tx
    stage_attributes_of $j
    stage_old_files_of $j
    j=$((j+1))
  done
  eval "sums $news"
  digests= i=0
  while [ $i -lt $nf ]; do
    get after $i; want=$v
    get sum $i
    [ "$v" = "$want" ] || { get live $i; df -Pk -- "$v" >"$W.err" 2>/dev/null; fail stage what_was_written_reads_differently err '' $i; }
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
  old_counted=1
  set -- $v; i=0
  while [ $i -lt $nf ]; do
    get before $i
    [ "$v" = absent ] || { put old $i "$1 $2 $3 $4"; shift 4; }
    i=$((i+1))
  done
}

# Words that name the new files -> $news
stage_names() {
  news= j=0
  while [ $j -lt $nd ]; do
    files_of $j
    while [ $i -lt $end ]; do news="$news \"\$d_$j/.certroll-\$tx.new/\$n_$i\""; i=$((i+1)); done
    j=$((j+1))
  done
}

# Many bodies in one go: `read` costs the shell a system call per byte. 1: none was read, for there are few of
# them, or not all are lines, or dd has no full blocks, or there is no awk.
bodies_awk='BEGIN { for (n = 1; n < ARGC; n++) to[n] = ARGV[n]; ARGC = 1; n = 1 }
$0 == "." { if (close(to[n])) exit 1; n++; next }
n in to { print >to[n] }
END { if (NR == 0) exit 3; if (n in to) exit 1 }'
stage_bodies() {
  [ $nf -gt 16 ] && [ $bodies -le 33554432 ] && have awk || return 1
  i=0
  while [ $i -lt $nf ]; do get more $i; case $v in *" text "*) ;; *) return 1;; esac; i=$((i+1)); done
  eval "set -- $news"
  dd bs=$bodies count=1 iflag=fullblock <&3 2>/dev/null | awk "$bodies_awk" "$@" >/dev/null 2>"$W.err"
  v=$? T=$1 i=
  step written_all
  [ $v != 3 ] || return 1
  [ $v = 0 ] || stage_unwritten
}

stage_contents() {
  i=0
  while [ $i -lt $nf ]; do
    get n $i; N=$v
    get live $i; F=$v
    new_in $i; T=$v/$N
    stage_content
    i=$((i+1))
  done
}

stage_content() {
  get more $i; v=${v% *}
  case ${v##* } in
  text) body >"$T" 2>"$W.err" || stage_unwritten;;
  base64) { body || echo '!'; } | base64 -d >"$T" 2>"$W.err" || stage_unwritten;;
  keep) cp -p -- "$F" "$T" 2>"$W.err" || fail stage cannot_copy_the_file err "" $i;;
  gen:*)
    v=${v##*gen:}
    cp -p -- "${F%/*}/.certroll/$v/$N" "$T" 2>"$W.err" || fail stage there_is_no_such_generation err "" $i;;
  esac
  step written
}

# A shell's echo says no more than "I/O error": the free space tells.
stage_unwritten() {
  df -Pk -- "$T" >>"$W.err" 2>/dev/null
  fail stage cannot_write_the_file err '' $i
}

# What the task does not say the old file says; where there is none, the defaults.
stage_attributes_of() {
  files_of "$1"; set --
  while [ $i -lt $end ]; do get before $i; [ "$v" = absent ] || { get n $i; set -- "$@" "$D/$v"; }; i=$((i+1)); done
  kept=1
  if [ $# -gt 0 ]; then
    keep_attributes "$@" && kept=0
    step attributes_kept
  fi
  files_of $j
  while [ $i -lt $end ]; do stage_attributes; i=$((i+1)); done
}
stage_attributes() {
  get n $i; F=$D/$v T=$S.new/$v
  get before $i; was=$v
  get more $i; set -- $v
  u=$1 g=$2 m=$3
  if [ "$was" = absent ]; then
    [ "$u" != - ] || u=$4
    [ "$g" != - ] || g=$5
    [ "$m" != - ] || m=$6
  else
    get old $i; set -- $v
    om=$1 ou=$2 og=$3
    [ $kept = 0 ] || keep_by_hand
    case $u in "$ou") u=-;; root) [ "$ou" != 0 ] || u=-;; esac
    case $g in "$og") g=-;; root) [ "$og" != 0 ] || g=-;; esac
    case $m in "$om"|"0$om") m=-;; esac
  fi
  owner_set "$T" "$u" "$g" || fail stage cannot_set_the_owner err "" $i
  step owned
  [ "$m" = - ] || chmod "$m" "$T" 2>"$W.err" || fail stage cannot_set_the_mode err "" $i
  step moded
}

# Owner, mode, access list, extended attributes and label of the old files: by one GNU cp, which finds the new ones
# by their names, or by several others for each.
keep_attributes() {
  kinds=mode,ownership,xattr
  [ ! -e /sys/fs/selinux/enforce ] || kinds=$kinds,context
  cp --attributes-only --preserve=$kinds -- "$@" "$S.new/" 2>/dev/null
}
keep_by_hand() {
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
stage_old_files_of() {
  files_of "$1"; set --
  while [ $i -lt $end ]; do get before $i; [ "$v" = absent ] || { get n $i; set -- "$@" "$D/$v"; }; i=$((i+1)); done
  [ $# -gt 0 ] || return 0
  ln -- "$@" "$S/" 2>"$W.err" || stage_copies "$@"
  step linked
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
