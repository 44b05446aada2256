//! Caddy checks the new files as whoever runs it, whatever his name is.

use crate::services_rollout::service::CADDY;
use crate::services_rollout::site::{Task, host};

#[test]
fn the_user_who_runs_caddy_checks_the_files() {
    let Some(host) = host(&[&CADDY]) else { return };
    // Nobody of that name is needed.
    host.sh(
        "cp -p /etc/passwd /etc/group /root/ && sed -i 's/^caddy:/other:/' /etc/passwd /etc/group",
    );
    for (user, generation) in [("root", "gen2"), ("www-data", "gen1")] {
        host.sh(&format!(
            "kill $(pgrep -x caddy); while pgrep -x caddy; do sleep 0.1; done
             chown {user} /var/log/caddy.log /etc/caddy/tls/privkey.pem && chmod 600 /etc/caddy/tls/privkey.pem
             install -d -o {user} /run/home-{user}
             setsid setpriv --reuid {user} --regid {user} --init-groups env HOME=/run/home-{user} \\
               caddy run --config /etc/caddy/Caddyfile --adapter caddyfile >>/var/log/caddy.log 2>&1 </dev/null &"
        ));
        host.expect(&CADDY, if generation == "gen2" { "gen1" } else { "gen2" });
        let ran = host.apply(&Task::of(&CADDY, generation), "changed");
        assert!(!ran.stdout.contains("who cannot"), "{ran}");
        host.expect(&CADDY, generation);
        // The control: the check is his, and finds what he cannot read.
        if user != "root" {
            host.sh("chown root /etc/caddy/tls/privkey.pem");
            let ran = host.apply(&Task::of(&CADDY, "gen2"), "failed");
            assert!(ran.stdout.contains("permission denied"), "{ran}");
        }
    }
    host.sh("cp -p /root/passwd /root/group /etc/; kill $(pgrep -x caddy); while pgrep -x caddy; do sleep 0.1; done
         chown root:caddy /etc/caddy/tls/privkey.pem; chmod 640 /etc/caddy/tls/privkey.pem
         for one in caddy caddy-api; do sh /opt/fleet/services/$one/start; done");
    host.expect(&CADDY, "gen1");
}
