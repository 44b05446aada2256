# Times of files that tell a service that it has another file before it.

# FILE... -- WORDS: each file's time becomes now, or a second after that of the file beside it that WORDS (for eval)
# names, if that is not earlier already. A file whose time cannot be set keeps it.
later() {
  later_words= later_n=0
  while [ "$1" != -- ]; do
    later_n=$((later_n+1)); put later_file $later_n "$1"; later_words="$later_words \"\$later_file_$later_n\""; shift
  done
  shift; later_than=$1
  eval "touch -c -- $later_words" 2>/dev/null
  case $stattool in
  gnu) eval "v=\$(stat -c %Y -- $later_words $later_than 2>/dev/null)";;
  bsd) eval "v=\$(stat -f %m -- $later_words $later_than 2>/dev/null)";;
  *) return 0;;
  esac
  set -- $v
  [ $# = $((2*later_n)) ] || return 0
  later_at=0
  while [ $later_at -lt $later_n ]; do
    later_at=$((later_at+1)); later_now=$1; shift
    eval "v=\${$later_n}"
    [ "$later_now" -gt "$v" ] || later_by_a_second "$v"
  done
}
later_by_a_second() { get later_file $later_at; touch -c -d "@$(($1+1))" -- "$v" 2>/dev/null; }
