# What every program begins with: a clean environment, replies, texts, tools, directories.
# POSIX sh: no arrays, no local, no read -t. Functions answer in $v unless they say otherwise. README.md
# names the variables that all parts share.
LC_ALL=C; export LC_ALL
usual=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
case $PATH in *":$usual") ;; *) PATH=$PATH:$usual;; esac
export PATH
unset ENV BASH_ENV CDPATH GREP_OPTIONS
nl='
'
ifs=' 	'$nl
IFS=$ifs
set -uf
# Our effective user id, and the mask that commands are run with, which stands before it. No more than that is read: `read`
# costs the shell a system call per byte.
uid= mask=
{ while read -r k a b c; do case $k in Uid:) uid=$b; break;; Umask:) mask=$a;; esac; done </proc/self/status; } 2>/dev/null
[ -n "$uid" ] || uid=$(id -u)
[ -n "$mask" ] || mask=$(umask)
umask 077
# Input is descriptor 3: no command that is run can eat the request.
exec 3<&0 </dev/null
nonce=- tx=- state= run= note= work= signals=0 caught=0 reader= lock_token= boot_id= new_session= in_recovery=

# First in a subshell that has to be a process of its own: ksh93 makes none until that changes a limit.
# shellcheck disable=SC3045 # only ksh93 comes to it, which has it
own_process() { case ${KSH_VERSION-} in *93*) ulimit -t unlimited;; esac; }

say() { echo "@certroll1 $nonce $*"; }
have() { command -v "$1" >/dev/null 2>&1; }
get() { eval "v=\$$1_$2"; }
put() { eval "$1_$2=\$3"; }

# What every program here needs. Whatever is not on this list is asked for by `have`, with another way without it.
needed='od tr head tail cat awk readlink mkdir mv ln cp rm rmdir chmod chown touch stat sleep ls'

# After the request was read, so that the answer can be told: ends the program in a shell that cannot run it. posh
# drops an empty quoted word; yash does not wait for a process of another session.
require_shell() {
  require_x=';'
  set -- "${require_x#;}"
  v=
  if [ -n "${YASH_VERSION+x}" ]; then v=yash
  elif [ -n "${POSH_VERSION+x}" ]; then v=posh
  elif [ $# != 1 ]; then v=this_shell; fi
  [ -z "$v" ] || { say unfit shell=$v; exit 1; }
}

# Signals that must not end the program are ignored, and given back to the commands that it runs: a service that a
# reload starts would inherit that it ignores them. ksh93 cannot give them back, there they are caught.
endured=
endure() {
  endured=$*
  case ${KSH_VERSION-} in *93*) trap : "$@";; *) trap '' "$@";; esac
}
give_back_signals() { [ -z "$endured" ] || trap - $endured; }

# The first line of a file -> v, empty when there is none. In BusyBox 1.38 `read` never returns once a signal was
# caught: then another program reads.
first_line() {
  v=
  if [ $caught = 0 ]; then { read -r v <"$1"; } 2>/dev/null || :
  else v=$(head -n 1 "$1" 2>/dev/null); fi
}

# A body of lines from the request to standard output, up to a lone dot; 1 when it is cut short. `echo` is a
# builtin in every shell: no byte of a key gets into an argument list.
body() {
  while [ $caught = 0 ] && IFS= read -r body_line <&3; do
    [ "$body_line" != . ] || return 0
    echo "$body_line" || return 1
  done
  return 1
}

# %b in the builtin that the shell has: mksh's printf is a program, and its arguments are public.
case ${KSH_VERSION-} in
*MIRBSD*|*LEGACY*) unescape() { print -n -- "$1"; }; secret_line() { print -r -- "$1"; };;
*) unescape() { printf %b "$1"; }; secret_line() { printf '%s\n' "$1"; };;
esac

# Texts travel as %ooo for every byte outside [A-Za-z0-9/._=:,@+-]; a lone % is the empty text. Joined in
# pieces: a shell copies a text each time it adds to it, and some texts are programs.
dec() {
  case $1 in
  %) v=;;
  *%*)
    IFS=%; set -- $1; IFS=$ifs
    dec_text= v=$1; shift
    for dec_part; do
      [ ${#v} -lt 500 ] || dec_text=$dec_text$v v=
      v=$v\\0$dec_part
    done
    v=$(unescape "$dec_text${v}x"); v=${v%x};;
  *) v=$1;;
  esac
}

# Decodes a list into variables word_1, word_2 ...; $cmd gets the words that name them, for eval.
n_words=0
words() {
  cmd=
  for words_text in $1; do
    dec "$words_text"; n_words=$((n_words+1)); put word $n_words "$v"; cmd="$cmd \"\$word_$n_words\""
  done
}

# The other way, for names that were found here.
enc() {
  case $1 in
  '') v=%;;
  *[!A-Za-z0-9/._=:,@+-]*)
    v=$(printf %s "$1" | od -An -v -to1); set -- $v
    v=
    while [ $# -gt 0 ]; do v=$v%$1; shift; done;;
  *) v=$1;;
  esac
}

