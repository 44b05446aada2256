//! Caddy whose configuration lives in its admin API.

use crate::services_rollout::main_job::{drifted, renewed, rolled_back};
use crate::services_rollout::service::{CADDY_API, Service};
use crate::services_rollout::site::{Host, Task, host, step};

#[test]
fn is_renewed_and_then_left_alone() {
    let Some(host) = host(&[&CADDY_API]) else { return };
    renewed(&host, &CADDY_API);
}

#[test]
fn goes_back_to_exactly_what_was_there() {
    let Some(host) = host(&[&CADDY_API]) else { return };
    rolled_back(&host, &CADDY_API);
}

#[test]
fn what_it_does_not_serve_yet_is_seen_and_posted() {
    let Some(host) = host(&[&CADDY_API]) else { return };
    drifted(&host, &CADDY_API);
}

const API: &str = "http://localhost:2019/config/";

fn config(host: &Host) -> String {
    host.sh(&format!("curl -sS {API}"))
}

fn patch(path: &str, json: &str) -> String {
    format!("curl -sS -f -X PATCH -H 'Content-Type: application/json' -d '{json}' {API}{path}")
}

#[test]
fn gets_its_files_where_there_were_none() {
    let Some(host) = host(&[&CADDY_API]) else { return };
    let before = config(&host);
    let usual = ["/etc/caddy/certs/cert.pem", "/etc/caddy/certs/key.pem"];
    host.sh("rm -rf /etc/caddy/certs");
    // Left out, it would be what the configuration names now.
    let dest = format!("cert: {}, key: {}", usual[0], usual[1]);
    let task = Task::at(&CADDY_API, "gen2", &dest).with("verify: false");
    let ran = host.apply(&task, "changed");
    assert!(ran.stdout.contains("is not named in the configuration"), "{ran}");
    let found = host.sh(&format!("stat -c '%U:%G %a' {}", usual.join(" ")));
    assert_eq!(found, "root:root 644\nroot:caddy 640\n", "{ran}");
    let [cert, key] = usual;
    let named = format!(r#"[{{"certificate": "{cert}", "key": "{key}"}}]"#);
    host.sh(&patch("apps/tls/certificates/load_files", &named));
    host.expect(&CADDY_API, "gen2");
    host.apply(&Task::at(&CADDY_API, "gen3-rsa", ""), "changed");
    host.expect(&CADDY_API, "gen3-rsa");
    post(&host, &before);
    host.sh("rm -r /etc/caddy/certs");
}

fn post(host: &Host, config: &str) {
    host.sh(&format!("curl -sS -f -H 'Content-Type: application/json' -d '{config}' {API}"));
}

#[test]
fn a_pair_that_it_cannot_load_is_found_before_the_change_or_taken_back() {
    let Some(host) = host(&[&CADDY_API]) else { return };
    let (before, state) = (config(&host), host.state(&CADDY_API));
    let unreadable = Task::of(&CADDY_API, "gen2").with("key_owner: root").with("key_group: root");
    let unreadable = unreadable.with("key_mode: '0600'");

    let ran = host.apply(&unreadable, "failed");
    assert_eq!(step(&ran, &host), "validate", "{ran}");
    let ran = host.apply(&unreadable.with("validate: none"), "rolled_back");
    assert_eq!(step(&ran, &host), "reload", "{ran}");
    assert!(ran.stdout.contains("permission denied"), "{ran}");
    host.expect(&CADDY_API, "gen1");
    assert_eq!((config(&host), host.state(&CADDY_API)), (before, state));
}

/// A `curl` in front of the real one that does something before or after it.
fn curl_does(host: &Host, script: &str) {
    host.sh(&format!(
        "cat >/usr/local/bin/curl <<'END'\n#!/bin/sh\n{script}\nEND\nchmod 755 /usr/local/bin/curl"
    ));
}

#[test]
fn a_change_by_somebody_else_is_not_undone() {
    let Some(host) = host(&[&CADDY_API]) else { return };
    let before = config(&host);
    let theirs = r#"{"handler": "static_response", "body": "theirs"}"#;
    // They come between the look and the reload, once.
    let patch =
        patch("apps/http/servers/www/routes/0/handle/0", theirs).replace("curl", "/usr/bin/curl");
    curl_does(
        &host,
        &format!(
            "/usr/bin/curl \"$@\" || exit\ncase \"$*\" in *' -i '*) [ -e /root/once ] || {{ touch /root/once; {patch}; }};; esac"
        ),
    );
    let ran = host.apply(&Task::of(&CADDY_API, "gen2"), "rolled_back");
    host.sh("rm -f /usr/local/bin/curl /root/once");
    assert_eq!(step(&ran, &host), "reload", "{ran}");
    assert!(ran.stdout.contains("If-Match"), "{ran}");
    assert!(config(&host).contains("theirs"));
    host.expect(&CADDY_API, "gen1");
    post(&host, &before);
}

#[test]
fn a_caddy_left_without_a_configuration_gets_its_own_back() {
    let Some(host) = host(&[&CADDY_API]) else { return };
    let before = config(&host);
    // No Caddy was seen to do this; so the first post loses the configuration and answers with an error.
    curl_does(&host, &format!(
        "case \"$*\" in *POST*|*--data-binary*) [ -e /root/once ] || {{ touch /root/once
           /usr/bin/curl -sS -X DELETE {API}; printf 'broken\\n500\\n'; exit; }};; esac\nexec /usr/bin/curl \"$@\""
    ));
    let ran = host.apply(&Task::of(&CADDY_API, "gen2"), "rolled_back");
    host.sh("rm -f /usr/local/bin/curl /root/once");
    assert!(ran.stdout.contains("the previous configuration was posted back"), "{ran}");
    assert_eq!(config(&host), before);
    host.expect(&CADDY_API, "gen1");
}

