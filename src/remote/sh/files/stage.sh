# The new files, each in a 0700 directory beside its destination, so that no byte of a key is ever
# readable by others, and the old ones beside them as hard links: the same inode comes back, with
# its owner, mode, labels and time.

# -> digests: those of the new files, each after a comma
stage() {
  stage_directories
  seed
  stage_old_attributes
  stage_names
  stage_bodies || stage_contents
  sealed_end
  j=0
  while [ $j -lt $n_dirs ]; do
    get dir $j; stage_dir=$v stage_kept=$v/.certroll-$tx stage_new=$v/.certroll-$tx.new
    stage_attributes_in $j
    stage_old_files_in $j
    stage_later_in $j
    j=$((j+1))
  done
  compare_contents "$stage_words"
  digests= i=0
  while [ $i -lt $n_files ]; do
    get file_after $i; stage_wanted=$v
    get sum $((n_files+i))
    [ "$v" = "$stage_wanted" ] || {
      get file_live $i; df -Pk -- "$v" >"$work.err" 2>/dev/null
      fail stage what_was_written_reads_differently err '' $i
    }
    digests=$digests,$v i=$((i+1))
  done
}

stage_directories() {
  m=0
  while [ $m -lt $n_made ]; do
    get made $m; stage_dir=$v
    mkdir -- "$stage_dir" 2>"$work.err" || fail stage cannot_create_the_directory err
    step directory_made
    get made_owner $m; stage_owner=$v
    get made_group $m
    owner_set "$stage_dir" "$stage_owner" "$v" || fail stage cannot_set_the_owner_of_the_directory err
    step directory_owned
    get made_mode $m
    [ "$v" = - ] || chmod "$v" "$stage_dir" 2>"$work.err" || fail stage cannot_set_the_mode_of_the_directory err
    step directory_moded
    m=$((m+1))
  done
  set --; j=0
  while [ $j -lt $n_dirs ]; do
    get dir $j; stage_dir=$v
    # The plan's directory may lead elsewhere only now that it exists.
    cd -P -- "${stage_dir:-/}" 2>/dev/null && [ "${PWD%/}" = "${stage_dir%/}" ] || stage_moved
    cd /
    set -- "$@" "$stage_dir/.certroll-$tx" "$stage_dir/.certroll-$tx.new"
    j=$((j+1))
  done
  [ $# = 0 ] || mkdir -- "$@" 2>"$work.err" || fail stage cannot_create_the_staging_directory err
  step stage_made
}
stage_moved() {
  cd /; get dir_first $j
  stale "$v" link -
}

owner_set() { # FILE OWNER GROUP
  case $2:$3 in
  -:-) return 0;;
  *:-) chown -- "$2" "$1" 2>"$work.err";;
  -:*) chgrp -- "$3" "$1" 2>"$work.err";;
  *) chown -- "$2:$3" "$1" 2>"$work.err";;
  esac
}

# Mode, owner, group and number of names of the files that exist, in one process -> file_old_N.
stage_old_attributes() {
  set --; i=0
  while [ $i -lt $n_files ]; do get file_before $i; [ "$v" = absent ] || { get file_live $i; set -- "$@" "$v"; }; i=$((i+1)); done
  [ $# -gt 0 ] || return 0
  case $stattool in
  gnu) v=$(stat -c '%a %u %g %h' -- "$@" 2>"$work.err");;
  bsd) v=$(stat -f '%Lp %u %g %l' -- "$@" 2>"$work.err");;
  esac || fail stage cannot_stat_the_files err
  old_counted=1
  set -- $v; i=0
  while [ $i -lt $n_files ]; do
    get file_before $i
    [ "$v" = absent ] || { put file_old $i "$1 $2 $3 $4"; shift 4; }
    i=$((i+1))
  done
}

# Words that name the new files -> stage_words
stage_names() {
  stage_words= j=0
  while [ $j -lt $n_dirs ]; do
    files_of $j
    while [ $i -lt $end ]; do stage_words="$stage_words \"\$dir_$j/.certroll-\$tx.new/\$file_name_$i\""; i=$((i+1)); done
    j=$((j+1))
  done
}

