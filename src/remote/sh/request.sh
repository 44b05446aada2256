# The request, one line per thing; the same lines make up the journal, so there is one reader.
#
#   tx NONCE ID | state DIR | run DIR | note HEX | times LOCK STAGE CONFIRM GUARD
#   keep N | units DIR (a guard for the next boot) | made DIR OWNER GROUP MODE | dir DIR
#   file DIR# NAME BEFORE AFTER OWNER GROUP MODE OWNER GROUP MODE CONTENT PATH | hush FILE#
#                                                       (a directory's files one after another)
#   service NAME, then for it: running … | reload SECONDS ARG… | recover SECONDS ARG…
#   seal PORT STARTTLS SIGALGS NAME LEAF TMPFS# DIR…            (for the next check)
#   check VIA NET USER PROGRAM SECONDS REFUSALS# TEXT… ARG…
#   bodies BYTES                                        (of all files' contents)
#
# Texts are encoded (dec reads them); `-` stands for none.
nf=0 nd=0 nm=0 ns=0 nc=0 keep=0 armed=0 whole=0 plan= J= seal= units= bodies=0
t_lock=10 t_stage=60 t_confirm=60 t_guard=120

# One line, split into words: 1 when it is none of these.
parse() {
  parse_k=${1-}
  [ $# -eq 0 ] || shift
  case $parse_k in
  keep) keep=$1;;
  units) dec "$1"; units=$v;;
  made)
    dec "$1"; put md $nm "$v"; put mu $nm "$2"; put mg $nm "$3"; put mm $nm "$4"
    nm=$((nm+1));;
  dir) dec "$1"; put d $nd "$v"; nd=$((nd+1));;
  file)
    [ $nf -gt 0 ] && [ "$1" = "$parse_in" ] || put first "$1" $nf
    parse_in=$1; put end "$1" $((nf+1))
    put fd $nf "$1"; get d "$1"; parse_d=$v
    dec "$2"; put n $nf "$v"; put live $nf "$parse_d/$v"
    put before $nf "$3"; put after $nf "$4"; put hush $nf 0
    # In one, as dash and busybox look for each variable among all others: owner, group, mode; the defaults;
    # content, path.
    shift 4; put more $nf "$*"
    nf=$((nf+1));;
  hush) put hush "$1" 1;;
  service)
    put sname $ns "$1"; put srun $ns ''; put srel $ns ''; put srec $ns ''; put sup $ns -
    ns=$((ns+1));;
  running) put srun $((ns-1)) "$*";;
  reload) put srel $((ns-1)) "$*";;
  recover) put srec $((ns-1)) "$*";;
  up) put sup "$1" "$2";;
  armed) armed=1;;
  end) whole=1;;
  *) return 1;;
  esac
}

# The files of directory $1: from $i to before $end.
files_of() { get first "$1"; i=$v; get end "$1"; end=$v; }

# A check is no part of the journal: what is undone is not checked again.
parse_check() {
  put csvc $nc $((ns-1)); put cvia $nc "$1"; put cnet $nc "$2"; put cuser $nc "$3"
  put copt $nc "$4"; put csec $nc "$5"; parse_n=$6; shift 6
  parse_r=
  while [ "$parse_n" -gt 0 ]; do parse_r="$parse_r $1"; shift; parse_n=$((parse_n-1)); done
  put cref $nc "$parse_r"; put cargs $nc "$*"; put cseal $nc "$seal"
  seal= nc=$((nc+1))
}

read_request() {
  while IFS= read -r line <&3; do
    set -- $line
    case ${1-} in
    '') ;;
    tx) nonce=$2 tx=$3;;
    state) dec "$2"; state=$v;;
    run) dec "$2"; run=$v;;
    note) note=$2;;
    times) t_lock=$2 t_stage=$3 t_confirm=$4 t_guard=$5;;
    seal) shift; seal="$*";;
    check) shift; parse_check "$@";;
    bodies) bodies=$2;;
    sweep) dec "$2"; put sweep $n_sweep "$v"; n_sweep=$((n_sweep+1));;
    go) return 0;;
    *) parse "$@" && plan=$plan$line$nl;;
    esac
  done
  return 1
}
n_sweep=0
