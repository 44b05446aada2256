//! `certroll discover` on a host with twelve services at once, some of whose certificates are not as they should be.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test fails by it; a test has no callers"
)]

use crate::common::fleet::{Fleet, Ran, S_CLIENT};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

const SERVICES: [&str; 12] = [
    "apache",
    "caddy",
    "dovecot",
    "envoy",
    "haproxy",
    "hitch",
    "lighttpd",
    "mosquitto",
    "nginx",
    "postfix",
    "redis",
    "traefik",
];

fn discover(fleet: &Fleet, more: &[&str]) -> Ran {
    let inventory = fleet.dir().join("inventory.ini");
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["discover", "-i", inventory.to_str().unwrap(), "-o", "json"];
    fleet.run(directory.path(), &[&arguments, more].concat())
}

/// `SERVICE FILE: STATE PORTS` of each certificate.
fn found(ran: &Ran) -> Vec<String> {
    let events = ran.events();
    let event = events.iter().find(|event| event["event"] == "host_certificates");
    let event = event.unwrap_or_else(|| panic!("no certificates: {ran}"));
    let words = |one: &Value| {
        let endpoints = one["endpoints"].as_array().unwrap().iter();
        let seen = endpoints.filter(|endpoint| endpoint["fingerprint"].is_string());
        let ports: Vec<String> = seen
            .map(|endpoint| {
                endpoint["endpoint"].as_str().unwrap().rsplit_once(':').unwrap().1.into()
            })
            .collect();
        let text = |name: &str| one[name].as_str().unwrap_or("-").to_owned();
        let line =
            format!("{} {}: {} {}", text("service"), text("file"), text("state"), ports.join(","));
        line.trim_end().to_owned()
    };
    let mut lines: Vec<String> =
        event["certificates"].as_array().unwrap().iter().map(words).collect();
    lines.sort();
    lines
}

