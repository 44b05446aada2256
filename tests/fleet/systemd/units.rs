//! Services that are units: reloaded, rolled back, started again and left down by systemctl.

use super::host;
use crate::services_rollout::service::{APACHE, CADDY, DOVECOT, HAPROXY, NGINX, POSTFIX, Service};
use crate::services_rollout::site::{Host, Task, step};

fn unit(service: &Service) -> &'static str {
    if service.name == "apache" { "apache2" } else { service.name }
}

/// How often systemd has reloaded it since the host's boot.
fn reloads(host: &Host, service: &Service) -> usize {
    let units = match service.name {
        "postfix" => "-u postfix@-",
        _ => "",
    };
    let command = format!(
        "journalctl --sync; journalctl -b --no-pager -o cat -u {} {units} | grep -c '^Reloaded ' || :",
        unit(service)
    );
    host.sh(&command).trim().parse().unwrap()
}

fn state_of(host: &Host, service: &Service) -> String {
    host.sh(&format!("systemctl is-active {} || :", unit(service))).trim().to_owned()
}

/// Planned, rolled out by the systemd variant, quiet the second time, and back when a check says no.
fn as_a_unit(service: &Service) {
    let Some(host) = host(&[service]) else { return };
    let task = Task::of(service, "gen2");
    let command = format!("systemctl reload {}", unit(service));
    let before = reloads(&host, service);

    let plan = host.run("plan", std::slice::from_ref(&task), &["--exit-code"]);
    assert_eq!(plan.code, 3, "{plan}");
    assert!(plan.stdout.contains(&command), "{plan}");
    assert_eq!(reloads(&host, service), before);

    host.apply(&task, "changed");
    host.expect(service, "gen2");
    let after = reloads(&host, service);
    assert!(after > before, "{before} {after}");
    host.apply(&task, "unchanged");
    assert_eq!(reloads(&host, service), after);

    let held = host.state(service);
    let refused =
        Task::of(service, "gen1").with("checks: [{command: [/bin/false], on: controller}]");
    let ran = host.apply(&refused, "rolled_back");
    assert_eq!(step(&ran, &host), "checks", "{ran}");
    assert_eq!(host.state(service), held);
    host.expect(service, "gen2");
    assert!(reloads(&host, service) >= after + 2);
    assert_ne!(state_of(&host, service), "failed");
}

macro_rules! services {
    ($($name:ident: $service:expr;)*) => {$(
        #[test]
        fn $name() {
            as_a_unit(&$service);
        }
    )*};
}

services! {
    nginx: NGINX;
    apache: APACHE;
    haproxy: HAPROXY;
    caddy: CADDY;
    postfix: POSTFIX;
    dovecot: DOVECOT;
}

/// The reload of a certificate that is signed with SHA-1 ends Apache: a unit that failed is not reloaded but started.
#[test]
fn apache_dies_and_its_unit_is_started_again() {
    let Some(host) = host(&[&APACHE]) else { return };
    host.fleet().fleet(&["issue", "weak", "--kind", "sha1"]);
    let before = host.state(&APACHE);
    let starts = || host.sh("systemctl show -P ExecMainStartTimestampMonotonic apache2");
    let started = starts();

    let ran = host.apply(&Task::of(&APACHE, "weak"), "rolled_back");

    assert_ne!(starts(), started, "{ran}");
    assert!(ran.stdout.contains("apache had died and was started again"), "{ran}");
    assert_eq!(host.state(&APACHE), before);
    assert_eq!(state_of(&host, &APACHE), "active");
    host.expect(&APACHE, "gen1");
}

/// Its reload ends it, and the task says of no command that starts it: systemd restarts the unit that its process was of.
#[test]
fn a_unit_that_does_not_come_back_is_restarted_by_systemd() {
    let Some(host) = host(&[&NGINX]) else { return };
    let before = host.state(&NGINX);
    let ends = Task::of(&NGINX, "gen2")
        .services("files")
        .with("reload: {shell: 'systemctl kill -s KILL nginx; sleep 1'}");

    let ran = host.apply(&ends.attempts(3), "rolled_back");

    assert_eq!(step(&ran, &host), "verify", "{ran}");
    assert!(ran.stdout.contains("was restarted by `systemctl restart nginx"), "{ran}");
    assert!(ran.stdout.contains("the old certificate is served again"), "{ran}");
    assert_eq!(host.state(&NGINX), before);
    assert_eq!(state_of(&host, &NGINX), "active");
    host.expect(&NGINX, "gen1");
}

/// A service that was down before: nobody starts it, nobody is blamed for it, and the task says what happens to its
/// files.
#[test]
fn what_becomes_of_a_stopped_unit_is_for_the_task_to_say() {
    for service in [&NGINX, &APACHE] {
        let Some(host) = host(&[service]) else { return };
        let before = host.state(service);
        host.sh(&format!("systemctl stop {}", unit(service)));
        let task = Task::of(service, "gen2");

        let plan = host.run("plan", std::slice::from_ref(&task), &[]);
        assert!(plan.stdout.contains("is not running"), "{plan}");
        let ran = host.apply(&task, "failed");
        assert_eq!(step(&ran, &host), "inspect", "{ran}");
        assert!(ran.stdout.contains("when_stopped: deploy"), "{ran}");
        let ran = host.apply(&task.clone().with("when_stopped: skip"), "unchanged");
        assert!(ran.stdout.contains("left alone"), "{ran}");
        assert_eq!(host.state(service), before);

        let deploy = task.with("when_stopped: deploy");
        host.apply(&deploy, "changed");
        host.apply(&deploy, "unchanged");
        assert_eq!(state_of(&host, service), "inactive");
        host.sh(&format!("systemctl start {}", unit(service)));
        host.expect(service, "gen2");
    }
}

#[test]
fn a_service_that_is_not_installed_is_said_to_be_so() {
    let Some(host) = host(&[&NGINX]) else { return };
    let before = host.state(&NGINX);
    host.sh("systemctl stop nginx; mv /usr/sbin/nginx /usr/sbin/gone");
    for more in ["when_stopped: fail", "when_stopped: deploy"] {
        let ran = host.apply(&Task::of(&NGINX, "gen2").with(more), "failed");
        assert_eq!(step(&ran, &host), "inspect", "{ran}");
        assert!(ran.stdout.contains("not installed: nginx (no program nginx)"), "{ran}");
    }
    host.sh("mv /usr/sbin/gone /usr/sbin/nginx; systemctl start nginx");
    assert_eq!(host.state(&NGINX), before);
    host.expect(&NGINX, "gen1");
}
