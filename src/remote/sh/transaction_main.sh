trap_signals
case ${1-} in guard) shift; guard "$@";; boot) shift; endure PIPE; boot "$@";; esac
endure PIPE

read_request || exit 1
require_shell
tools
places
require_tools
take_lock
recover
j=0
while [ $j -lt $n_dirs ]; do get dir $j; orphans "$v"; j=$((j+1)); done
[ $signals = 0 ] || leave 5 aborted why=signal
compare
s=0
while [ $s -lt $n_services ]; do get service_running $s; running $v; put service_up $s "$v"; s=$((s+1)); done
sealed_key
say hello key=$sealed_public
step hello
digests=
[ $n_files = 0 ] || begin
[ $n_checks = 0 ] || say validating
validate fail no
[ $signals = 0 ] || discard signal
say staged files=${digests#,}
# The others of a batch may take long: that the controller still is there is said from time to time.
while verdict "$t_stage"; [ $v = alive ]; do :; done
step commanded
[ $v = commit ] || discard $v
commit
guard_lives
say committed files=${digests#,} guarded=$v
verdict "$t_confirm"
step answered
[ $v = confirm ] || roll_back confirm "$v"
confirm
unlock ${journal:+"$journal"}
say done
exit 0
