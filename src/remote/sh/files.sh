# What stands at the paths of an inspection. Many files cost few processes: stat, sha256sum, awk and
# lsattr each see all of them at once.

# Where writing to $1 would really write: base (of its directory, as far as that exists; empty for the
# root), miss (the rest of it), name; links in order; what is in the way, if anything is.
locate() {
  l_p=$1 links= way= hops=0
  while [ -L "$l_p" ]; do
    enc "$l_p"; links=$links\;$v
    v=$(readlink "$l_p" && echo x) || { way=unreadable; break; }
    v=${v%x}; v=${v%"$nl"}
    case $v in /*) l_p=$v;; *) l_p=${l_p%/*}/$v;; esac
    hops=$((hops+1))
    [ $hops -lt 40 ] || { way=loop; break; }
  done
  name=${l_p##*/} l_d=${l_p%/*} miss=
  until cd -P -- "${l_d:-/}" 2>/dev/null; do
    if [ -e "$l_d" ] || [ -L "$l_d" ]; then
      if [ -d "$l_d" ]; then way=unreadable; else way=${way:-special}; fi
      cd /; break
    fi
    miss=/${l_d##*/}$miss l_d=${l_d%/*}
  done
  base=$PWD; [ "$base" != / ] || base=
  cd /
  # A way back out of directories that do not exist leads nowhere.
  case $miss/ in */../*) way=${way:-special};; esac
}

locate_all() {
  i=0 last= dirs=$nl
  while [ $i -lt $nf ]; do
    get path $i; locate "$v"
    put links $i "${links#;}"
    real=$base$miss/$name
    put real $i "$real"; put name $i "$name"; put way $i "$way"
    made= v=$miss cur=$base
    while [ -n "$v" ]; do
      v=${v#/}; cur=$cur/${v%%/*}
      case $v in */*) rest=/${v#*/};; *) rest=;; esac
      enc "$cur"; made=$made\;$v v=$rest
    done
    put made $i "${made#;}"
    # Directories are few; their facts are read once.
    if [ $nd -eq 0 ] || [ "$base" != "$last" ]; then
      j=0
      while [ $j -lt $nd ]; do get dir $j; [ "$v" != "$base" ] || break; j=$((j+1)); done
      if [ $j = $nd ]; then put dir $nd "$base"; nd=$((nd+1)); fi
      last=$base last_n=$j
    fi
    put in $i $last_n
    if [ -n "$way" ]; then s=$way
    elif [ -d "$real" ]; then s=dir
    elif [ -f "$real" ]; then
      s=file; [ -r "$real" ] || s=unreadable
    elif [ -e "$real" ]; then s=special
    elif [ -n "$links" ]; then s=dangling
    else s=absent; fi
    put st $i $s
    i=$((i+1))
  done
}

# Mount points as the kernel escapes them: \040 for a blank.
unescape_mount() {
  case $1 in
  *\\*)
    um_r=$1 v=
    while :; do
      case $um_r in *\\*) v=$v${um_r%%\\*}\\0; um_r=${um_r#*\\};; *) break;; esac
    done
    v=$(unescape "$v${um_r}x"); v=${v%x};;
  *) v=$1;;
  esac
}

# mounts: all mount points, one per line; mp_N, mt_N and mo_N: each with its type and options.
read_mounts() {
  mounts=$nl nm=0
  { while read -r m_dev m_at m_type m_opts m_rest; do
      unescape_mount "$m_at"
      mounts=$mounts$v$nl
      put mp $nm "$v"; put mt $nm "$m_type"; put mo $nm "$m_opts"; nm=$((nm+1))
    done </proc/self/mounts; } 2>/dev/null
}

# roots: what other mount namespaces (containers) have mounted of a file system, except whole ones. Only
# root sees them, and each namespace is told once per process in it.
read_roots() {
  roots=$nl
  [ "$uid" = 0 ] && have awk || return 0
  set +f; set -- /proc/[0-9]*/mountinfo; set -f
  # Through cat: processes end meanwhile, and some awks with them.
  v=$(cat "$@" 2>/dev/null | awk '$4 != "/" && !seen[$4]++ { print $4 }')
  IFS=$nl; set -- $v; IFS=$ifs
  for line; do unescape_mount "$line"; roots=$roots$v$nl; done
}

