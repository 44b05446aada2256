# What stands at the paths of an inspection. Many files cost few processes: stat, sha256sum, awk and
# lsattr each see all of them at once.

# Where writing to $1 would really write: base (of its directory, as far as that exists; empty for the
# root), miss (the rest of it), name; links in order; what is in the way, if anything is.
locate() {
  follow_links "$1"
  case $? in 0) way=;; 1) way=unreadable;; *) way=loop;; esac
  name=${v##*/} locate_dir=${v%/*} miss=
  until cd -P -- "${locate_dir:-/}" 2>/dev/null; do
    if [ -e "$locate_dir" ] || [ -L "$locate_dir" ]; then
      if [ -d "$locate_dir" ]; then way=unreadable; else way=${way:-special}; fi
      cd /; break
    fi
    miss=/${locate_dir##*/}$miss locate_dir=${locate_dir%/*}
  done
  base=$PWD; [ "$base" != / ] || base=
  cd /
  # A way back out of directories that do not exist leads nowhere.
  case $miss/ in */../*) way=${way:-special};; esac
}

locate_all() {
  i=0 locate_last= dirs=$nl
  while [ $i -lt $n_files ]; do
    get path $i; locate "$v"
    put links $i "${links#;}"
    locate_real=$base$miss/$name
    put real $i "$locate_real"; put name $i "$name"; put way $i "$way"
    locate_made= v=$miss locate_at=$base
    while [ -n "$v" ]; do
      v=${v#/}; locate_at=$locate_at/${v%%/*}
      case $v in */*) locate_rest=/${v#*/};; *) locate_rest=;; esac
      enc "$locate_at"; locate_made=$locate_made\;$v v=$locate_rest
    done
    put made $i "${locate_made#;}"
    # Directories are few; their facts are read once.
    if [ $n_dirs -eq 0 ] || [ "$base" != "$locate_last" ]; then
      j=0
      while [ $j -lt $n_dirs ]; do get dir $j; [ "$v" != "$base" ] || break; j=$((j+1)); done
      if [ $j = $n_dirs ]; then put dir $n_dirs "$base"; n_dirs=$((n_dirs+1)); fi
      locate_last=$base locate_last_dir=$j
    fi
    put in $i $locate_last_dir
    if [ -n "$way" ]; then locate_state=$way
    elif [ -d "$locate_real" ]; then locate_state=dir
    elif [ -f "$locate_real" ]; then
      locate_state='file'; [ -r "$locate_real" ] || locate_state=unreadable
    elif [ -e "$locate_real" ]; then locate_state=special
    elif [ -n "$links" ]; then locate_state=dangling
    else locate_state=absent; fi
    put st $i $locate_state
    i=$((i+1))
  done
}

# Mount points as the kernel escapes them: \040 for a blank.
unescape_mount() {
  case $1 in
  *\\*)
    unescape_rest=$1 v=
    while :; do
      case $unescape_rest in *\\*) v=$v${unescape_rest%%\\*}\\0; unescape_rest=${unescape_rest#*\\};; *) break;; esac
    done
    v=$(unescape "$v${unescape_rest}x"); v=${v%x};;
  *) v=$1;;
  esac
}

