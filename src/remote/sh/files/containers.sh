# What else has a file mounted: containers, each with a mount namespace of its own. Compared by inode and never by the
# text of paths: mountinfo goes on saying //deleted after a way back, names a link's target, and begins inside a subvolume.

# Mounts of other than whole file systems, one per namespace and place: hold_pid_N, hold_root_N (in its file system, as
# told), hold_at_N, and hold_id_N (inode, and `f` for a file) below $n_holds. Only root sees those of others.
read_holds() {
  n_holds=0 hold_words=
  [ "$uid" = 0 ] && [ $stattool = gnu ] && have awk || return 0
  set +f; set -- /proc/[0-9]*/ns/mnt; set -f
  if few_namespaces "$@"; then
    hold_others=
    for hold_pid in $hold_pids; do
      if [ "/proc/$hold_pid/ns/mnt" -ef /proc/self/ns/mnt ]; then read_own_mounts $hold_pid; else hold_others="$hold_others $hold_pid"; fi
    done
    [ -z "$hold_others" ] || read_mounts_of $hold_others
  else read_all_mounts "$@"; fi
  [ $n_holds -gt 0 ] || return 0
  hold_ids hold "$hold_words"
}
# One process of each mount namespace -> hold_pids. Most hosts have few, which the shell itself can tell: 1, they are more.
few_namespaces() {
  hold_pids= hold_few=0
  for hold_path; do
    [ -e "$hold_path" ] || continue
    for v in $hold_pids; do [ ! "$hold_path" -ef "/proc/$v/ns/mnt" ] || continue 2; done
    [ $hold_few -lt 6 ] || return 1
    v=${hold_path#/proc/}; hold_pids="$hold_pids ${v%%/*}" hold_few=$((hold_few+1))
  done
}
read_own_mounts() { # PID
  hold_at_mount=0
  while [ $hold_at_mount -lt $n_mounts ]; do
    get mr $hold_at_mount; hold_root=$v; get mp $hold_at_mount
    case $hold_root in /|//*) ;; *) read_hold $1 "$hold_root" "$v";; esac
    hold_at_mount=$((hold_at_mount+1))
  done
}
# Of some awks nothing comes when one of the processes ends meanwhile.
read_mounts_of() { # PID...
  hold_words_of=
  for v; do hold_words_of="$hold_words_of /proc/$v/mountinfo"; done
  if v=$(awk 'FNR == 1 { split(FILENAME, part, "/") }
$4 != "/" && $4 !~ /^\/\// && $5 ~ /^\// { print part[3], $4, $5 }' $hold_words_of 2>/dev/null); then read_hold_lines; return; fi
  for hold_pid; do
    { while read -r v v v hold_root hold_at v; do
        case $hold_root in /|//*) continue;; esac
        case $hold_at in /*) unescape_mount "$hold_at"; read_hold $hold_pid "$hold_root" "$v";; esac
      done <"/proc/$hold_pid/mountinfo"; } 2>/dev/null
  done
}
read_all_mounts() {
  hold_pids=$(ls -l "$@" 2>/dev/null | awk '{ split($(NF - 2), part, "/"); if (part[3] != "" && !seen[$NF]++) print part[3] }')
  set --
  for v in $hold_pids; do set -- "$@" "/proc/$v/mountinfo"; done
  # With headers, as there are at least two: processes end meanwhile, and some awks with them.
  v=$(tail -n +1 /dev/null "$@" 2>/dev/null | awk '$1 == "==>" { split($2, part, "/"); pid = part[3]; next }
pid != "" && $4 != "/" && $4 !~ /^\/\// && $5 ~ /^\// { print pid, $4, $5 }')
  read_hold_lines
}
# Lines in $v: process, place in its file system, mount point.
read_hold_lines() {
  IFS=$nl; set -- $v; IFS=$ifs
  for hold_line; do
    hold_pid=${hold_line%% *} v=${hold_line#* }; hold_root=${v%% *}
    unescape_mount "${v#* }"
    read_hold "$hold_pid" "$hold_root" "$v"
  done
}
read_hold() { # PID ROOT AT
  # No file of anybody's lies in these.
  case $3 in *"$nl"*|/proc/*|/sys/*|/dev/*) return 0;; esac
  put hold_pid $n_holds "$1"; put hold_at $n_holds "$3"; put hold_id $n_holds ''
  put hold_path $n_holds "/proc/$1/root$3"
  hold_words="$hold_words \"\$hold_path_$n_holds\""
  # Of what was renamed over only the mark is left.
  unescape_mount "${2%//deleted}"; put hold_root $n_holds "$v"
  n_holds=$((n_holds+1))
}

# WHOSE WORDS (for eval): inode of each file or directory, and which it is -> WHOSE_id_N, for those whose WHOSE_path_N is told
hold_ids() {
  eval "v=\$(stat -L -c '%d:%i %F,%n' -- $2 2>/dev/null)"
  IFS=$nl; set -- "$1" $v; IFS=$ifs
  hold_of=$1 hold_n=0; shift
  # In the order of the words; those that are gone are left out.
  for hold_line; do
    while :; do
      eval "v=\${${hold_of}_path_$hold_n-}"
      [ -n "$v" ] || return 0
      [ "$v" != "${hold_line#*,}" ] || break
      hold_n=$((hold_n+1))
    done
    v=${hold_line%%,*}
    case $v in
    *' directory') put ${hold_of}_id $hold_n "${v%% *}";;
    *' regular '*) put ${hold_of}_id $hold_n "${v%% *}f";;
    esac
    hold_n=$((hold_n+1))
  done
}

# Who holds the files: told for each, one line per namespace. `file`: this very inode is mounted by itself. `old`: a file
# of its name that is another inode already, or the one that its link pointed at before. `dir`: it lies in a mounted directory of another root, and where.
tell_holds() {
  hold_files=$regular
  # Of what is not there yet only where a container that was asked for will see it.
  if [ $n_containers != 0 ]; then
    hold_files= i=0
    while [ $i -lt $n_files ]; do get st $i; case $v in 'file'|absent|dangling) hold_files="$hold_files $i";; esac; i=$((i+1)); done
  fi
  [ $n_holds -gt 0 ] && [ -n "$hold_files" ] || return 0
  n_own=0 own_words= own_known=$nl
  for i in $hold_files; do
    get real $i; own_file=$v
    case $own_known in *"$nl$own_file$nl"*) put own_of $i '';; *) put own_of $i $n_own;; esac
    while :; do
      case $own_known in *"$nl$own_file$nl"*) break;; esac
      own_known=$own_known$own_file$nl
      put own_path $n_own "${own_file:-/}"; put own_id $n_own ''; own_words="$own_words \"\$own_path_$n_own\""
      n_own=$((n_own+1))
      [ -n "$own_file" ] || break
      own_file=${own_file%/*}
    done
  done
  hold_ids own "$own_words"
  chain_of=- hold_above=-
  holds_of_these_files
  [ -z "$hold_candidates" ] || for i in $hold_files; do tell_holds_of $i; done
}
# Machines with many namespaces have thousands of mounts, of which few hold one of many files -> hold_candidates
holds_of_these_files() {
  hold_inodes=$nl hold_texts=$nl hold_links= c=0
  while [ $c -lt $n_own ]; do get own_id $c; hold_inodes=$hold_inodes$v$nl; c=$((c+1)); done
  for i in $hold_files; do
    hold_text_of $i; hold_texts=$hold_texts$hold_text$nl
    get path $i; [ ! -h "$v" ] || hold_links=1
  done
  hold_candidates= c=0
  while [ $c -lt $n_holds ]; do
    get hold_id $c
    if [ -n "$v" ]; then
      case $hold_inodes in
      *"$nl$v$nl"*) hold_candidates="$hold_candidates $c";;
      *)
        get hold_root $c
        case $hold_texts in
        *"$nl$v$nl"*) hold_candidates="$hold_candidates $c";;
        *) get hold_id $c; case $hold_links$v in 1*f) hold_candidates="$hold_candidates $c";; esac;;
        esac;;
      esac
    fi
    c=$((c+1))
  done
}
# What mountinfo would call file $1 within its file system -> hold_text; hold_real is its path
hold_text_of() {
  get real $1; hold_real=$v
  if [ "$hold_above" != "${hold_real%/*}" ]; then
    hold_above=${hold_real%/*}
    pinned_prefix "$hold_real"; hold_mount=$v
  fi
  hold_text=${hold_real#"$hold_mount"}
}
own_id_of() { # PATH -> v
  own_n=0
  while [ $own_n -lt $n_own ]; do get own_path $own_n; [ "$v" != "$1" ] || { get own_id $own_n; return 0; }; own_n=$((own_n+1)); done
  v=
}
# The directories above $hold_real, the nearest first -> chain: inode and path in a line each. Files mostly share it.
directories_above() {
  chain_of=${hold_real%/*} chain=$nl
  chain_dir=$chain_of
  case $chain_dir in *"$nl"*) chain_dir=;; esac
  while [ -n "$chain_dir" ]; do
    own_id_of "$chain_dir"
    [ -z "$v" ] || chain="$chain$v $chain_dir$nl"
    chain_dir=${chain_dir%/*}
  done
}
# Whether what is held is a file that the link at $1 pointed at before, as certbot's do: cert1.pem, cert2.pem
was_linked() {
  get path $1
  [ -h "$v" ] || return 1
  without_digits "${hold_real##*/}"; linked_name=$v
  without_digits "${hold_root##*/}"
  [ "$v" = "$linked_name" ] && [ "/proc/$hold_pid/root$hold_at" -ef "${hold_real%/*}/${hold_root##*/}" ]
}
without_digits() { v=$1; while :; do case $v in *[0-9]*) v=${v%%[0-9]*}${v#*[0-9]};; *) return 0;; esac; done; }
tell_holds_of() {
  hold_text_of $1; hold_told=' '
  get own_of $1
  if [ -n "$v" ]; then get own_id $v; else own_id_of "$hold_real"; fi
  hold_own=$v
  get st $1; hold_there=$v
  [ -n "$hold_own" ] || [ "$hold_there" != 'file' ] || return 0
  [ "$chain_of" = "${hold_real%/*}" ] || directories_above
  for c in $hold_candidates; do
    get hold_pid $c; hold_pid=$v; get hold_id $c; hold_id=$v; get hold_root $c; hold_root=$v; get hold_at $c; hold_at=$v
    case $hold_told in *" $hold_pid "*) continue;; esac
    hold_kind=
    case $hold_id in
    *f)
      [ "$hold_there" = 'file' ] || continue
      # What is mounted on the destination itself here is told elsewhere.
      if [ "/proc/$hold_pid/ns/mnt" -ef /proc/self/ns/mnt ] && [ "$hold_at" = "$hold_real" ]; then continue; fi
      if [ "$hold_id" = "$hold_own" ]; then hold_kind='file'
      elif [ "$hold_root" = "$hold_text" ] || was_linked $1; then hold_kind=old; fi;;
    ?*)
      case $chain in *"$nl$hold_id "*) ;; *) continue;; esac
      [ ! "/proc/$hold_pid/root/." -ef / ] || continue
      hold_dir=${chain#*"$nl$hold_id "}; hold_dir=${hold_dir%%"$nl"*}
      hold_kind=dir hold_at=${hold_at%/}${hold_real#"$hold_dir"};;
    esac
    [ -n "$hold_kind" ] || continue
    hold_asked "$hold_pid"; hold_by=$v
    [ "$hold_there" = 'file' ] || [ "$hold_by" != - ] || continue
    [ "$hold_by" = - ] || put at_$hold_by $1 "$hold_at"
    hold_told="$hold_told$hold_pid "
    hold_container "$hold_pid"; hold_name=$v
    first_line "/proc/$hold_pid/comm"; enc "$v"; hold_comm=$v; enc "$hold_at"
    say held i=$1 kind=$hold_kind pid=$hold_pid container=$hold_name comm=$hold_comm asked=$hold_by path=$v
  done
}

# PID -> v: the number of the container that was asked for whose mounts that process sees, or `-`
hold_asked() {
  hold_nth=0
  while [ $hold_nth -lt $n_containers ]; do
    get in_pid $hold_nth
    if [ -n "$v" ] && [ "/proc/$v/ns/mnt" -ef "/proc/$1/ns/mnt" ]; then v=$hold_nth; return 0; fi
    hold_nth=$((hold_nth+1))
  done
  v=-
}

# The container that a process belongs to, as its cgroup names it -> v: its id, or empty
hold_container() {
  hold_group=
  { while IFS=: read -r hold_n v hold_n; do
      case $hold_n in *libpod-*|*docker[-/]*) hold_group=$hold_n; break;; esac
    done <"/proc/$1/cgroup"; } 2>/dev/null
  case $hold_group in
  *libpod-*) v=${hold_group##*libpod-};;
  *docker[-/]*) v=${hold_group##*docker[-/]};;
  *) v=; return 0;;
  esac
  v=${v%%[!0-9a-f]*}
}
