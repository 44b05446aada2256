#!/usr/bin/env bash
# A fleet in four shards under a real Slurm, by hand: tests/fleet/slurm.sh [CERTROLL], as root, with slurmctld, slurmd,
# slurm-client and munge installed. A canary, then an array of four by afterok; the largest shard is killed in the middle
# and submitted again; one recap of all. Says what it saw, and fails where that is not what docs/scale.md says.
set -euo pipefail
fleet=$(dirname "$(readlink -f "$0")")/fleet
certroll=$(readlink -f "${1:-$(dirname "$fleet")/../../target/debug/certroll}")
dir=$(mktemp -d) host=$(hostname -s)
export FLEET_DIR=$dir/fleet SLURM_CONF=$dir/slurm.conf XDG_STATE_HOME=$dir/records
munged=
end() {
  for name in slurmd slurmctld; do [ ! -s "$dir/$name.pid" ] || kill "$(cat "$dir/$name.pid")" || true; done
  [ -z "$munged" ] || kill "$munged" || true
  "$fleet" down >/dev/null || true
  rm -rf "$dir"
}
trap end EXIT

cat >"$SLURM_CONF" <<EOF
ClusterName=lab
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
SlurmctldPort=16827
SlurmdPort=16828
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=1
NodeName=$host NodeAddr=127.0.0.1 CPUs=8 State=UNKNOWN
PartitionName=lab Nodes=ALL Default=YES State=UP
EOF
mkdir "$dir/state" "$dir/spool"
if ! munge -n >/dev/null 2>&1; then
  mkdir -p /run/munge
  chown munge: /run/munge
  runuser -u munge -- munged --foreground >/dev/null 2>&1 & munged=$!
fi
for _ in $(seq 300); do if munge -n >/dev/null 2>&1; then break; fi; sleep 0.2; done
slurmctld
slurmd
"$fleet" up 6 --services nginx
for _ in $(seq 300); do if [ "$(sinfo -h -o %T)" = idle ]; then break; fi; sleep 0.2; done
sinfo

cat >"$dir/play.yml" <<'EOF'
- hosts: web
  become: true
  tasks:
    - certificate:
        service: nginx
        source: {cert: "{{ pki }}/gen2/fullchain.pem", key: "{{ pki }}/gen2/privkey.pem"}
        dest: {cert: /etc/nginx/tls/fullchain.pem, key: /etc/nginx/tls/privkey.pem}
        verify: {endpoint: "{{ ansible_host }}:443", server_name: www.fleet.test}
EOF
apply="$fleet exec $certroll apply $dir/play.yml -i $FLEET_DIR/inventory.ini --ssh-config $FLEET_DIR/ssh/config \
  -e pki=$FLEET_DIR/pki -f 1 -o json"
submit() { sbatch --parsable --chdir "$dir" --output "$dir/%x-%a.json" --error "$dir/%x-%a.err" "$@"; }
# JOB...: until none of them is in the queue
ended() { for _ in $(seq 600); do if [ -z "$(squeue -h -j "$1" 2>/dev/null)" ]; then return; fi; sleep 0.5; done; return 1; }
report() { "$certroll" report "$dir"/canary-*.json "$dir"/shard-*.json "$@"; }
states() { scontrol show job -o | sed -n 's/^JobId=\([0-9]*\).*ArrayTaskId=\([0-9]*\).*JobState=\([A-Z]*\).*/  job \1, task \2: \3/p' | sort; }

canary=$(submit --job-name canary --wrap "$apply --limit h001")
array=$(submit --job-name shard --array 1-4 --dependency "afterok:$canary" --wrap "$apply --shard auto/4")
echo "submitted: canary $canary, then array $array"
squeue -h -o '  %i waits for %E' -j "$array"
# The first of its hosts is done, and the next one is at work.
for _ in $(seq 3000); do
  if [ "$(grep -c '"event":"host_end"' "$dir/shard-1.json" 2>/dev/null)" = 1 ]; then break; fi
  sleep 0.02
done
# Without a last word: scancel would let it put its stage away.
for process in $(pgrep -f "^$certroll apply $dir/play.yml"); do
  if tr '\0' '\n' <"/proc/$process/environ" | grep -qx SLURM_ARRAY_TASK_ID=1; then kill -KILL "$process"; fi
done
ended "$array"
states
echo "--- report, with shard 1 killed"
report | tail -14 && code=0 || code=$?
report -o json >/dev/null && code=0 || code=$?
echo "exit code $code"
[ "$code" = 2 ]
again=$(submit --job-name shard-again --array 1 --wrap "$apply --shard auto/4")
ended "$again"
mv "$dir/shard-again-1.json" "$dir/shard-1b.json"
echo "--- report, with shard 1 submitted again"
told=$(report)
echo "$told"
case $told in *warning:*) exit 1;; esac
"$fleet" expect all nginx gen2
