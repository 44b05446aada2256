trap onsig HUP INT TERM
trap : PIPE
case ${1-} in guard) shift; guard "$@";; boot) shift; boot "$@";; esac

read_request || exit 1
tools
places
need
take_lock
recover
i=0
while [ $i -lt $nd ]; do get d $i; orphans "$v"; i=$((i+1)); done
[ $sig = 0 ] || leave 5 aborted why=signal
check
i=0
while [ $i -lt $ns ]; do get srun $i; running $v; put sup $i "$v"; i=$((i+1)); done
say hello
step hello
[ $nf = 0 ] || stage
digests=${digests-}
[ $nc = 0 ] || say validating
validate fail no
[ $sig = 0 ] || discard signal
say staged files=${digests#,}
# The others of a batch may take long: that the controller still is there is said from time to time.
while verdict "$t_stage"; [ $v = alive ]; do guard_tell $((t_stage+t_guard)); done
step commanded
[ $v = commit ] || discard $v
commit
guard_lives
say committed files=${digests#,} guarded=$v
verdict "$t_confirm"
step answered
[ $v = confirm ] || fall confirm "$v"
confirm
unlock ${J:+"$J"}
say done
exit 0