/// The files whose certificate has no days left.
fn expired(ran: &Ran) -> Vec<String> {
    let events = ran.events();
    let event = events.iter().find(|event| event["event"] == "host_certificates").unwrap();
    let all = event["certificates"].as_array().unwrap().iter();
    let over = all.filter(|one| one["certificate"]["days_left"].as_i64().is_some_and(|d| d < 0));
    over.map(|one| one["file"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_certificate_of_a_host_is_told_with_what_is_served() {
    let Some(fleet) = Fleet::up(1, &SERVICES) else { return };
    let before = fleet.snapshot_with_times("h001", &["/etc"]);

    let ran = discover(&fleet, &[]);
    assert_eq!(ran.code, 0, "{ran}");
    let quiet = [
        "apache /etc/apache2/tls/fullchain.pem: served 7443",
        "caddy /etc/caddy/tls/fullchain.pem: served 9443",
        "dovecot /etc/dovecot/tls/fullchain.pem: served 110,143,993,995,4190",
        "envoy /etc/envoy/tls/fullchain.pem: served 11443",
        "haproxy /etc/haproxy/tls/site.pem: served 8443",
        "hitch /etc/hitch/tls/site.pem: served 13443",
        "lighttpd /etc/lighttpd/tls/fullchain.pem: served 14443",
        "mosquitto /etc/mosquitto/tls/fullchain.pem: served 8883",
        "nginx /etc/nginx/tls/fullchain.pem: served 443",
        "postfix /etc/postfix/tls/fullchain.pem: served 25,465",
        "redis /etc/redis/tls/cert.pem: served 6379",
        "traefik /etc/traefik/tls/fullchain.pem: served 10443",
    ];
    assert_eq!(found(&ran), quiet);
    assert!(expired(&ran).is_empty(), "{ran}");
    assert_eq!(fleet.snapshot_with_times("h001", &["/etc"]), before, "it only looks");
    let key = fs::read_to_string(fleet.pki("gen1", "privkey.pem")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    assert!(!ran.to_string().contains(secret));

    // One drifts, one is expired and served, one lies there unused, one is certbot's, one is not there.
    fleet.fleet(&["put", "h001", "nginx", "gen2"]);
    fleet.fleet(&["put", "h001", "apache", "expired"]);
    fleet.fleet(&["reload", "h001", "apache"]);
    let file = |name: &str| fs::read_to_string(fleet.pki("gen2", name)).unwrap();
    fleet.sh(
        "h001",
        &format!(
            "mkdir -p /etc/letsencrypt/archive/www /etc/letsencrypt/live/www /etc/old
             echo '{}' >/etc/letsencrypt/archive/www/fullchain1.pem
             ln -s ../../archive/www/fullchain1.pem /etc/letsencrypt/live/www/fullchain.pem
             cp /etc/letsencrypt/archive/www/fullchain1.pem /etc/old/site.crt
             ln -s site.crt /etc/old/$(openssl x509 -in /etc/old/site.crt -noout -subject_hash).0
             ln -s site.crt /etc/old/00000000.0
             rm /etc/postfix/tls/fullchain.pem /etc/traefik/tls/privkey.pem",
            file("fullchain.pem")
        ),
    );

    let metrics = fleet.dir().join("found.prom");
    let report = fleet.dir().join("found.md");
    let more = ["--metrics", metrics.to_str().unwrap(), "--report", report.to_str().unwrap()];
    let ran = discover(&fleet, &[&["--exit-code"], &more[..]].concat());
    assert_eq!(ran.code, 3, "{ran}");
    let dates = fs::read_to_string(&metrics).unwrap();
    let drift = "certroll_found_certificate_not_after_timestamp_seconds{file=\"/etc/nginx/tls/fullchain.pem\",host=\"h001\",\
                 service=\"nginx\",state=\"drift\"}";
    assert!(dates.contains(drift), "{dates}");
    let report = fs::read_to_string(&report).unwrap();
    for row in [
        "| h001 | nginx | www.fleet.test, ",
        "| /etc/nginx/tls/fullchain.pem | root:root 0644 | DRIFT: ",
        "| unused: no known service names it",
    ] {
        assert!(report.contains(row), "{row}: {report}");
    }
    // A process of Postfix' that is still there may have the certificate whose file is gone, and shows it.
    let mut lines = found(&ran);
    lines.retain(|line| !line.starts_with("postfix -: only_served"));
    // Neither a link nor a hashed name is a file of its own.
    let mut wanted = vec![
        "- /etc/letsencrypt/live/www/fullchain.pem: unused",
        "- /etc/old/site.crt: unused",
        "nginx /etc/nginx/tls/fullchain.pem: drift 443",
        "postfix /etc/postfix/tls/fullchain.pem: unreadable",
    ];
    let as_before = |line: &&str| !line.starts_with("nginx ") && !line.starts_with("postfix ");
    wanted.extend(quiet.into_iter().filter(as_before));
    wanted.sort_unstable();
    assert_eq!(lines, wanted, "{ran}");
    assert_eq!(expired(&ran), ["/etc/apache2/tls/fullchain.pem"], "{ran}");
    let hashed =
        ["hashed name /etc/old/", "/etc/old/00000000.0 is not the name that OpenSSL looks for"];
    assert!(hashed.iter().all(|words| ran.stdout.contains(words)), "{ran}");
    for remark in ["managed by certbot", "its key /etc/traefik/tls/privkey.pem: it is not there"] {
        assert!(ran.stdout.contains(remark), "{remark}: {ran}");
    }

    // Those that want attention, and no others.
    let ran = discover(&fleet, &["--expiring", "21d"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(
        found(&ran),
        [
            "apache /etc/apache2/tls/fullchain.pem: served 7443",
            "nginx /etc/nginx/tls/fullchain.pem: drift 443",
            "postfix /etc/postfix/tls/fullchain.pem: unreadable",
        ]
    );
}

#[test]
fn ports_are_looked_at_without_a_log_in() {
    let Some(fleet) = Fleet::up(1, &["nginx", "postfix"]) else { return };
    let directory = tempfile::tempdir().unwrap();
    let places = directory.path().join("places");
    fs::write(&places, "# the first host\n198.18.0.2:25\n198.18.0.2:81\n").unwrap();
    let scan = |more: &[&str]| {
        let arguments = ["discover", "--scan", "198.18.0.2:443", places.to_str().unwrap()];
        fleet.run(directory.path(), &[&arguments, more].concat())
    };

    let ran = scan(&["-o", "json"]);
    assert_eq!(ran.code, 4, "a port that shows nothing: {ran}");
    let lines: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{ran}");
    assert_eq!(lines[1]["endpoints"][0]["starttls"], "smtp");
    for line in &lines[..2] {
        assert_eq!(line["certificate"]["fingerprint"], fleet.leaf("gen1"), "{ran}");
    }
    assert!(lines[2]["problem"].as_str().unwrap().contains("refused"), "{ran}");

    let ran = scan(&[]);
    assert!(ran.stdout.contains("served on 198.18.0.2:25 (smtp)"), "{ran}");
}

#[test]
fn the_playbook_for_what_is_there_changes_nothing_until_it_is_renewed() {
    let Some(fleet) = Fleet::up(2, &["apache", "dovecot", "haproxy", "nginx"]) else { return };
    let directory = tempfile::tempdir().unwrap();
    let inventory = fleet.dir().join("inventory.ini").display().to_string();
    let run = |arguments: &[&str]| {
        fleet.run(directory.path(), &[arguments, &["-i", &inventory, "-o", "json"]].concat())
    };

    let ran = run(&["init", "--out", "ours", "-b"]);
    assert_eq!(ran.code, 0, "{ran}");
    let playbook = directory.path().join("ours/renew.yml");
    let text = fs::read_to_string(&playbook).unwrap();
    assert!(text.contains("hosts: \"h001,h002\""), "one play for hosts that are alike: {text}");
    let plan = run(&["plan", "ours/renew.yml", "--exit-code"]);
    assert_eq!(plan.code, 0, "nothing would change: {plan}");
    let rows = plan.events().iter().filter(|event| event["event"] == "plan_host").count();
    assert_eq!(rows, 2 * 4, "four tasks on two hosts: {plan}");

    let ran = run(&["init", "--out", "ours"]);
    assert_eq!(ran.code, 1, "nothing is overwritten: {ran}");
    assert_eq!(fs::read_to_string(&playbook).unwrap(), text);

    what_is_left_open_is_asked_on_a_terminal(&fleet, directory.path(), &inventory);

    // As the file says: the new certificate in place of the old one, and its key beside it.
    let (cert, key) = (fleet.pki("gen2", "fullchain.pem"), fleet.pki("gen2", "privkey.pem"));
    for host in ["h001", "h002"] {
        for file in fs::read_dir(directory.path().join("ours/certs").join(host)).unwrap() {
            fs::copy(&cert, file.unwrap().path()).unwrap();
        }
    }
    fs::write(&playbook, text.replace(".pem\"}", &format!(".pem\", key: {}}}", key.display())))
        .unwrap();
    let apply = run(&["apply", "ours/renew.yml"]);
    assert_eq!(apply.code, 0, "{apply}");
    for service in ["apache", "dovecot", "haproxy", "nginx"] {
        fleet.expect("all", service, "gen2");
    }
    many_in_one_file_each(&fleet, directory.path(), &inventory);
}

/// HAProxy with a directory and a list of files that hold certificate and key: each keeps its key, which leaves the host at
/// no time.
fn many_in_one_file_each(fleet: &Fleet, directory: &Path, inventory: &str) {
    let names = ["a.fleet.test", "b.fleet.test", "c.fleet.test"];
    let [a, b, c] = names.map(|name| name.split_once('.').unwrap().0);
    let places = [(a, 18443, "certs/a.pem"), (b, 18443, "certs/b.pem"), (c, 18444, "lists/c.pem")];
    let root = fleet.root("h001").join("etc/haproxy");
    for directory in ["certs", "lists"] {
        fs::create_dir(root.join(directory)).unwrap();
    }
    for (name, _, file) in places {
        let san = format!("DNS:{name}.fleet.test");
        fleet.fleet(&["issue", name, "--san", &san]);
        fleet.fleet(&["issue", &format!("{name}-new"), "--san", &san, "--key-of", name]);
        let text = |file| fs::read_to_string(fleet.pki(name, file)).unwrap();
        fs::write(root.join(file), text("fullchain.pem") + &text("privkey.pem")).unwrap();
    }
    fleet.sh(
        "h001",
        "chmod 600 /etc/haproxy/certs/* /etc/haproxy/lists/*
         printf '# names\n/etc/haproxy/lists/c.pem [alpn h2] *.fleet.test\n' >/etc/haproxy/names
         printf '%s\n' 'frontend many' ' bind :18443 ssl crt /etc/haproxy/certs/' \
           ' bind :18444 ssl crt-list /etc/haproxy/names' ' http-request return status 200' >>/etc/haproxy/haproxy.cfg",
    );
    fleet.fleet(&["reload", "h001", "haproxy"]);
    let run = |arguments: &[&str]| {
        let usual = ["-i", inventory, "-o", "json", "--limit", "h001"];
        fleet.run(directory, &[arguments, &usual].concat())
    };
    let flags =
        ["init", "-b", "--yes", "--service", "haproxy", "--out", "many", "-i", inventory, "h001"];
    let ran = fleet.run(directory, &flags);
    assert_eq!(ran.code, 0, "{ran}");
    let text = fs::read_to_string(directory.join("many/renew.yml")).unwrap();
    assert!(!text.contains("Left out") && text.matches("combined:").count() == 4, "{text}");
    let plan = run(&["plan", "many/renew.yml", "--exit-code"]);
    assert_eq!(plan.code, 0, "nothing would change: {plan}");

    // The new certificates alone, in place of the old ones.
    let written: Vec<_> = fs::read_dir(directory.join("many/certs/h001")).unwrap().collect();
    let written: Vec<_> = written.into_iter().map(|entry| entry.unwrap().path()).collect();
    for (name, _, file) in places {
        let is_its = |path: &&std::path::PathBuf| {
            path.to_string_lossy().contains(&file.replace('/', "-").replace(".pem", "-"))
        };
        let path = written.iter().find(is_its).unwrap();
        fs::copy(fleet.pki(&format!("{name}-new"), "fullchain.pem"), path).unwrap();
    }
    let served = |age: &str| {
        for (name, port, _) in places {
            let leaf = fleet.leaf(&format!("{name}{age}"));
            let look = format!(
                "{S_CLIENT} -connect 198.18.0.2:{port} -servername {name}.fleet.test </dev/null 2>/dev/null \
                 | openssl x509 -noout -fingerprint -sha256 | sed 's/.*=//' | tr -d : | tr A-F a-f"
            );
            let output = fleet.controller("sh", &["-c", &look]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), leaf, "{name} on {port}");
        }
    };
    served("");
    let keys = || {
        fleet.sh("h001", "cd /etc/haproxy; for f in certs/?.pem lists/?.pem; do openssl pkey -in $f -pubout; stat -c '%U %a' $f; done")
    };
    let before = keys();
    // Somebody looks at it first, and it is done as reviewed.
    let plan = run(&["plan", "many/renew.yml", "--out", "reviewed.plan"]);
    assert_eq!(plan.code, 0, "{plan}");
    let apply = fleet.run(directory, &["apply", "reviewed.plan", "-o", "json"]);
    assert_eq!(apply.outcome("h001"), "changed", "{apply}");
    served("-new");
    assert_eq!(keys(), before, "each has its key, owner and mode");
    let secret = fs::read_to_string(fleet.pki("a", "privkey.pem")).unwrap();
    let line = secret.lines().nth(1).unwrap();
    assert!(!plan.to_string().contains(line) && !apply.to_string().contains(line));
    let again = run(&["apply", "many/renew.yml"]);
    assert_eq!(again.outcome("h001"), "unchanged", "{again}");

    // One whose key is another: told before anything is staged.
    fleet.fleet(&["issue", "a-other", "--san", "DNS:a.fleet.test"]);
    let other = written.iter().find(|path| path.to_string_lossy().contains("certs-a")).unwrap();
    fs::copy(fleet.pki("a-other", "fullchain.pem"), other).unwrap();
    let refused = run(&["apply", "many/renew.yml"]);
    assert_eq!(refused.outcome("h001"), "failed", "{refused}");
    assert!(refused.stdout.contains("does not belong to the new certificate"), "{refused}");
    served("-new");

    let back = run(&["rollback", "many/renew.yml"]);
    assert_eq!(back.outcome("h001"), "changed", "{back}");
    served("");
    assert_eq!(keys(), before);
}

/// Become root: as proposed. The directory, and one of the services, after one that is not there.
fn what_is_left_open_is_asked_on_a_terminal(fleet: &Fleet, directory: &Path, inventory: &str) {
    let line = format!("{} init -i {inventory} >said", env!("CARGO_BIN_EXE_certroll"));
    let mut command = fleet.controller("script", &["-qec", &line, "/dev/null"]);
    command.current_dir(directory).env("SHELL", "/bin/sh");
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    keyboard.write_all(b"\ntheirs\nexim\nnginx\n").unwrap();
    // Taken away only after the end: an end of input would be an answer as well.
    let ended = child.wait_with_output().unwrap();
    drop(keyboard);
    let shown = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success(), "{shown}");
    for question in [
        "(-b)? [Y/n]",
        "(--out) [certroll]",
        "apache (2), dovecot (2), haproxy (2), nginx (2) [all]",
        "no 'exim'",
    ] {
        assert!(shown.contains(question), "{question}: {shown}");
    }
    let text = fs::read_to_string(directory.join("theirs/renew.yml")).unwrap();
    assert!(text.contains("service: nginx") && !text.contains("service: apache"), "{text}");
    assert!(text.contains("become: true"), "{text}");
    let plan = ["plan", "theirs/renew.yml", "-i", inventory, "-o", "json", "--exit-code"];
    let plan = fleet.run(directory, &plan);
    assert_eq!(plan.code, 0, "nothing would change: {plan}");

    // Without a terminal nothing is asked.
    let ran = fleet.run(directory, &["init", "-i", inventory, "-b"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("--out"), "{ran}");
    let flags = ["init", "-i", inventory, "-b", "--yes", "--service", "dovecot"];
    assert_eq!(fleet.run(directory, &flags).code, 0);
    let text = fs::read_to_string(directory.join("certroll/renew.yml")).unwrap();
    assert!(text.contains("service: dovecot") && !text.contains("service: nginx"), "{text}");
    let unknown = ["init", "-i", inventory, "-b", "--out", "none", "--service", "exim"];
    let ran = fleet.run(directory, &unknown);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("found were: apache, dovecot, haproxy, nginx"), "{ran}");
}
