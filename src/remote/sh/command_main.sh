# One command: tx NONCE - | chdir DIR | env NAME=VALUE | creates GLOB | removes GLOB |
# input none|text|base64 | open (it may be recorded) | run SECONDS ARG… | go, then the input's body.
command_dir= creates= removes= command_env= command_program=

# Whether anything matches a pattern of the author.
matches() {
  set +f; IFS=; set -- $1; IFS=$ifs; set -f
  [ -e "${1-}" ] || [ -L "${1-}" ]
}

# The beginning of a stream and, where that is not all, its end.
stream() {
  size "$2"
  stream_size=$v stream_head=$(od -An -v -tx1 -N 65536 "$2" | tr -d ' \n') stream_tail=
  [ "$stream_size" -le 65536 ] || stream_tail=$(tail -c 65536 "$2" | od -An -v -tx1 -N 65536 | tr -d ' \n')
  say $1 size=$stream_size head=$stream_head tail=$stream_tail
}

while IFS= read -r line <&3; do
  set -- $line
  case ${1-} in
  tx) nonce=$2;;
  chdir) dec "$2"; command_dir=$v;;
  env) dec "$2"; n_words=$((n_words+1)); put word $n_words "$v"; command_env="$command_env export \"\$word_$n_words\";";;
  creates) dec "$2"; creates=$v;;
  removes) dec "$2"; removes=$v;;
  input) input=$2;;
  open) input_allowed=1;;
  run) command_limit=$2; shift 2; dec "$1"; command_program=$v; words "$*"; set -- run;;
  go) break;;
  esac
done
[ "${1-}" = go ] || exit 1
require_shell
for v in $needed; do have $v || { say missing name=$v; exit 1; }; done
endure PIPE

if [ -n "$command_dir" ]; then cd -- "$command_dir" 2>/dev/null || { say failed why=no_such_directory; exit 0; }; fi
if [ -n "$creates" ] && matches "$creates"; then say skipped; exit 0; fi
if [ -n "$removes" ] && ! matches "$removes"; then say skipped; exit 0; fi
# A program that is not there is told apart from one that says so of another. What it is found by may be set here.
# shellcheck disable=SC2086
command_found() {
  case $command_program in
  */*) [ -e "$command_program" ];;
  *) ( eval "$command_env :"; have "$command_program" );;
  esac
}
command_found || { say absent; exit 0; }
tools
scratch 2>/dev/null || { say failed why=cannot_create_a_scratch_directory; exit 0; }
# The command's own PATH may not lead there.
new_session=$(command -v ${new_session:-:}) || :
[ "$new_session" != : ] || new_session=
command_moment() { v=$(date +%Y-%m-%d_%H:%M:%S_%s_%N); case $v in *[!0-9_:-]*) v=${v%_*}_0;; esac; }
if ! input_begin; then say failed why=input_recorded; exit 0; fi
command_moment; command_begun=$v
say hello key=$input_key
input_agree || { say failed why=cannot_agree_on_what_seals_the_input; exit 0; }

true >"$work.out"; true >"$work.err"
start="{ give_back_signals; umask $mask; $command_env exec $new_session $cmd; } >\"\$work.out\" 2>\"\$work.err\" 3<&-"
# The input goes from builtin to pipe: it is in no file and in no argument list.
case $input in
none) eval "$start </dev/null &";;
*) eval "input_body 2>/dev/null | $start &";;
esac
watch $! "$command_limit"
stream out "$work.out"
stream err "$work.err"
command_moment
say done rc=$rc cut=$cut begun=$command_begun ended=$v
