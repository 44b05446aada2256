//! Servers with an RSA and an ECDSA certificate for a name, and a change from one kind of key to another.

use crate::common::fleet::S_CLIENT;
use crate::services_rollout::service::{APACHE, NGINX, Service};
use crate::services_rollout::site::{Host, NAME, Task, host, step};
use std::time::{Duration, Instant};

const ECDSA: &str = "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512";
const RSA: &str = "RSA-PSS+SHA256:RSA+SHA256";

/// SHA-256 of the leaf that openssl is served when it offers these signatures alone.
fn served(host: &Host, service: &Service, signatures: &str) -> String {
    let script = format!(
        "{S_CLIENT} -connect {}:{} -servername {NAME} -sigalgs {signatures} </dev/null 2>/dev/null \
         | openssl x509 -noout -fingerprint -sha256 | sed 's/.*=//' | tr -d :",
        host.address(),
        service.port
    );
    let output = host.fleet().controller("sh", &["-c", &script]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_ascii_lowercase()
}

/// Waits until both are served, each to who asks for it.
fn expect_both(host: &Host, service: &Service, ecdsa: &str, rsa: &str) {
    let wanted = (host.fleet().leaf(ecdsa), host.fleet().leaf(rsa));
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let seen = (served(host, service, ECDSA), served(host, service, RSA));
        if seen == wanted {
            return;
        }
        assert!(Instant::now() < end, "{seen:?} instead of {wanted:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Gives the server a second pair, of generation `rsa`, beside its own of `gen1`.
fn with_a_second(host: &Host, service: &Service, rsa: &str, directives: [&str; 2]) {
    host.fleet().fleet(&["issue", rsa, "--kind", "rsa"]);
    let directory = service.directory;
    let certs = host.fleet().root(host.name).join(format!("{}/certs", &directory[1..]));
    std::fs::create_dir(&certs).unwrap();
    for file in ["fullchain.pem", "privkey.pem"] {
        std::fs::copy(host.fleet().pki(rsa, file), certs.join(file)).unwrap();
    }
    let [cert, key] = directives;
    let end = if service.name == "nginx" { ";" } else { "" };
    host.sh(&format!(
        "sed -i 's#^ *{key} .*#&\\n{cert} {directory}/certs/fullchain.pem{end}\\n{key} {directory}/certs/privkey.pem{end}#' \
         {directory}/sites-enabled/fleet.conf
         sh /opt/fleet/services/{}/reload",
        service.name
    ));
    expect_both(host, service, "gen1", rsa);
}

const OF_NGINX: [&str; 2] = ["ssl_certificate", "ssl_certificate_key"];
const OF_APACHE: [&str; 2] = ["SSLCertificateFile", "SSLCertificateKeyFile"];

/// The RSA pair alone.
fn second_alone(service: &Service, generation: &str) -> Task {
    let directory = service.directory;
    let dest = format!("cert: {directory}/certs/fullchain.pem, key: {directory}/certs/privkey.pem");
    Task::at(service, generation, &dest)
}

/// Both pairs, the RSA one first.
fn both(service: &Service, ecdsa: &str, rsa: &str) -> Task {
    let directory = service.directory;
    let pair = |generation: &str, place: &str| {
        format!(
            "          - source: {{cert: PKI/{generation}/fullchain.pem, key: PKI/{generation}/privkey.pem}}\n            \
             dest: {{cert: {directory}/{place}/fullchain.pem, key: {directory}/{place}/privkey.pem}}\n"
        )
    };
    let files = format!("        certificates:\n{}{}", pair(rsa, "certs"), pair(ecdsa, "tls"));
    Task::of(service, ecdsa).files(&files)
}

#[test]
fn nginx_with_two_pairs_is_seen_with_each() {
    let Some(host) = host(&[&NGINX]) else { return };
    host.fleet().fleet(&["issue", "n-rsa2", "--kind", "rsa"]);
    host.fleet().fleet(&["issue", "n-rsa3", "--kind", "rsa"]);
    with_a_second(&host, &NGINX, "n-rsa1", OF_NGINX);

    // Both in one task.
    let task = both(&NGINX, "gen2", "n-rsa2");
    let plan = host.run("plan", std::slice::from_ref(&task), &[]);
    assert!(!plan.stdout.contains("served nothing") && !plan.stdout.contains("drift"), "{plan}");
    host.apply(&task, "changed");
    expect_both(&host, &NGINX, "gen2", "n-rsa2");
    host.apply(&task, "unchanged");

    // One of them, whichever versions of TLS there are, and back when a check says no.
    for (versions, generation) in [("TLSv1.2", "n-rsa3"), ("TLSv1.3", "n-rsa1")] {
        host.sh(&format!(
            "sed -i 's/ssl_protocols .*/ssl_protocols {versions};/' /etc/nginx/nginx.conf; nginx -s reload"
        ));
        let task = second_alone(&NGINX, generation);
        let ran = host.apply(&task.clone().with("checks: [{command: ['false']}]"), "rolled_back");
        assert!(ran.stdout.contains("the old certificate is served again"), "{ran}");
        host.apply(&task, "changed");
        expect_both(&host, &NGINX, "gen2", generation);
        host.apply(&Task::of(&NGINX, "gen2"), "unchanged");
        let ran = host.run("verify", &[task, Task::of(&NGINX, "gen2")], &[]);
        assert_eq!(ran.code, 0, "{ran}");
    }

    // The right one of the two has drifted.
    host.sh("mkdir /root/later && cp -a /etc/nginx/certs/. /root/later");
    let certs = host.fleet().root(host.name).join("etc/nginx/certs");
    for file in ["fullchain.pem", "privkey.pem"] {
        std::fs::write(certs.join(file), std::fs::read(host.fleet().pki("n-rsa2", file)).unwrap())
            .unwrap();
    }
    let plan = host.run("plan", &[both(&NGINX, "gen2", "n-rsa2")], &[]);
    let short = |generation: &str| host.fleet().leaf(generation)[..8].to_owned();
    let drift = format!("serves {} instead of {}", short("n-rsa1"), short("n-rsa2"));
    assert!(plan.stdout.contains(&drift), "{drift}: {plan}");
    let status = host.run("status", &[both(&NGINX, "gen2", "n-rsa2")], &[]);
    let told = status.events().into_iter().find(|event| event["event"] == "host_status").unwrap();
    let served = told["served"].as_array().unwrap();
    let agrees: Vec<_> = served.iter().map(|one| one["as_in_file"].as_bool().unwrap()).collect();
    assert_eq!(agrees, [false, true], "{status}");
    host.apply(&both(&NGINX, "gen2", "n-rsa2"), "changed");
    expect_both(&host, &NGINX, "gen2", "n-rsa2");
}

#[test]
fn a_pair_that_the_configuration_does_not_name_is_told_with_what_is_served_instead() {
    let Some(host) = host(&[&NGINX]) else { return };
    host.sh("mkdir -p /etc/nginx/certs");
    let task = second_alone(&NGINX, "gen3-rsa").attempts(5);
    let ran = host.apply(&task, "rolled_back");
    assert_eq!(step(&ran, &host), "verify", "{ran}");
    assert!(ran.stdout.contains("is still served, and none with an RSA key"), "{ran}");
    assert!(ran.stdout.contains("the old certificate is served again"), "{ran}");
    let ran = host.run("verify", &[task], &[]);
    assert_eq!(ran.code, 2, "{ran}");
    let words = format!("another certificate is served: {}", &host.fleet().leaf("gen1")[..8]);
    assert!(ran.stdout.contains(&words) && ran.stdout.contains("none with an RSA key"), "{ran}");
    assert!(ran.stdout.contains("does its configuration name the deployed pair too"), "{ran}");
    host.expect(&NGINX, "gen1");
}

#[test]
fn one_certificate_changes_from_each_kind_of_key_to_another() {
    let Some(host) = host(&[&NGINX]) else { return };
    host.fleet().fleet(&["issue", "n-ed25519", "--kind", "ed25519"]);
    host.fleet().fleet(&["issue", "n-p521", "--kind", "p521"]);
    for generation in
        ["gen3-rsa", "gen2", "n-ed25519", "gen3-rsa", "n-ed25519", "gen4-p384", "n-p521"]
    {
        let task = Task::of(&NGINX, generation);
        // What is served before is seen, though it has another kind of key.
        let plan = host.run("plan", std::slice::from_ref(&task), &[]);
        assert!(!plan.stdout.contains("served nothing"), "{plan}");
        let ran = host.apply(&task.clone().with("checks: [{command: ['false']}]"), "rolled_back");
        assert!(ran.stdout.contains("the old certificate is served again"), "{ran}");
        host.apply(&task, "changed");
        host.expect(&NGINX, generation);
        host.apply(&task, "unchanged");
    }
}

#[test]
fn a_sealed_boot_of_apache_with_two_pairs_is_asked_for_the_one_that_it_compares() {
    let Some(host) = host(&[&APACHE]) else { return };
    host.fleet().fleet(&["issue", "a-rsa2", "--kind", "rsa"]);
    with_a_second(&host, &APACHE, "a-rsa1", OF_APACHE);
    let task = both(&APACHE, "gen2", "a-rsa2").with("validate: boot");
    let ran = host.apply(&task, "changed");
    assert!(ran.stdout.contains("sealed boot, asked for the first of 2 certificates"), "{ran}");
    expect_both(&host, &APACHE, "gen2", "a-rsa2");
}
