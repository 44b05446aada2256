# One command: tx NONCE - | chdir DIR | env NAME=VALUE | creates GLOB | removes GLOB |
# input none|text|base64 | run SECONDS ARG… | go, then the input's body.
dir= creates= removes= given=none sets=

# Whether anything matches a pattern of the author.
matches() {
  set +f; IFS=; set -- $1; IFS=$ifs; set -f
  [ -e "${1-}" ] || [ -L "${1-}" ]
}

# The input goes from builtin to pipe: it is in no file and in no argument list.
body() {
  while IFS= read -r l; do
    [ "$l" != . ] || return 0
    echo "$l" || return 0
  done
}

# The beginning of a stream and, where that is not all, its end.
stream() {
  size "$2"
  size=$v head=$(od -An -v -tx1 -N 65536 "$2" | tr -d ' \n') tail=
  [ "$size" -le 65536 ] || tail=$(tail -c 65536 "$2" | od -An -v -tx1 -N 65536 | tr -d ' \n')
  say $1 size=$size head=$head tail=$tail
}

while IFS= read -r line <&3; do
  set -- $line
  case ${1-} in
  tx) nonce=$2;;
  chdir) dec "$2"; dir=$v;;
  env) dec "$2"; n_w=$((n_w+1)); put w $n_w "$v"; sets="$sets export \"\$w_$n_w\";";;
  creates) dec "$2"; creates=$v;;
  removes) dec "$2"; removes=$v;;
  input) given=$2;;
  run) limit=$2; shift 2; words "$*"; set -- run;;
  go) break;;
  esac
done
[ "${1-}" = go ] || exit 1
trap : PIPE

if [ -n "$dir" ]; then cd -- "$dir" 2>/dev/null || { say failed why=no_such_directory; exit 0; }; fi
if [ -n "$creates" ] && matches "$creates"; then say skipped; exit 0; fi
if [ -n "$removes" ] && ! matches "$removes"; then say skipped; exit 0; fi
tools
scratch 2>/dev/null || { say failed why=cannot_create_a_scratch_directory; exit 0; }
# The command's own PATH may not lead there.
own=$(command -v ${own:-:}) || :
[ "$own" != : ] || own=
say hello

true >"$W.cut"; true >"$W.out"; true >"$W.err"
start="{ umask $mask; $sets exec $own $cmd; } >\"\$W.out\" 2>\"\$W.err\" 3<&-"
case $given in
none) eval "$start </dev/null &";;
text) eval "body <&3 2>/dev/null | $start &";;
base64) eval "body <&3 2>/dev/null | base64 -d 2>/dev/null | $start &";;
esac
watch $! "$limit"
cut=-
case $rc in 124|125) { read -r cut <"$W.cut"; } 2>/dev/null || cut=-;; esac
stream out "$W.out"
stream err "$W.err"
say done rc=$rc cut=$cut
