# What every program begins with: a clean environment, replies, texts, tools, directories.
# POSIX sh: no arrays, no local, no read -t. Functions answer in $v unless they say otherwise.
LC_ALL=C; export LC_ALL
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH
unset ENV BASH_ENV CDPATH GREP_OPTIONS
nl='
'
ifs=' 	'$nl
IFS=$ifs
set -uf
# Our effective user id, and the mask that commands are run with.
uid= mask=
{ while read -r k a b c; do case $k in Uid:) uid=$b;; Umask:) mask=$a;; esac; done </proc/self/status; } 2>/dev/null
[ -n "$uid" ] || uid=$(id -u)
[ -n "$mask" ] || mask=$(umask)
umask 077
# Input is descriptor 3: no command that is run can eat the request.
exec 3<&0 </dev/null
nonce=- tx=- state= run= note= W= sig=0 rd= tok= boot= own= apart=

say() { echo "@certroll1 $nonce $*"; }
have() { command -v "$1" >/dev/null 2>&1; }
get() { eval "v=\$$1_$2"; }
put() { eval "$1_$2=\$3"; }

# %b in the builtin that the shell has: mksh's printf is a program, and its arguments are public.
case ${KSH_VERSION-} in
*MIRBSD*|*LEGACY*) unescape() { print -n -- "$1"; };;
*) unescape() { printf %b "$1"; };;
esac

# Texts travel as %ooo for every byte outside [A-Za-z0-9/._=:,@+-]; a lone % is the empty text.
dec() {
  case $1 in
  %) v=;;
  *%*)
    dec_r=$1 v=
    while :; do
      case $dec_r in
      *%*) v=$v${dec_r%%%*}\\0; dec_r=${dec_r#*%};;
      *) break;;
      esac
    done
    v=$(unescape "$v${dec_r}x"); v=${v%x};;
  *) v=$1;;
  esac
}

# Decodes a list into variables w_1, w_2 ...; $cmd gets the words that name them, for eval.
n_w=0
words() {
  cmd=
  for words_a in $1; do
    dec "$words_a"; n_w=$((n_w+1)); put w $n_w "$v"; cmd="$cmd \"\$w_$n_w\""
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

# Hex of a file's first 4 KiB; of its last; and of all, which the caller has bounded.
squeeze() { set -- $v; IFS=; v="$*"; IFS=$ifs; }
hex_head() { v=; [ ! -s "$1" ] || { v=$(od -An -v -tx1 -N 4096 "$1" 2>/dev/null); squeeze; }; }
hex_tail() { v=; [ ! -s "$1" ] || { v=$(tail -c 4096 "$1" 2>/dev/null | od -An -v -tx1 -N 4096); squeeze; }; }

# Sets sumtool, synctool, stattool (or none), boot, own.
tools() {
  for sumtool in sha256sum sha256 shasum openssl none; do have $sumtool && break; done
  if have fsync; then synctool=fsync; elif have sync; then synctool=sync; else synctool=none; fi
  if ! have stat; then stattool=none
  elif [ -e /proc/self/stat ]; then stattool=gnu
  elif stat -c %a / >/dev/null 2>&1; then stattool=gnu
  else stattool=bsd; fi
  { read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null || boot=$(sysctl -n kern.boottime 2>/dev/null | tr -dc 0-9)
  boot=${boot:-noboot}
  own=; have setsid && own=setsid
}

# Digests of files into sum_0, sum_1 ...: hex, or "absent", or "unreadable". One process for all
# whose names cannot confuse its answer.
sums() {
  sums_n=0 sums_batch= sums_named= sums_count=0
  for sums_f; do
    if [ ! -f "$sums_f" ]; then put sum $sums_n absent
    else
      case $sums_f in
      *[!A-Za-z0-9/._=:,@+\ -]*)
        v=
        case $sumtool in
        sha256sum) v=$(sha256sum <"$sums_f");;
        sha256) v=$(sha256 -q <"$sums_f");;
        shasum) v=$(shasum -a 256 <"$sums_f");;
        openssl) v=$(openssl dgst -sha256 -r <"$sums_f");;
        esac 2>/dev/null
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
  for sums_i in $sums_batch; do sums_one "$sums_i" "${1-}"; [ $# = 0 ] || shift; done
}
sums_one() {
  v=${2%% *}
  case $v in *[!0-9a-f]*|'') v=unreadable;; esac
  put sum "$1" "$v"
}

# fsync of each argument, file or directory, in one process.
flush() {
  case $synctool in
  fsync) fsync "$@";;
  sync) sync "$@";;
  esac
}

# Start time of a process, which tells a reused id apart; empty when it has ended.
born() {
  v=
  if [ -e /proc/self/stat ]; then
    { read -r v <"/proc/$1/stat"; } 2>/dev/null || { v=; return 0; }
    set -- ${v##*")"}
    # A zombie has ended, whoever has not looked yet.
    case ${1-} in Z|X|'') v=;; *) v=${20};; esac
  else v=$(ps -o lstart= -p "$1" 2>/dev/null | tr -dc 0-9A-Za-z); fi
}

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

# A scratch directory for programs that leave nothing behind: $W is a prefix for files in it.
scratch() {
  scratch_d=${TMPDIR:-/tmp}/.certroll-$$-$nonce
  mkdir "$scratch_d" || return 1
  W=$scratch_d/w
  # bash runs this also in a subshell that a signal ends before its first command.
  trap 'case ${BASHPID:-$$} in $$) rm -rf "$scratch_d";; esac' EXIT
}