# mounts: all mount points, one per line; mp_N, mt_N, mo_N and mr_N: each with its type, its options, and what of its
# file system it shows (as told). See proc_pid_mountinfo(5).
read_mounts() {
  mounts=$nl n_mounts=0
  { while read -r mount_id v v mount_root mount_at mount_opts mount_rest; do
      mount_rest=${mount_rest#*- }; mount_type=${mount_rest%% *} mount_opts=$mount_opts,${mount_rest##* }
      unescape_mount "$mount_at"
      mounts=$mounts$v$nl
      put mp $n_mounts "$v"; put mt $n_mounts "$mount_type"; put mo $n_mounts "$mount_opts"; put mr $n_mounts "$mount_root"
      n_mounts=$((n_mounts+1))
    done </proc/self/mountinfo; } 2>/dev/null
}

# The mount point that a path lies below -> v
pinned_prefix() {
  pinned_mount= pinned_at=0
  while [ $pinned_at -lt $n_mounts ]; do
    get mp $pinned_at; v=${v%/}
    case $1 in "$v"/*) [ ${#v} -lt ${#pinned_mount} ] || pinned_mount=$v;; esac
    pinned_at=$((pinned_at+1))
  done
  v=$pinned_mount
}

# Free space, read-only mounts, earlier generations and orphans, directory by directory.
look_at_directories() {
  read_mounts; read_holds
  # Names of interrupted transactions, to tell an orphan from theirs.
  set +f; set -- "$state"/j.* "$state"/undo.* "$state"/done.* "$state"/conflict.*; set -f
  look_known=' '
  for look_file; do
    [ -e "$look_file" ] || continue
    look_file=${look_file##*/}; look_known="$look_known${look_file#*.} "
    journals="$journals ${look_file#*.}:${look_file%%.*}"
  done
  j=0 all=
  while [ $j -lt $n_dirs ]; do
    all="$all \"\${dir_$j:-/}\""
    get dir $j; look_dir=$v
    put free $j -; put inodes $j -
    look_ro=0 look_best=-1 look_mount=0
    while [ $look_mount -lt $n_mounts ]; do
      get mp $look_mount; look_point=${v%/}
      case $look_dir/ in
      "$look_point"/*)
        if [ ${#look_point} -ge $look_best ]; then
          look_best=${#look_point}; get mo $look_mount
          case ,$v, in *,ro,*) look_ro=1;; *) look_ro=0;; esac
        fi;;
      esac
      look_mount=$((look_mount+1))
    done
    put ro $j $look_ro
    look_writable=1; [ "$uid" = 0 ] || [ -w "${look_dir:-/}" ] || look_writable=0
    put writable $j $look_writable
    look_generations=
    set +f; set -- "$look_dir"/.certroll/*; set -f
    for look_file; do
      look_file=${look_file##*/}
      case $look_file in ''|*[!A-Za-z0-9-]*) ;; *) look_generations="$look_generations $look_file";; esac
    done
    put gens $j "$look_generations"
    look_orphans=
    set +f; set -- "$look_dir"/.certroll-*; set -f
    for look_file; do
      [ -d "$look_file" ] && [ ! -L "$look_file" ] && [ -O "$look_file" ] || continue
      v=${look_file##*/.certroll-}; v=${v%.new}
      case $look_known in *" $v "*) ;; *) enc "$look_file"; look_orphans=$look_orphans\;$v;; esac
    done
    put orphans $j "${look_orphans#;}"
    j=$((j+1))
  done
  [ $stattool = gnu ] && [ $n_dirs -gt 0 ] || return 0
  eval "v=\$(stat -f -c '%a %f %S %c %d' -- $all 2>/dev/null)"
  IFS=$nl; set -- $v; IFS=$ifs
  [ $# = $n_dirs ] || return 0
  j=0
  for look_line; do
    set -- $look_line; look_free=$1
    [ "$uid" != 0 ] || look_free=$2
    case $look_line in *[!0-9\ ]*) ;; *)
      put free $j "$look_free*$3"
      # Some file systems make inodes as they need them.
      [ "$4" = 0 ] || put inodes $j $5;;
    esac
    j=$((j+1))
  done
}

# The earlier generations of each file join the list of files to read: gp_N, gi_N (its file), gn_N (its id).
list_generations() {
  i=0
  while [ $i -lt $n_files ]; do
    get in $i; j=$v
    get gens $j
    if [ -n "$v" ]; then
      list_ids=$v; get dir $j; list_dir=$v; get name $i; list_name=$v
      for list_id in $list_ids; do
        list_file=$list_dir/.certroll/$list_id/$list_name
        # A directory tells that there was no file (finish).
        [ -f "$list_file" ] || [ -d "$list_file" ] && [ ! -L "$list_file" ] && [ -r "$list_file" ] || continue
        put gp $n_generations "$list_file"; put gi $n_generations $i; put gn $n_generations $list_id; n_generations=$((n_generations+1))
      done
    fi
    i=$((i+1))
  done
}

# CERTIFICATE blocks that are whole and hold nothing but base64, one line for each file, and whether
# there is a private key. A block that does not end as it began is dropped: what follows may be a key.
pem_awk='function tell() { if (n) print key " " out }
FNR == 1 { tell(); n++; key = 0; out = "-"; inside = 0 }
{ sub(/[ \t\r]+$/, "") }
/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/ { key = 1; inside = 0; next }
/^-----BEGIN CERTIFICATE-----$/ { inside = 1; body = ""; next }
/^-----END CERTIFICATE-----$/ {
if (inside && body != "" && length(out) + length(body) < 65536)
out = (out == "-" ? "" : out ",") body
inside = 0; next
}
/^-----/ { inside = 0; next }
inside && length(body) < 32768 && /^[A-Za-z0-9+\/=]*$/ { body = body $0; next }
{ inside = 0 }
END { tell() }'