#[test]
fn the_configuration_is_in_no_argument_and_no_file_and_no_output() {
    let Some(host) = host(&[&CADDY_API]) else { return };
    let before = config(&host);
    let secret = "s3cret-in-the-configuration";
    host.sh(&patch(
        "apps/http/servers/www/routes/0/handle/0",
        &format!(r#"{{"handler": "static_response", "body": "{secret}"}}"#),
    ));
    // What is run, with which arguments, and what it writes.
    curl_does(
        &host,
        "printf '%s\\n' \"$*\" >>/root/arguments; ls -lR /tmp >>/root/arguments 2>&1; exec /usr/bin/curl \"$@\"",
    );
    let mut said = String::new();
    for (task, outcome) in [
        (Task::of(&CADDY_API, "gen2"), "changed"),
        (Task::of(&CADDY_API, "gen3-rsa").with("checks: [{command: ['false']}]"), "rolled_back"),
        (
            Task::of(&CADDY_API, "gen3-rsa")
                .with("validate: none")
                .with("key_owner: root")
                .with("key_group: root")
                .with("key_mode: '0600'"),
            "rolled_back",
        ),
    ] {
        let plan = host.run("plan", std::slice::from_ref(&task), &["-vvv"]);
        let ran = host.apply(&task, outcome);
        said.push_str(&format!("{plan}{ran}"));
    }
    let arguments = host.sh("cat /root/arguments; rm /usr/local/bin/curl /root/arguments");
    assert!(arguments.contains("must-revalidate") && !arguments.contains(secret), "{arguments}");
    assert!(!said.contains(secret), "{said}");
    let left =
        host.sh(&format!("grep -rls {secret} /tmp /run /root /var/lib/certroll /var/log || true"));
    assert_eq!(left, "");
    // The control: it is there to be found, in Caddy's own file.
    let own = host.sh(&format!("grep -rl {secret} /var/lib/caddy-api"));
    assert!(own.contains("autosave.json"), "{own}");
    post(&host, &before);
}

#[test]
fn the_api_may_be_on_a_unix_socket_and_one_that_is_off_is_told_before_the_change() {
    let Some(host) = host(&[&CADDY_API]) else { return };
    let before = config(&host);
    std::fs::create_dir(host.file("services")).unwrap();
    let own = |admin: &str| {
        let text = format!("extends: caddy-api\nsettings: {{admin: '{admin}'}}\n");
        std::fs::write(host.file("services/own.yml"), text).unwrap();
    };
    let service = Service { profile: "own", ..CADDY_API };
    let stopped = |service: &Service, words: &str| {
        let plan = host.run("plan", &[Task::of(service, "gen2")], &[]);
        assert_eq!((plan.code, step(&plan, &host).as_str()), (2, "validate"), "{plan}");
        assert!(plan.stdout.contains(words), "{words}: {plan}");
    };

    own("localhost:2999");
    stopped(&service, "does not give the configuration");
    host.sh("mv /usr/bin/curl /usr/bin/curl.away");
    stopped(&CADDY_API, "curl is not installed");
    host.sh("mv /usr/bin/curl.away /usr/bin/curl");

    host.sh("install -d -o caddy /run/caddy-api");
    own("/run/caddy-api/admin.sock");
    host.sh(&patch("admin", r#"{"listen": "unix//run/caddy-api/admin.sock"}"#));
    host.apply(&Task::of(&service, "gen2"), "changed");
    host.expect(&service, "gen2");
    host.apply(&Task::of(&service, "gen2"), "unchanged");
    // Back to where the next test looks.
    host.sh(&format!(
        "curl -sS -f --unix-socket /run/caddy-api/admin.sock -H 'Host;' -H 'Content-Type: application/json' -d '{before}' http://localhost/config/"
    ));
    assert_eq!(config(&host), before);
}
