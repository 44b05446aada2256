trap_signals
endure PIPE

read_request || exit 1
require_shell
tools
places
require_tools
take_lock
recover
i=0
while [ $i -lt $n_sweep ]; do
  get sweep $i
  orphans "${v%/*}"
  if resolve "$v"; then orphans "$real_dir"; fi
  i=$((i+1))
done
leave 0 done
