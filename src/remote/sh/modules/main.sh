# One module: reads the request, then does what `module` is.
while IFS= read -r line <&3; do
  set -- $line
  case ${1-} in
  tx) nonce=$2;;
  check) check=$2;;
  set) dec "$3"; put m "$2" "$v";;
  input) input=$2;;
  open) input_allowed=1;;
  go) break;;
  esac
done
[ "${1-}" = go ] || exit 1
require_shell
for v in $needed; do have $v || { say missing name=$v; exit 1; }; done
endure PIPE
tools
scratch 2>/dev/null || { say failed why=cannot%040create%040a%040scratch%040directory out=; exit 0; }
trap 'case ${BASHPID:-$$} in $$) rm -rf "$scratch_dir"; [ -z "$staged" ] || rm -f -- "$staged";; esac' EXIT
trap 'exit 1' HUP INT TERM
true >"$work.err"
home "$m_path"; m_path=$v
module
