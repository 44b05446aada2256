//! Whether the destinations are the right files, from what real services print.
//!
//! The outputs were captured on Debian 12 from the packages named; paths in them are Debian's own.

use crate::common::world::{AUTHORITY, desired, facts, file, nothing, plan, put, wanted};
use certroll::testing::host::{CommandResult, FileState, Held, HeldAs, HostFacts};
use certroll::testing::model::{FileMode, RemotePath};
use certroll::testing::plan::request::CertificateRequest;
use certroll::testing::playbook::certificate::Dest;

/// apache2 2.4 with `default-ssl` enabled; standard error comes along.
const APACHE: &str = "AH00558: apache2: Could not reliably determine the server's fully qualified domain \
name, using 127.0.0.1. Set the 'ServerName' directive globally to suppress this message\n\
Server certificates:\n  /etc/ssl/certs/ssl-cert-snakeoil.pem\nSyntax OK\n";

/// postfix 3.7 as installed.
const POSTFIX: &str = "smtpd_tls_chain_files =\n\
smtpd_tls_cert_file = /etc/ssl/certs/ssl-cert-snakeoil.pem\n\
smtpd_tls_key_file = /etc/ssl/private/ssl-cert-snakeoil.key\n\
smtpd_tls_eccert_file =\nsmtpd_tls_eckey_file =\n";

/// dovecot 2.3 as installed, shortened.
const DOVECOT: &str = "# 2.3.19.1 (9b53102964): /etc/dovecot/dovecot.conf\n\
mail_location = mbox:~/mail:INBOX=/var/mail/%u\nprotocols = \" imap lmtp sieve pop3\"\n\
ssl_cert = </etc/dovecot/private/dovecot.pem\nssl_client_ca_dir = /etc/ssl/certs\n\
ssl_dh = # hidden, use -P to show it\nssl_key = # hidden, use -P to show it\n";

/// nginx 1.22 with two servers.
const NGINX: &str = "    ssl_certificate /etc/nginx/tls/shop.pem;\n    \
ssl_certificate_key /etc/nginx/tls/shop.key;\n    ssl_certificate     \"/etc/nginx/tls/www.pem\";\n    \
ssl_certificate_key /etc/nginx/tls/www.key;\n";

const HAPROXY: &str = "\tbind :443 ssl crt /etc/haproxy/certs/ alpn h2,http/1.1\n";

const CADDY: &str = "\ttls /etc/caddy/certs/cert.pem /etc/caddy/certs/key.pem\n";

fn dest(wanted: &mut CertificateRequest, cert: &str, key: &str) {
    wanted.certificate.pairs[0].dest = Dest {
        cert: Some(cert.parse().expect("a path")),
        key: Some(key.parse().expect("a path")),
        ..Dest::default()
    };
}

/// A host with the files in place, whose service prints this about its configuration.
fn told(wanted: &CertificateRequest, outputs: &[&str]) -> HostFacts {
    let desired = desired(wanted);
    let mut facts = facts(&desired);
    put(&mut facts, &desired, &AUTHORITY.leaf(&["www.example.net"]));
    let mut outputs = outputs.iter();
    let mut at = 0;
    for service in desired.services.iter() {
        at += service.prechecks.len();
        facts.commands[at] = CommandResult {
            stdout: outputs.next().expect("one output per service").as_bytes().to_vec(),
            ..CommandResult::default()
        };
        at += 1;
    }
    facts
}

fn notes(wanted: &CertificateRequest, facts: &HostFacts) -> Vec<String> {
    let desired = desired(wanted);
    let seen = vec![nothing(); desired.probes.len()];
    let mut notes = plan(&desired, facts, &seen).notes;
    notes.retain(|note| !note.starts_with("nothing is served"));
    notes
}

#[test]
fn files_that_the_configuration_names_are_right() {
    for (service, cert, key, output) in [
        ("nginx", "/etc/nginx/tls/www.pem", "/etc/nginx/tls/www.key", NGINX),
        ("apache", "/etc/ssl/certs/ssl-cert-snakeoil.pem", "/etc/ssl/private/x.key", APACHE),
        (
            "postfix",
            "/etc/ssl/certs/ssl-cert-snakeoil.pem",
            "/etc/ssl/private/ssl-cert-snakeoil.key",
            POSTFIX,
        ),
        ("dovecot", "/etc/dovecot/private/dovecot.pem", "/etc/dovecot/private/x.key", DOVECOT),
        ("caddy", "/etc/caddy/certs/cert.pem", "/etc/caddy/certs/key.pem", CADDY),
    ] {
        let mut wanted = wanted(&[service]);
        dest(&mut wanted, cert, key);
        let facts = told(&wanted, &[output]);
        assert_eq!(notes(&wanted, &facts), [""; 0], "{service}");
    }
    // Every file of a `crt` directory is loaded.
    let wanted = wanted(&["haproxy"]);
    assert_eq!(notes(&wanted, &told(&wanted, &[HAPROXY])), [""; 0]);
}

