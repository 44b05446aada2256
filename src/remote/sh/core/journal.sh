# The journal STATE/j.ID says how to undo. Presumed abort: as long as it has that name the
# transaction is undone by whoever comes next; renamed to done.ID it stands.
#
#   j.ID         to be undone; without its line `end`, nothing had been done
#   undo.ID      the same, claimed by whoever undoes it
#   done.ID      confirmed; only the clearing up is left
#   conflict.ID  undone except for files that somebody else had changed meanwhile
#
# Its second line says in hex who began it: the note of the lock, in which the run is named.

# What a reply says about each service, before anything changes.
journal_write() {
  journal=$state/j.$tx
  journal_up= s=0
  while [ $s -lt $n_services ]; do get service_up $s; journal_up="${journal_up}up $s $v$nl"; s=$((s+1)); done
  { echo "certroll-journal 1${nl}by $note$nl$plan${journal_up}end" >"$journal"; } 2>"$work.err"
}

# Reads journal $1: 1 when it is not whole.
journal_read() {
  journal=$1 tx=${1##*/} n_files=0 n_dirs=0 n_made=0 n_services=0 n_checks=0 armed=0 whole=0 units= by= old_counted= any_in_place=0 gone=' ' marks=' '
  tx=${tx#*.}
  first_line "$journal"
  [ "$v" = "certroll-journal 1" ] || return 1
  if [ $caught = 0 ]; then
    while IFS= read -r line; do
      set -- $line
      parse "$@" || :
    done <"$journal"
  else
    IFS=$nl; set -- $(cat "$journal"); IFS=$ifs
    for line; do parse $line || :; done
  fi
  [ $whole = 1 ]
}

# Nobody but the winner of this rename may undo or confirm.
journal_claim() {
  ignore_signals
  case ${journal##*/} in
  j.*)
    mv -- "$journal" "$state/undo.$tx" 2>/dev/null || return 1
    journal=$state/undo.$tx
    step claimed
    ;;
  esac
}

# How long all commands and flushes of the journal that was read may take to go back -> v
journal_limit() {
  journal_sum=$((10*t_flush)) s=0
  while [ $s -lt $n_services ]; do
    for journal_array in service_reload service_recover; do
      get $journal_array $s
      [ -z "$v" ] || journal_sum=$((journal_sum+2*${v%% *}))
    done
    get service_running $s
    case $v in "command "*) v=${v#command }; journal_sum=$((journal_sum+3*${v%% *}));; esac
    s=$((s+1))
  done
  v=$journal_sum
}

# The staging directories of file $1: its earlier file by hard link, and the new one.
kept_in() { get file_dir "$1"; get dir "$v"; v=$v/.certroll-$tx; }
new_in() { get file_dir "$1"; get dir "$v"; v=$v/.certroll-$tx.new; }