# Everything about contents and attributes, in one process per tool.
read_files() {
  i=0 regular= reals= n_reg=0
  while [ $i -lt $n_files ]; do
    get st $i
    [ $v != file ] || { regular="$regular $i"; reals="$reals \"\$real_$i\""; n_reg=$((n_reg+1)); }
    put a $i -; put sha $i unreadable; put pem $i '0 -'; put acl $i 0; put named $i ''; put imm $i -; put can $i -
    i=$((i+1))
  done
  g=0 generation_words=
  while [ $g -lt $n_generations ]; do
    generation_words="$generation_words \"\$gp_$g\""; put gsha $g unreadable; put gpem $g '0 -'; g=$((g+1))
  done
  look_immutable
  [ $n_reg = 0 ] || read_attributes
  [ $((n_reg+n_generations)) -gt 0 ] || return 0
  eval "sums $reals $generation_words"
  read_at=0
  for i in $regular; do get sum $read_at; put sha $i $v; read_at=$((read_at+1)); done
  g=0
  while [ $g -lt $n_generations ]; do get sum $read_at; put gsha $g $v; read_at=$((read_at+1)); g=$((g+1)); done
  read_pems
  [ $n_reg = 0 ] || look_lists
  [ -z "$key_reader" ] || [ $n_reg = 0 ] || ask_reader
}

read_attributes() {
  case $stattool in
  gnu) eval "v=\$(stat -c '%a %h %s %u %g %U;%G' -- $reals 2>/dev/null)";;
  bsd) eval "v=\$(stat -f '%Lp %l %z %u %g %Su;%Sg' -- $reals 2>/dev/null)";;
  *) return 0;;
  esac
  IFS=$nl; set -- $v; IFS=$ifs
  [ $# = $n_reg ] || return 0
  for i in $regular; do put a $i "$1"; shift; done
}

read_pems() {
  have awk || return 0
  # Only what has a first line, and no more than a certificate file can hold.
  pem_files= pem_of=
  for i in $regular; do
    get a $i
    [ "$v" != - ] || continue
    set -- $v
    [ "$3" -gt 0 ] && [ "$3" -le 1048576 ] || continue
    pem_files="$pem_files \"\$real_$i\"" pem_of="$pem_of pem:$i"
  done
  g=0
  while [ $g -lt $n_generations ]; do
    get gp $g
    [ -d "$v" ] || [ ! -s "$v" ] || { pem_files="$pem_files \"\$gp_$g\"" pem_of="$pem_of gpem:$g"; }
    g=$((g+1))
  done
  [ -n "$pem_files" ] || return 0
  eval "v=\$(awk \"\$pem_awk\" $pem_files 2>/dev/null)"
  IFS=$nl; set -- $v; IFS=$ifs
  v=$#; pem_count=0
  for pem_entry in $pem_of; do pem_count=$((pem_count+1)); done
  [ $v = $pem_count ] || return 0
  for pem_entry in $pem_of; do put ${pem_entry%:*} ${pem_entry#*:} "$1"; shift; done
}

# chattr +i on a file, or on its directory.
look_immutable() {
  have lsattr || return 0
  eval "v=\$(lsattr -d -- $reals $all 2>/dev/null)"
  immutable_seen=$nl immutable_set=$nl
  IFS=$nl; set -- $v; IFS=$ifs
  for immutable_line; do
    immutable_flags=${immutable_line%% *} v=${immutable_line#* }
    while case $v in ' '*) :;; *) false;; esac; do v=${v# }; done
    case $immutable_flags in *[!-A-Za-z]*) continue;; esac
    immutable_seen=$immutable_seen$v$nl
    case $immutable_flags in *i*|*a*) immutable_set=$immutable_set$v$nl;; esac
  done
  for i in $regular; do
    get real $i
    case $immutable_seen in *"$nl$v$nl"*) put imm $i 0;; esac
    case $immutable_set in *"$nl$v$nl"*) put imm $i 1;; esac
  done
  j=0
  while [ $j -lt $n_dirs ]; do
    get dir $j
    case $immutable_set in *"$nl${v:-/}$nl"*) put writable $j 0;; esac
    j=$((j+1))
  done
}

# Access lists: what getfacl still prints without the base entries, and who is named there as a reader (named_N); or
# the + of ls.
look_lists() {
  if have getfacl; then
    eval "v=\$(getfacl -s -p -- $reals 2>/dev/null)"
    IFS=$nl; set -- $v; IFS=$ifs
    lists_at=
    for lists_line; do
      case $lists_line in
      '# file: '*)
        lists_at=
        for i in $regular; do get real $i; [ "$v" != "${lists_line#'# file: '}" ] || { lists_at=$i; put acl $i 1; }; done;;
      user:?*:*r*|group:?*:*r*)
        [ -n "$lists_at" ] || continue
        # One that the mask leaves nothing to is no reader.
        case $lists_line in *'#effective:-'*) continue;; esac
        lists_name=${lists_line#*:}; lists_name=${lists_name%%:*}
        case $lists_line in group:*) lists_name="group $lists_name";; esac
        enc "$lists_name"; lists_name=$v
        get named $lists_at; put named $lists_at "$v;$lists_name";;
      esac
    done
  else
    eval "v=\$(ls -ldq -- $reals 2>/dev/null)"
    IFS=$nl; set -- $v; IFS=$ifs
    for lists_line; do
      case $lists_line in ??????????+*) ;; *) continue;; esac
      for i in $regular; do get real $i; case $lists_line in *" $v") put acl $i 1;; esac; done
    done
  fi
}

