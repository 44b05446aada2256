# The journal STATE/j.ID says how to undo. Presumed abort: as long as it has that name the
# transaction is undone by whoever comes next; renamed to done.ID it stands.
#
#   j.ID         to be undone; without its line `end`, nothing had been done
#   undo.ID      the same, claimed by whoever undoes it
#   done.ID      confirmed; only the clearing up is left
#   conflict.ID  undone except for files that somebody else had changed meanwhile

# What a reply says about each service, before anything changes.
journal_write() {
  J=$state/j.$tx
  journal_up= i=0
  while [ $i -lt $ns ]; do get sup $i; journal_up="${journal_up}up $i $v$nl"; i=$((i+1)); done
  { echo "certroll-journal 1$nl$plan${journal_up}end" >"$J"; } 2>"$W.err"
}

# Reads journal $1: 1 when it is not whole.
journal_read() {
  J=$1 tx=${1##*/} nf=0 nd=0 nm=0 ns=0 nc=0 armed=0 whole=0 units= old_counted=
  tx=${tx#*.}
  { read -r line <"$J"; } 2>/dev/null || return 1
  [ "$line" = "certroll-journal 1" ] || return 1
  while IFS= read -r line; do
    set -- $line
    parse "$@" || :
  done <"$J"
  [ $whole = 1 ]
}

# Nobody but the winner of this rename may undo or confirm.
journal_claim() {
  deaf
  case ${J##*/} in
  j.*)
    mv -- "$J" "$state/undo.$tx" 2>/dev/null || return 1
    J=$state/undo.$tx
    step claimed
    ;;
  esac
}

# The staging directories: earlier files by hard link, and the new ones.
kept_in() { get fd "$1"; get d "$v"; v=$v/.certroll-$tx; }
new_in() { get fd "$1"; get d "$v"; v=$v/.certroll-$tx.new; }