# Many bodies in one go: `read` costs the shell a system call per byte. 1: none was read, for there are few of
# them, or not all are lines, or dd has no full blocks.
stage_awk='BEGIN { for (n = 1; n < ARGC; n++) to[n] = ARGV[n]; ARGC = 1; n = 1 }
$0 == "." { if (close(to[n])) exit 1; n++; next }
n in to { print >to[n] }
END { if (NR == 0) exit 3; if (n in to) exit 1 }'
stage_bodies() {
  [ $n_files -gt 16 ] && [ $bodies -le 33554432 ] || return 1
  stage_body_words= j=0
  while [ $j -lt $n_dirs ]; do
    files_of $j
    while [ $i -lt $end ]; do is_gone || stage_body || return 1; i=$((i+1)); done
    j=$((j+1))
  done
  eval "set -- $stage_body_words"
  dd bs=$bodies count=1 iflag=fullblock <&3 2>/dev/null | awk "$stage_awk" "$@" >/dev/null 2>"$work.err"
  v=$? stage_to=$1 i=
  step written_all
  [ $v != 3 ] || return 1
  [ $v = 0 ] || stage_unwritten
}

stage_body() {
  get file_rest $i; case $v in *" text "*) ;; *) return 1;; esac
  stage_body_words="$stage_body_words \"\$dir_$j/.certroll-\$tx.new/\$file_name_$i\""
}

stage_contents() {
  i=0
  while [ $i -lt $n_files ]; do
    get file_name $i; stage_name=$v
    get file_live $i; stage_live=$v
    new_in $i; stage_to=$v/$stage_name
    stage_content
    i=$((i+1))
  done
}

stage_content() {
  get file_rest $i; v=${v% *}
  case ${v##* } in
  text) body >"$stage_to" 2>"$work.err" || stage_unwritten;;
  base64) { body || echo '!'; } | base64 -d >"$stage_to" 2>"$work.err" || stage_unwritten;;
  sealed) sealed_body >"$stage_to" 2>"$work.err" || stage_unwritten;;
  own:*) stage_with_key "${v##*:}" body >"$stage_to" 2>"$work.err" || stage_unwritten;;
  sealed-own:*) stage_with_key "${v##*:}" sealed_body >"$stage_to" 2>"$work.err" || stage_unwritten;;
  gone) ;;
  keep) cp -p -- "$stage_live" "$stage_to" 2>"$work.err" || fail stage cannot_copy_the_file err "" $i;;
  gen:*)
    v=${v##*gen:}
    cp -p -- "${stage_live%/*}/.certroll/$v/$stage_name" "$stage_to" 2>"$work.err" || fail stage there_is_no_such_generation err "" $i;;
  esac
  step written
}

# A body, with the key of the file that is there before (first) or behind it.
stage_with_key() {
  [ "$1" = last ] || stage_key || return 1
  "$2" || return 1
  [ "$1" = first ] || stage_key
}
stage_key() {
  awk '/^-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/ { k = 1 } k { print } /^-----END [A-Z0-9 ]*PRIVATE KEY-----/ { k = 0 }' "$stage_live"
}

# A shell's echo says no more than "I/O error": the free space tells.
stage_unwritten() {
  [ $signals = 0 ] || discard signal
  df -Pk -- "$stage_to" >>"$work.err" 2>/dev/null
  fail stage cannot_write_the_file err '' $i
}

# What the task does not say the old file says; where there is none, the defaults.
stage_attributes_in() {
  files_of "$1"; set --
  while [ $i -lt $end ]; do get file_before $i; [ "$v" = absent ] || is_gone || { get file_name $i; set -- "$@" "$stage_dir/$v"; }; i=$((i+1)); done
  stage_by_hand=1
  if [ $# -gt 0 ]; then
    keep_attributes "$@" && stage_by_hand=0
    step attributes_kept
  fi
  files_of $j
  while [ $i -lt $end ]; do is_gone || stage_attributes; i=$((i+1)); done
}
stage_attributes() {
  get file_name $i; stage_live=$stage_dir/$v stage_to=$stage_new/$v
  get file_before $i; stage_before=$v
  get file_rest $i; set -- $v
  stage_owner=$1 stage_group=$2 stage_mode=$3
  if [ "$stage_before" = absent ]; then
    [ "$stage_owner" != - ] || stage_owner=$4
    [ "$stage_group" != - ] || stage_group=$5
    [ "$stage_mode" != - ] || stage_mode=$6
  else
    get file_old $i; set -- $v
    [ $stage_by_hand = 0 ] || keep_by_hand "$1" "$2:$3"
    # A chmod to the mode that is there would take readers from an access list: it sets the list's mask.
    case $stage_mode in "$1"|"0$1") stage_mode=-;; esac
    case $stage_owner in "$2") stage_owner=-;; root) [ "$2" != 0 ] || stage_owner=-;; esac
    case $stage_group in "$3") stage_group=-;; root) [ "$3" != 0 ] || stage_group=-;; esac
  fi
  owner_set "$stage_to" "$stage_owner" "$stage_group" || fail stage cannot_set_the_owner err "" $i
  step owned
  [ "$stage_mode" = - ] || chmod "$stage_mode" "$stage_to" 2>"$work.err" || fail stage cannot_set_the_mode err "" $i
  step moded
}