# Whether one of them is the file $1, by its path from the root of its file system -> v
pinned() {
  case $roots in *"/${1##*/}$nl"*) ;; *) v=0; return;; esac
  pin_f=$1 pin_m= k=0
  while [ $k -lt $nm ]; do
    get mp $k; v=${v%/}
    case $pin_f in "$v"/*) [ ${#v} -lt ${#pin_m} ] || pin_m=$v;; esac
    k=$((k+1))
  done
  case $roots in *"$nl${pin_f#"$pin_m"}$nl"*) v=1;; *) v=0;; esac
}

# Free space, read-only mounts, earlier generations and orphans, directory by directory.
look_at_directories() {
  read_mounts; read_roots
  # Names of interrupted transactions, to tell an orphan from theirs.
  set +f; set -- "$state"/j.* "$state"/undo.* "$state"/done.* "$state"/conflict.*; set -f
  known=' '
  for f; do
    [ -e "$f" ] || continue
    f=${f##*/}; known="$known${f#*.} "
    journals="$journals ${f#*.}:${f%%.*}"
  done
  j=0 all=
  while [ $j -lt $nd ]; do
    all="$all \"\${dir_$j:-/}\""
    get dir $j; d=$v
    put free $j -; put inodes $j -
    ro=0 best=-1 k=0
    while [ $k -lt $nm ]; do
      get mp $k; m=${v%/}
      case $d/ in
      "$m"/*)
        if [ ${#m} -ge $best ]; then
          best=${#m}; get mo $k
          case ,$v, in *,ro,*) ro=1;; *) ro=0;; esac
        fi;;
      esac
      k=$((k+1))
    done
    put ro $j $ro
    w=1; [ "$uid" = 0 ] || [ -w "${d:-/}" ] || w=0
    put writable $j $w
    gens=
    set +f; set -- "$d"/.certroll/*; set -f
    for f; do
      f=${f##*/}
      case $f in ''|*[!A-Za-z0-9-]*) ;; *) gens="$gens $f";; esac
    done
    put gens $j "$gens"
    orphans=
    set +f; set -- "$d"/.certroll-*; set -f
    for f; do
      [ -d "$f" ] && [ ! -L "$f" ] && [ -O "$f" ] || continue
      v=${f##*/.certroll-}; v=${v%.new}
      case $known in *" $v "*) ;; *) enc "$f"; orphans=$orphans\;$v;; esac
    done
    put orphans $j "${orphans#;}"
    j=$((j+1))
  done
  [ $stattool = gnu ] && [ $nd -gt 0 ] || return 0
  eval "v=\$(stat -f -c '%a %f %S %c %d' -- $all 2>/dev/null)"
  IFS=$nl; set -- $v; IFS=$ifs
  [ $# = $nd ] || return 0
  j=0
  for line; do
    set -- $line; j_free=$1
    [ "$uid" != 0 ] || j_free=$2
    case $line in *[!0-9\ ]*) ;; *)
      put free $j "$j_free*$3"
      # Some file systems make inodes as they need them.
      [ "$4" = 0 ] || put inodes $j $5;;
    esac
    j=$((j+1))
  done
}

# The earlier generations of each file join the list of files to read: gp_N, gi_N (its file), gn_N (its id).
list_generations() {
  i=0
  while [ $i -lt $nf ]; do
    get in $i; j=$v
    get gens $j
    if [ -n "$v" ]; then
      ids=$v; get dir $j; d=$v; get name $i; n=$v
      for id in $ids; do
        f=$d/.certroll/$id/$n
        [ -f "$f" ] && [ ! -L "$f" ] && [ -r "$f" ] || continue
        put gp $ng "$f"; put gi $ng $i; put gn $ng $id; ng=$((ng+1))
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
  while [ $i -lt $nf ]; do
    get st $i
    [ $v != file ] || { regular="$regular $i"; reals="$reals \"\$real_$i\""; n_reg=$((n_reg+1)); }
    put a $i -; put sha $i unreadable; put pem $i '0 -'; put acl $i 0; put imm $i -; put can $i -
    i=$((i+1))
  done
  g=0 gps=
  while [ $g -lt $ng ]; do
    gps="$gps \"\$gp_$g\""; put gsha $g unreadable; put gpem $g '0 -'; g=$((g+1))
  done
  look_immutable
  [ $n_reg = 0 ] || read_attributes
  [ $((n_reg+ng)) -gt 0 ] || return 0
  eval "sums $reals $gps"
  k=0
  for i in $regular; do get sum $k; put sha $i $v; k=$((k+1)); done
  g=0
  while [ $g -lt $ng ]; do get sum $k; put gsha $g $v; k=$((k+1)); g=$((g+1)); done
  read_pems
  [ $n_reg = 0 ] || look_lists
  [ -z "$reader" ] || [ $n_reg = 0 ] || ask_reader
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
  while [ $g -lt $ng ]; do
    get gp $g
    [ ! -s "$v" ] || { pem_files="$pem_files \"\$gp_$g\"" pem_of="$pem_of gpem:$g"; }
    g=$((g+1))
  done
  [ -n "$pem_files" ] || return 0
  eval "v=\$(awk \"\$pem_awk\" $pem_files 2>/dev/null)"
  IFS=$nl; set -- $v; IFS=$ifs
  v=$#; k=0
  for f in $pem_of; do k=$((k+1)); done
  [ $v = $k ] || return 0
  for f in $pem_of; do put ${f%:*} ${f#*:} "$1"; shift; done
}

# chattr +i on a file, or on its directory.
look_immutable() {
  have lsattr || return 0
  eval "v=\$(lsattr -d -- $reals $all 2>/dev/null)"
  seen=$nl bad=$nl
  IFS=$nl; set -- $v; IFS=$ifs
  for line; do
    f=${line%% *} v=${line#* }
    while case $v in ' '*) :;; *) false;; esac; do v=${v# }; done
    case $f in *[!-A-Za-z]*) continue;; esac
    seen=$seen$v$nl
    case $f in *i*|*a*) bad=$bad$v$nl;; esac
  done
  for i in $regular; do
    get real $i
    case $seen in *"$nl$v$nl"*) put imm $i 0;; esac
    case $bad in *"$nl$v$nl"*) put imm $i 1;; esac
  done
  j=0
  while [ $j -lt $nd ]; do
    get dir $j
    case $bad in *"$nl${v:-/}$nl"*) put writable $j 0;; esac
    j=$((j+1))
  done
}

