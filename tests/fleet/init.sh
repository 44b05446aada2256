#!/bin/bash
# Process 1 of a host: starts sshd and the services by their own commands, then
# waits for ever. bash as process 1 collects orphans while it waits.
exec </dev/null >>/var/log/fleet-init.log 2>&1
mkdir -p /run/sshd
/usr/sbin/sshd -E /var/log/sshd.log
for service in $FLEET_SERVICES; do
    sh /opt/fleet/services/"$service"/start || echo "$service: start failed with $?"
done
while :; do sleep infinity; done