# NAME GID: the accounts of a group, as far as the host's own files tell -> v, encoded, each after a `;`
group_accounts() {
  accounts=
  { while IFS=: read -r account_name v account_gid account_list; do
      [ "$account_name" = "$1" ] || continue
      IFS=,; for v in $account_list; do IFS=$ifs; enc "$v"; accounts=$accounts\;$v; done
    done </etc/group
    while IFS=: read -r account_name v v account_gid account_list; do
      [ "$account_gid" = "$2" ] && [ "$account_name" != root ] || continue
      enc "$account_name"; case $accounts\; in *";$v;"*) ;; *) accounts=$accounts\;$v;; esac
    done </etc/passwd; } 2>/dev/null
  IFS=$ifs
  v=$accounts
}

# Whether the service's user gets at each file, asked as that user; not by su, which writes logs.
ask_reader() {
  reader_group=$(id -g "$key_reader" 2>/dev/null) || return 0
  ask_as "--reuid=\"\$key_reader\" --regid=$reader_group --init-groups"
}
# Options of setpriv -> can_N
ask_as() {
  # By its path: busybox has one of its own, which cannot.
  [ "$uid" = 0 ] && [ -x /usr/bin/setpriv ] && [ $n_reg -gt 0 ] || return 0
  eval "v=\$(/usr/bin/setpriv $1 -- /bin/sh -c '
    for f; do if [ -r \"\$f\" ]; then echo 1; else echo 0; fi; done' sh $reals 2>/dev/null)"
  set -- $v
  [ $# = $n_reg ] || return 0
  for i in $regular; do put can $i $1; shift; done
}

# Who can read the key in file $i besides its owner.
tell_readers() {
  get named $i; readers=$v
  get a $i; set -- $v
  [ "$v" != - ] || return 0
  case $1 in
  *[4567]?)
    [ "$5" = 0 ] || group_accounts "${v##*;}" "$5"
    [ "$5" != 0 ] || v=
    readers=$readers$v;;
  esac
  tell_line="$tell_line readers=${readers#;}"
}

tell_files() {
  i=0
  while [ $i -lt $n_files ]; do
    get real $i; enc "$v"; tell_line="i=$i real=$v"
    get real $i
    tell_mounted=0; case $mounts in *"$nl$v$nl"*) tell_mounted=1;; esac
    get st $i; tell_state=$v
    get links $i; tell_line="$tell_line state=$tell_state links=$v"
    get made $i; tell_line="$tell_line made=$v"
    get in $i; j=$v
    for tell_key in free inodes ro writable orphans; do get $tell_key $j; tell_line="$tell_line $tell_key=$v"; done
    if [ $tell_state = file ]; then
      get a $i
      case $v in
      -) tell_state=unreadable;;
      *)
        tell_owner=${v%%;*} tell_group=${v#*;}; set -- $tell_owner; tell_owner=${tell_owner#* * * * * }
        tell_line="$tell_line mode=$1 nlink=$2 size=$3 uid=$4 gid=$5"
        enc "$tell_owner"; tell_line="$tell_line owner=$v"; enc "$tell_group"; tell_line="$tell_line group=$v mounted=$tell_mounted"
        ;;
      esac
      for tell_key in sha acl imm can; do get $tell_key $i; tell_line="$tell_line $tell_key=$v"; done
      get pem $i; tell_line="$tell_line holds_key=${v%% *} certs=${v#* }"
      case $v in '1 '*) tell_readers;; esac
      case " $pubs " in *" $i "*) get real $i; public_key "$v"; tell_line="$tell_line pub=${v:--}";; esac
    fi
    say file $tell_line
    i=$((i+1))
  done
  g=0
  while [ $g -lt $n_generations ]; do
    get gi $g; tell_line="i=$v"; get gn $g; tell_line="$tell_line id=$v"; get gsha $g; tell_line="$tell_line sha=$v"; get gpem $g
    v=${v#* }
    # The leaf tells enough.
    say gen $tell_line certs=${v%%,*}
    g=$((g+1))
  done
}
