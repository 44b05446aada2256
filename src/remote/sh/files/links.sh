# Symbolic links, followed by name: both the inspection and the transaction ask where writing to a path would
# really write.

# PATH -> v: what the last link in its place leads to; links: those on the way, encoded. 1: one cannot be read, 2: a loop.
follow_links() {
  follow_path=$1 follow_hops=0 links=
  while [ -L "$follow_path" ]; do
    enc "$follow_path"; links=$links\;$v
    # A name may end in a newline, which a substitution drops.
    v=$(readlink "$follow_path" && echo x) || { v=$follow_path; return 1; }
    v=${v%x}; v=${v%"$nl"}
    case $v in
    /*) follow_path=$v;;
    *) follow_path=${follow_path%/*}/$v;;
    esac
    follow_hops=$((follow_hops+1))
    [ $follow_hops -lt 40 ] || { v=$follow_path; return 2; }
  done
  v=$follow_path
}
