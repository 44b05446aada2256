#!/bin/bash
# Process 1 of a host: starts sshd and the services by their own commands, then
# waits for ever. bash as process 1 collects orphans while it waits.
exec </dev/null >>/var/log/fleet-init.log 2>&1
if [ "$FLEET_SSHD" = dropbear ]; then
    keys=()
    for kind in ed25519 ecdsa; do
        # It reads formats of its own: the same keys, converted.
        dropbearconvert openssh dropbear /etc/ssh/ssh_host_${kind}_key /run/$kind.dropbear && keys+=(-r /run/$kind.dropbear)
    done
    dropbear -E "${keys[@]}" -b /etc/issue.net -p 22 2>>/var/log/sshd.log
else
    mkdir -p /run/sshd
    /usr/sbin/sshd -E /var/log/sshd.log
fi
for service in $FLEET_SERVICES; do
    sh /opt/fleet/services/"$service"/start || echo "$service: start failed with $?"
done
while :; do sleep infinity; done