# Access lists: the names that getfacl still prints without the base entries; or the + of ls.
look_lists() {
  if have getfacl; then
    eval "v=\$(getfacl -s -p -- $reals 2>/dev/null)"
    IFS=$nl; set -- $v; IFS=$ifs
    listed=$nl
    for line; do case $line in '# file: '*) listed=$listed${line#'# file: '}$nl;; esac; done
    for i in $regular; do get real $i; case $listed in *"$nl$v$nl"*) put acl $i 1;; esac; done
  else
    eval "v=\$(ls -ldq -- $reals 2>/dev/null)"
    IFS=$nl; set -- $v; IFS=$ifs
    for line; do
      case $line in ??????????+*) ;; *) continue;; esac
      for i in $regular; do get real $i; case $line in *" $v") put acl $i 1;; esac; done
    done
  fi
}

# Whether the service's user gets at each file, asked as that user; not by su, which writes logs.
ask_reader() {
  # By its path: busybox has one of its own, which cannot.
  [ "$uid" = 0 ] && [ -x /usr/bin/setpriv ] || return 0
  group=$(id -g "$reader" 2>/dev/null) || return 0
  eval "v=\$(/usr/bin/setpriv --reuid=\"\$reader\" --regid=$group --init-groups -- /bin/sh -c '
    for f; do if [ -r \"\$f\" ]; then echo 1; else echo 0; fi; done' sh $reals 2>/dev/null)"
  set -- $v
  [ $# = $n_reg ] || return 0
  for i in $regular; do put can $i $1; shift; done
}

# The public half of a key that stays here. Neither program shows more; both read the key by themselves.
public_key() {
  v=
  if [ $has_ssl = 1 ]; then v=$(openssl pkey -pubout -passin pass: -in "$1" 2>/dev/null); fi
  if [ -z "$v" ] && have ssh-keygen; then
    # ksh93 makes sockets of pipes, and /dev/stdin cannot be opened then: hence the other shell.
    v=$(/bin/sh -c 'cat <"$1" | ssh-keygen -y -P "" -f /dev/stdin | ssh-keygen -e -m PKCS8 -f /dev/stdin' sh "$1" 2>/dev/null)
  fi
  case $v in
  *PRIVATE*) v=;;
  '-----BEGIN PUBLIC KEY-----'*)
    IFS=$nl; set -- $v; IFS=$ifs
    v= ; for line; do case $line in -*) ;; *) v=$v$line;; esac; done;;
  *) v=;;
  esac
}

tell_files() {
  i=0
  while [ $i -lt $nf ]; do
    get real $i; enc "$v"; l="i=$i real=$v"
    get real $i
    mounted=0; case $mounts in *"$nl$v$nl"*) mounted=1;; esac
    get st $i; s=$v
    get links $i; l="$l state=$s links=$v"
    get made $i; l="$l made=$v"
    get in $i; j=$v
    for k in free inodes ro writable orphans; do get $k $j; l="$l $k=$v"; done
    if [ $s = file ]; then
      get a $i
      case $v in
      -) s=unreadable;;
      *)
        owner=${v%%;*} group=${v#*;}; set -- $owner; owner=${owner#* * * * * }
        l="$l mode=$1 nlink=$2 size=$3 uid=$4 gid=$5"
        enc "$owner"; l="$l owner=$v"; enc "$group"; l="$l group=$v mounted=$mounted"
        get real $i; pinned "$v"; l="$l pinned=$v";;
      esac
      for k in sha acl imm can; do get $k $i; l="$l $k=$v"; done
      get pem $i; l="$l holds_key=${v%% *} certs=${v#* }"
      case " $pubs " in *" $i "*) get real $i; public_key "$v"; l="$l pub=${v:--}";; esac
    fi
    say file $l
    i=$((i+1))
  done
  g=0
  while [ $g -lt $ng ]; do
    get gi $g; l="i=$v"; get gn $g; l="$l id=$v"; get gsha $g; l="$l sha=$v"; get gpem $g
    v=${v#* }
    # The leaf tells enough.
    say gen $l certs=${v%%,*}
    g=$((g+1))
  done
}
