trap_signals
case ${1-} in guard) shift; guard "$@";; boot) shift; endure PIPE; boot "$@";; esac
endure PIPE

came_from=${PWD:-/}
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
next=
[ $v != confirm_next ] || next=yes v=confirm
[ $v = confirm ] || roll_back confirm "$v"
confirm
eval "unlock $litter \${journal:+\"\$journal\"}"
say done
[ -n "$next" ] || exit 0
# Another program comes on the same input. A shell that knows nothing of this one reads it, as the first one did.
trap - HUP INT TERM
give_back_signals
umask "$mask"
cd "$came_from" 2>/dev/null || cd /
exec sh -c 'n=$(echo;echo x);n=${n%x};s=;
while IFS= read -r l;do case $l in "#go")break;;"#script")s=;;*)s=$s$l$n;;esac;done;eval "$s"' certroll <&3 3<&-