# Owner, mode, access list, extended attributes and label of the old files: by one GNU cp, which finds the new ones
# by their names, or by several others for each.
keep_attributes() {
  keep_kinds=mode,ownership,xattr
  [ ! -e /sys/fs/selinux/enforce ] || keep_kinds=$keep_kinds,context
  cp --attributes-only --preserve=$keep_kinds -- "$@" "$stage_new/" 2>/dev/null
}
keep_by_hand() { # MODE OWNER:GROUP
  chown -- "$2" "$stage_to" 2>"$work.err" || fail stage cannot_keep_the_owner err "" $i
  step owner_kept
  chmod "$1" "$stage_to" 2>"$work.err" || fail stage cannot_keep_the_mode err "" $i
  step mode_kept
  if have getfacl && have setfacl; then getfacl -pE -- "$stage_live" 2>/dev/null | setfacl --set-file=- -- "$stage_to" 2>/dev/null; fi
  step list_kept
  if [ -e /sys/fs/selinux/enforce ] && have chcon; then chcon --reference="$stage_live" -- "$stage_to" 2>/dev/null; fi
  step label_kept
}

# The new file's time is that of its writing, which is earlier than that of an old file from a clock that is ahead. A
# copy of an earlier generation has that one's time.
stage_later_in() {
  files_of "$1"; set --; stage_live_words=
  while [ $i -lt $end ]; do
    get file_name $i; stage_live=$stage_dir/$v stage_to=$stage_new/$v
    get file_rest $i; v=${v% *}
    case ${v##* } in
    keep|gone) ;;
    gen:*)
      set -- "$@" "$stage_to"
      if [ -e "$stage_live" ]; then v=dir_$j/; else v=dir_$j/.certroll-\$tx.new/; fi
      stage_live_words="$stage_live_words \"\$$v\$file_name_$i\"";;
    *)
      if [ "$stage_live" -nt "$stage_to" ]; then
        set -- "$@" "$stage_to"; stage_live_words="$stage_live_words \"\$dir_$j/\$file_name_$i\""
      fi;;
    esac
    i=$((i+1))
  done
  [ $# = 0 ] || { later "$@" -- "$stage_live_words"; step staged_later; }
}

# Hard links to what is there, one process per directory; a copy where the file system has no links.
stage_old_files_in() {
  files_of "$1"; set --
  while [ $i -lt $end ]; do
    get file_before $i; stage_before=$v; get file_in_place $i
    [ "$stage_before" = absent ] || [ "$v" = 1 ] || { get file_name $i; set -- "$@" "$stage_dir/$v"; }
    i=$((i+1))
  done
  [ $any_in_place = 0 ] || stage_in_place
  [ $# -gt 0 ] || return 0
  ln -- "$@" "$stage_kept/" 2>"$work.err" || stage_copies "$@"
  step linked
}
stage_copies() {
  for stage_live; do
    stage_to=$stage_kept/${stage_live##*/}
    [ ! -e "$stage_to" ] || continue
    v=; have lsattr && v=$(lsattr -d -- "$stage_live" 2>/dev/null)
    case ${v%% *} in
    *i*|*a*) fail stage the_file_is_immutable err;;
    esac
    cp -p -- "$stage_live" "$stage_to" 2>"$work.err" || fail stage cannot_keep_the_old_file err
    step copied
  done
}