# Hex of a file's first 4 KiB, and of its last.
join_hex() { set -- $v; IFS=; v="$*"; IFS=$ifs; }
hex_head() { v=; [ ! -s "$1" ] || { v=$(od -An -v -tx1 -N 4096 "$1" 2>/dev/null); join_hex; }; }
hex_tail() { v=; [ ! -s "$1" ] || { v=$(tail -c 4096 "$1" 2>/dev/null | od -An -v -tx1 -N 4096); join_hex; }; }

# Sets sumtool and stattool (or none), boot_id, new_session.
tools() {
  for sumtool in sha256sum sha256 shasum openssl none; do have $sumtool && break; done
  if ! have stat; then stattool=none
  elif [ -e /proc/self/stat ]; then stattool=gnu
  elif stat -c %a / >/dev/null 2>&1; then stattool=gnu
  else stattool=bsd; fi
  first_line /proc/sys/kernel/random/boot_id; boot_id=$v
  [ -n "$boot_id" ] || boot_id=$(sysctl -n kern.boottime 2>/dev/null | tr -dc 0-9)
  boot_id=${boot_id:-noboot}
  new_session=; have setsid && new_session=setsid
}

# Digests of files into sum_0, sum_1 ...: hex, or "absent", or "unreadable". One process for all
# whose names cannot confuse its answer.
sums() {
  sums_n=0 sums_batch= sums_named= sums_count=0
  for sums_file; do
    if [ ! -f "$sums_file" ]; then put sum $sums_n absent
    else
      case $sums_file in
      *[!A-Za-z0-9/._=:,@+\ -]*)
        { v=$(digest <"$sums_file"); } 2>/dev/null
        sums_one $sums_n "$v";;
      *)
        sums_batch="$sums_batch $sums_n" sums_count=$((sums_count+1))
        sums_named="$sums_named \"\${$((sums_n+1))}\"";;
      esac
    fi
    sums_n=$((sums_n+1))
  done
  [ -n "$sums_batch" ] || return 0
  v=
  case $sumtool in
  sha256sum) eval "v=\$(sha256sum $sums_named 2>/dev/null)";;
  sha256) eval "v=\$(sha256 -q $sums_named 2>/dev/null)";;
  shasum) eval "v=\$(shasum -a 256 $sums_named 2>/dev/null)";;
  openssl) eval "v=\$(openssl dgst -sha256 -r $sums_named 2>/dev/null)";;
  esac
  IFS=$nl; set -- $v; IFS=$ifs
  # A file that could not be read has no line: then it is not known whose the others are.
  [ $# = $sums_count ] || set --
  for sums_at in $sums_batch; do sums_one "$sums_at" "${1-}"; [ $# = 0 ] || shift; done
}
# Of standard input: hex, and perhaps more words.
digest() {
  case $sumtool in
  sha256sum) sha256sum;;
  sha256) sha256 -q;;
  shasum) shasum -a 256;;
  openssl) openssl dgst -sha256 -r;;
  esac
}
sums_one() {
  v=${2%% *}
  case $v in *[!0-9a-f]*|'') v=unreadable;; esac
  put sum "$1" "$v"
}

# What a line of /proc/N/stat ($v) says after the process's name, which may have brackets of its own -> v. By `##` dash would
# try every length, and look through each.
after_name() { while :; do case $v in *")"*) v=${v#*")"};; *) return 0;; esac; done; }

# Start time of a process, which tells a reused id apart; empty when it has ended.
start_time() {
  v=
  if [ -e /proc/self/stat ]; then
    first_line "/proc/$1/stat"
    after_name; set -- $v
    # A zombie has ended, whoever has not looked yet.
    case ${1-} in Z|X|'') v=;; *) v=${20-};; esac
  else v=$(ps -o lstart= -p "$1" 2>/dev/null | tr -dc 0-9A-Za-z); fi
}

# Whether a process lives. A zombie has no program any more. That of somebody else's may not be shown to us: then its
# times tell, which takes a system call per byte.
alive() { [ -e "/proc/$1/exe" ] || { start_time "$1"; [ -n "$v" ]; }; }

# Where journals and locks are, unless the request named other places.
places() {
  if [ "$uid" = 0 ]; then
    state=${state:-/var/lib/certroll}
    if [ -z "$run" ]; then if [ -d /run ]; then run=/run/certroll; else run=/var/run/certroll; fi; fi
  else
    state=${state:-${HOME:-/nonexistent}/.local/state/certroll}
    if [ -z "$run" ]; then
      if [ -n "${XDG_RUNTIME_DIR:-}" ] && [ -d "${XDG_RUNTIME_DIR:-}" ]; then run=$XDG_RUNTIME_DIR/certroll
      else run=$state/run; fi
    fi
  fi
}

# A scratch directory for programs that leave nothing behind: $work is a prefix for files in it.
scratch() {
  scratch_dir=${TMPDIR:-/tmp}/.certroll-$$-$nonce
  mkdir "$scratch_dir" || return 1
  work=$scratch_dir/w
  # bash runs this also in a subshell that a signal ends before its first command.
  trap 'case ${BASHPID:-$$} in $$) rm -rf "$scratch_dir";; esac' EXIT
}