#[test]
fn files_that_nothing_names_are_told_with_those_that_are_read() {
    let mut nginx = wanted(&["nginx"]);
    dest(&mut nginx, "/etc/nginx/tls/wwww.pem", "/etc/nginx/tls/www.key");
    insta::assert_snapshot!(notes(&nginx, &told(&nginx, &[NGINX])).join("\n"), @"/etc/nginx/tls/wwww.pem is not named in the configuration of nginx (named there: /etc/nginx/tls/www.pem, /etc/nginx/tls/shop.pem)");
    let apache = wanted(&["apache"]);
    insta::assert_snapshot!(notes(&apache, &told(&apache, &[APACHE])).join("\n"), @"/etc/ssl/certs/site.pem is not named in the configuration of apache (named there: /etc/ssl/certs/ssl-cert-snakeoil.pem)");
    let mut mail = wanted(&["postfix", "dovecot"]);
    dest(&mut mail, "/etc/ssl/mail.pem", "/etc/ssl/mail.key");
    insta::assert_snapshot!(notes(&mail, &told(&mail, &[POSTFIX, DOVECOT])).join("\n"));
    // One of the two reads it; what the other does is its own affair.
    dest(&mut mail, "/etc/dovecot/private/dovecot.pem", "/etc/ssl/private/ssl-cert-snakeoil.key");
    assert_eq!(notes(&mail, &told(&mail, &[POSTFIX, DOVECOT])), [""; 0]);
    let empty = wanted(&["nginx"]);
    insta::assert_snapshot!(notes(&empty, &told(&empty, &[""])).join("\n"), @"nginx: no certificate file was found in its configuration; it reads these files only once that names them");
}

#[test]
fn a_command_that_failed_tells_nothing() {
    let wanted = wanted(&["nginx"]);
    let mut facts = told(&wanted, &[NGINX]);
    facts.commands[1].rc = 127;
    assert_eq!(notes(&wanted, &facts), [""; 0]);
    facts.commands[1] = CommandResult { skipped: true, ..CommandResult::default() };
    assert_eq!(notes(&wanted, &facts), [""; 0]);
}

fn link(facts: &mut HostFacts, index: usize, real: &str) {
    let there = &mut facts.files[index];
    there.via_links = vec![there.path.clone()];
    there.real_path = Some(RemotePath::new(real).expect("absolute"));
}

#[test]
fn the_snakeoil_pair_is_shared() {
    let mut wanted = wanted(&["dovecot"]);
    dest(&mut wanted, "/etc/dovecot/private/dovecot.pem", "/etc/dovecot/private/dovecot.key");
    let mut facts = told(&wanted, &[DOVECOT]);
    link(&mut facts, 0, "/etc/ssl/private/ssl-cert-snakeoil.key");
    link(&mut facts, 1, "/etc/ssl/certs/ssl-cert-snakeoil.pem");
    insta::assert_snapshot!(notes(&wanted, &facts).join("\n"));
    link(&mut facts, 0, "/srv/keys/mail.key");
    link(&mut facts, 1, "/etc/dovecot/v2/cert.pem");
    insta::assert_snapshot!(notes(&wanted, &facts).join("\n"));
}

#[test]
fn certbot_would_put_its_own_back() {
    let mut wanted = wanted(&["nginx"]);
    let live = "/etc/letsencrypt/live/www.example.net";
    dest(&mut wanted, &format!("{live}/fullchain.pem"), &format!("{live}/privkey.pem"));
    let config = format!(
        "    ssl_certificate {live}/fullchain.pem;\n    ssl_certificate_key {live}/privkey.pem;\n"
    );
    let mut facts = told(&wanted, &[&config]);
    link(&mut facts, 0, "/etc/letsencrypt/archive/www.example.net/privkey3.pem");
    link(&mut facts, 1, "/etc/letsencrypt/archive/www.example.net/fullchain3.pem");
    let notes = notes(&wanted, &facts);
    let certbot = notes.iter().filter(|note| note.contains("belongs to certbot")).count();
    assert_eq!((certbot, notes.len()), (2, 4), "{notes:#?}");
}

#[test]
fn a_container_keeps_a_file_that_it_has_mounted() {
    let wanted = wanted(&["caddy"]);
    let mut facts = told(&wanted, &[CADDY]);
    facts.files[1].held.push(Held {
        asked: None,
        kind: HeldAs::Older,
        pid: 812,
        process: "caddy".to_owned(),
        container: Some("0123456789ab".to_owned()),
        path: "/tls/cert.pem".to_owned(),
    });
    let told = notes(&wanted, &facts);
    let begins = "/etc/caddy/certs/cert.pem is mounted into container 0123456789ab (caddy, process 812) as a single file, \
        /tls/cert.pem, and was replaced since";
    assert!(told[0].starts_with(begins), "{told:?}");
}

#[test]
fn the_user_that_reads_the_key_must_be_able_to() {
    let mut wanted = wanted(&["caddy"]);
    let key = |facts: &mut HostFacts, owner: &str, group: &str, mode: u16, can: Option<bool>| {
        let mut there = file(b"old", mode);
        (there.owner, there.group) = (owner.into(), group.into());
        there.readable_by_user = can;
        facts.files[0].state = FileState::File(Box::new(there));
    };
    let mut facts = told(&wanted, &[CADDY]);
    let cannot =
        ["/etc/caddy/certs/key.pem will be root:root 0600, and the service reads it as caddy, \
        who cannot"];
    // As the host found out, the directories on the way included.
    key(&mut facts, "root", "caddy", 0o640, Some(false));
    assert!(
        notes(&wanted, &facts)[0]
            .ends_with("root:caddy 0640, and the service reads it as caddy, who cannot")
    );
    key(&mut facts, "root", "caddy", 0o640, Some(true));
    assert_eq!(notes(&wanted, &facts), [""; 0]);
    // As the task will have it.
    wanted.certificate.ownership.key_group = Some("root".into());
    wanted.certificate.ownership.key_mode = Some(FileMode::new(0o600));
    assert_eq!(notes(&wanted, &facts), cannot);
    wanted.certificate.ownership.key_owner = Some("caddy".into());
    assert_eq!(notes(&wanted, &facts), [""; 0]);
}
