trap onsig HUP INT TERM
trap : PIPE

read_request || exit 1
tools
places
need
take_lock
recover
i=0
while [ $i -lt $n_sweep ]; do
  get sweep $i
  orphans "${v%/*}"
  if resolve "$v"; then orphans "$rdir"; fi
  i=$((i+1))
done
leave 0 done
