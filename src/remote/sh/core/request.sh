# The request, one line per thing; the same lines make up the journal, so there is one reader.
#
#   tx NONCE ID | state DIR | run DIR | note HEX | times LOCK STAGE CONFIRM GUARD
#   keep N | units DIR (a guard for the next boot) | made DIR OWNER GROUP MODE | dir DIR
#   file DIR# NAME BEFORE AFTER OWNER GROUP MODE OWNER GROUP MODE CONTENT PATH | hush FILE# | in_place FILE#
#                                                       (a directory's files one after another) | mark FILE#
#   service NAME, then for it: running … | reload SECONDS ARG… | recover SECONDS ARG… | seed NEEDED FILES# FILE#… SECONDS ARG…
#   seal PORT STARTTLS SIGALGS NAME LEAF TMPFS# DIR…            (for the next check)
#   check VIA NET USER PROGRAM SECONDS REFUSALS# TEXT… ARG…
#   bodies BYTES                                        (of all files' contents) | peer PEM (they come sealed)
#
# Texts are encoded (dec reads them); `-` stands for none. A file that is to go has `absent` as what it holds after, and the
# content `gone`; that one with a mark was not there is to be known later (finish).
n_files=0 n_dirs=0 n_made=0 n_services=0 n_checks=0 n_sweep=0
keep=0 armed=0 whole=0 plan= journal= seal= units= bodies=0 any_in_place=0 gone=' ' marks=' '
t_lock=10 t_stage=60 t_confirm=60 t_guard=120

# One line, split into words: 1 when it is none of these.
parse() {
  parse_kind=${1-}
  [ $# -eq 0 ] || shift
  case $parse_kind in
  keep) keep=$1;;
  units) dec "$1"; units=$v;;
  made)
    dec "$1"; put made $n_made "$v"
    put made_owner $n_made "$2"; put made_group $n_made "$3"; put made_mode $n_made "$4"
    n_made=$((n_made+1));;
  dir) dec "$1"; put dir $n_dirs "$v"; n_dirs=$((n_dirs+1));;
  file)
    [ $n_files -gt 0 ] && [ "$1" = "$parse_in_dir" ] || put dir_first "$1" $n_files
    parse_in_dir=$1; put dir_end "$1" $((n_files+1))
    put file_dir $n_files "$1"; get dir "$1"; parse_dir=$v
    dec "$2"; put file_name $n_files "$v"; put file_live $n_files "$parse_dir/$v"
    put file_before $n_files "$3"; put file_after $n_files "$4"; put file_no_rename $n_files 0
    put file_in_place $n_files 0
    [ "$4" != absent ] || gone="$gone$n_files "
    # In one, as dash and busybox look for each variable among all others: owner, group, mode; the defaults;
    # content, path.
    shift 4; put file_rest $n_files "$*"
    n_files=$((n_files+1));;
  hush) put file_no_rename "$1" 1;;
  in_place) put file_in_place "$1" 1; any_in_place=1;;
  mark) marks="$marks$1 ";;
  service)
    put service_running $n_services ''; put service_reload $n_services ''; put service_recover $n_services ''
    put service_up $n_services -; put service_seed $n_services ''
    n_services=$((n_services+1));;
  running) put service_running $((n_services-1)) "$*";;
  reload) put service_reload $((n_services-1)) "$*";;
  recover) put service_recover $((n_services-1)) "$*";;
  seed) put service_seed $((n_services-1)) "$*";;
  seeded) put file_before "$1" "$2";;
  up) put service_up "$1" "$2";;
  by) case ${1-} in *[!0-9a-f]*) ;; *) by=${1-};; esac;;
  armed) armed=1;;
  end) whole=1;;
  *) return 1;;
  esac
}

# The files of directory $1: from $i to before $end.
files_of() { get dir_first "$1"; i=$v; get dir_end "$1"; end=$v; }

# Whether file $i is to go.
is_gone() { case $gone in *" $i "*) ;; *) return 1;; esac; }

# A check is no part of the journal: what is undone is not checked again.
parse_check() {
  put check_service $n_checks $((n_services-1))
  put check_via $n_checks "$1"; put check_net $n_checks "$2"; put check_user $n_checks "$3"
  put check_optional $n_checks "$4"; put check_seconds $n_checks "$5"; parse_left=$6; shift 6
  parse_refusals=
  while [ "$parse_left" -gt 0 ]; do parse_refusals="$parse_refusals $1"; shift; parse_left=$((parse_left-1)); done
  put check_refusals $n_checks "$parse_refusals"; put check_args $n_checks "$*"; put check_seal $n_checks "$seal"
  seal= n_checks=$((n_checks+1))
}

read_request() {
  while [ $caught = 0 ] && IFS= read -r line <&3; do
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
    peer) dec "$2"; peer=$v;;
    sweep) dec "$2"; put sweep $n_sweep "$v"; n_sweep=$((n_sweep+1));;
    go) return 0;;
    *) parse "$@" && plan=$plan$line$nl;;
    esac
  done
  return 1
}
