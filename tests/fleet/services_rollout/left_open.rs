//! A task without `dest`: the files are those that the service's own configuration names, where there is nothing at its
//! usual places and nothing else can be meant.

use crate::services_rollout::service::{HAPROXY, NGINX, POSTFIX};
use crate::services_rollout::site::{Task, host};

#[test]
fn dest_left_out_is_what_the_configuration_names() {
    let services = [&NGINX, &POSTFIX, &HAPROXY];
    let Some(host) = host(&services) else { return };
    for service in services {
        let task = Task::at(service, "gen2", "");
        let plan = host.run("plan", std::slice::from_ref(&task), &["--exit-code"]);
        assert_eq!(plan.code, 3, "{}: {plan}", service.name);
        let note = format!(
            "dest is left out: {} is what the configuration of {} names",
            service.cert, service.profile
        );
        assert!(plan.stdout.contains(&note), "{note}: {plan}");
        assert!(!plan.stdout.contains("not named"), "{plan}");
        host.expect(service, "gen1");

        host.apply(&task, "changed");
        host.expect(service, "gen2");
        host.apply(&task, "unchanged");
        let status = host.run("status", std::slice::from_ref(&task), &["--exit-code"]);
        assert_eq!(status.code, 0, "{status}");
        let back = host.run("rollback", std::slice::from_ref(&task), &[]);
        assert_eq!(back.outcome(host.name), "changed", "{back}");
        host.expect(service, "gen1");
    }
}

/// Two pairs are named: then the usual places are what a task without `dest` means, and the plan says who reads them.
#[test]
fn of_several_that_are_named_none_is_chosen() {
    let Some(host) = host(&[&NGINX]) else { return };
    host.sh(
        "cp -r /etc/nginx/tls /etc/nginx/certs
         mv /etc/nginx/certs/fullchain.pem /etc/nginx/certs/other.pem
         printf '%s\\n' 'server { listen 443 ssl; server_name other.fleet.test;' \
           'ssl_certificate /etc/nginx/certs/other.pem; ssl_certificate_key /etc/nginx/certs/privkey.pem; }' \
           >/etc/nginx/sites-enabled/broken-by-none.conf
         nginx -s reload",
    );
    let plan = host.run("plan", &[Task::at(&NGINX, "gen2", "")], &["--exit-code"]);
    assert!(!plan.stdout.contains("dest is left out"), "{plan}");
    assert!(plan.stdout.contains("/etc/nginx/certs/cert.pem"), "{plan}");
    host.sh("rm /etc/nginx/sites-enabled/broken-by-none.conf; nginx -s reload");
}

/// A stage that lost power before it had a journal. No certificate is at hand, and the task names no file.
#[test]
fn what_lies_beside_files_that_only_the_configuration_names_is_told_and_cleared_away() {
    let Some(host) = host(&[&NGINX]) else { return };
    let before = host.state(&NGINX);
    let orphan = "/etc/nginx/tls/.certroll-20200101T000000Z-1-1.new";
    host.sh(&format!("mkdir -m 700 {orphan}; (umask 077; echo half >{orphan}/privkey.pem)"));
    let task = [Task::at(&NGINX, "nowhere", "")];

    let status = host.run("status", &task, &[]);
    let events = status.events();
    let told = events.iter().find(|event| event["event"] == "host_status");
    let told = told.unwrap_or_else(|| panic!("{status}"));
    let files: Vec<_> =
        told["files"].as_array().unwrap().iter().map(|file| file["file"].clone()).collect();
    assert_eq!(files, ["/etc/nginx/tls/fullchain.pem", "/etc/nginx/tls/privkey.pem"], "{status}");

    let recovered = host.run("recover", &task, &[]);
    assert_eq!(recovered.code, 0, "{recovered}");
    assert_eq!(host.state(&NGINX), before, "{recovered}");
    host.expect(&NGINX, "gen1");
}
