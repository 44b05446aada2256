//! A check counts only if it could have failed: `plan` runs it once with garbage in place of the new files.

use crate::services_rollout::service::{
    CADDY, CADDY_API, ENVOY, HAPROXY, HITCH, LIGHTTPD, NGINX, POSTFIX, Service,
};
use crate::services_rollout::site::{Task, host};

const BLIND: &str = "sees the live files only";

/// What a wrapper does that asks a daemon, a container or another machine: it leaves the namespace of the check.
#[test]
fn a_check_that_passes_with_garbage_is_told_and_proves_nothing() {
    let Some(host) = host(&[&NGINX]) else { return };
    let before = host.state_with_times(&NGINX);
    let blind = Task::of(&NGINX, "gen2").with("validate: [nsenter, -t, '1', -m, nginx, -t, -q]");
    let plan = host.run("plan", &[blind], &["--exit-code"]);
    assert_eq!(plan.code, 3, "{plan}");
    assert!(plan.stdout.contains("nsenter -t 1 -m nginx -t -q sees the live files only"), "{plan}");
    assert!(plan.stdout.contains("passes with garbage in place of the new files"), "{plan}");

    // The same check without leaving it, and one that is given the files.
    for seeing in ["validate: nginx -t -q", "validate: 'openssl x509 -noout -in {cert}'"] {
        let task = Task::of(&NGINX, "gen2").with(seeing);
        let plan = host.run("plan", &[task], &["--exit-code"]);
        assert_eq!(plan.code, 3, "{plan}");
        assert!(!plan.stdout.contains(BLIND), "{seeing}: {plan}");
    }
    assert_eq!(host.state_with_times(&NGINX), before);
    host.expect(&NGINX, "gen1");
}

#[test]
fn every_profile_s_check_of_contents_could_have_failed() {
    let services: [&Service; 8] =
        [&NGINX, &HAPROXY, &CADDY, &CADDY_API, &ENVOY, &POSTFIX, &HITCH, &LIGHTTPD];
    let Some(host) = host(&services) else { return };
    for service in services {
        let plan = host.run("plan", &[Task::of(service, "gen2")], &["--exit-code"]);
        assert_eq!(plan.code, 3, "{}: {plan}", service.name);
        assert!(!plan.stdout.contains(BLIND), "{}: {plan}", service.name);
        host.expect(service, "gen1");
    }
}

/// A rollout runs the service's own check once before the switch, over the staged files.
#[test]
fn only_a_plan_runs_the_check_on_the_untouched_host_and_with_garbage() {
    let Some(host) = host(&[&NGINX]) else { return };
    let task =
        Task::of(&NGINX, "gen2").with("validate: [sh, -c, 'echo >>/root/runs; nginx -t -q']");
    let mut runs = [0, 0];
    for (verb, count) in ["plan", "apply"].iter().zip(&mut runs) {
        host.sh("rm -f /root/runs");
        host.run(verb, std::slice::from_ref(&task), &[]);
        *count = host.sh("wc -l </root/runs").trim().parse().unwrap();
    }
    // On the untouched host, and with garbage; on the staged files alone.
    assert_eq!(runs, [2, 1]);
    println!("runs of a service's own check: plan {}, apply {}", runs[0], runs[1]);
    host.expect(&NGINX, "gen2");
}
