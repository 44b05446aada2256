trap onsig HUP INT TERM
trap : PIPE
case ${1-} in guard) shift; guard "$@";; esac

read_request || exit 1
tools
places
need
take_lock
recover
i=0
while [ $i -lt $nd ]; do get d $i; orphans "$v"; i=$((i+1)); done
[ $sig = 0 ] || { say aborted why=signal; leave 5; }
check
i=0
while [ $i -lt $ns ]; do get srun $i; running $v; put sup $i "$v"; i=$((i+1)); done
say hello
step hello
[ $nf = 0 ] || stage
digests=${digests-}
validate fail no
[ $sig = 0 ] || { [ -z "$J" ] || sweep; say aborted why=signal; leave 5; }
say staged files=${digests#,}
verdict "$t_stage"
step commanded
[ $v = commit ] || { why=$v; [ -z "$J" ] || sweep; say aborted why=$why; leave 5; }
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
