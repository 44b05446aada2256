//! Profiles as they are shown, and as the documentation describes them.

use super::{built_in, load};
use certroll::testing::services::{json_schema, show};

#[test]
fn showing_a_profile_tells_what_matters() {
    insta::assert_snapshot!(show(&built_in("postfix")), @r"
    postfix: Postfix SMTP server, certificate and key in two files
      from          built-in
      measured on   3.7.11 (Debian 12), 3.10.13 (Debian 13), 3.11.7 (Debian sid)
      files         leaf and chain; the key in a file of its own
      paths         cert /etc/postfix/tls/cert.pem, key /etc/postfix/tls/key.pem
      program       postfix
      modes         cert 0644, key 0600, directory 0755
      key read by   root
      commit order  key, cert
      validate      postconf -M
                    over the live configuration
                    covers: configuration
                    posttls-finger -c -T 2 -l may -k '{cert}' -K '{key}' '[127.0.0.1]:1'
                    over the staged files; refused when it prints 'disabling TLS support' or 'TLS library problem'; skipped where the program is missing
                    covers: syntax of certificate, chain and key, pair
      checked       configuration, syntax of certificate, chain and key, pair on the host; pair, dates, chain and names on the controller
      sealed boot   postfix start
                    handshake inside on port 25 with STARTTLS (smtp)
      reload        with systemd: systemctl reload postfix
                    without systemd: postfix reload
                    exit code 0 proves nothing; the handshake tells
                    those who are connected: sessions are finished by the old smtpd processes
      recover       with systemd: systemctl restart postfix
                    without systemd: postfix start
      watches       each new process reads the files by itself
      verify        port 587 with STARTTLS (smtp), usually served 500ms after the reload, not asked for the first 200ms
                    port 465, usually served 500ms after the reload, not asked for the first 200ms
                    port 25 with STARTTLS (smtp), usually served 500ms after the reload, not asked for the first 200ms
      paths in use  postconf -x smtpd_tls_chain_files smtpd_tls_cert_file smtpd_tls_key_file smtpd_tls_eccert_file smtpd_tls_eckey_file
      caveat        each new smtpd process reads the files by itself, so between the two renames a client can get 454 TLS not available; the service `postfix-chain` (smtpd_tls_chain_files) changes both in one rename
                    postscreen on port 25 may delay or refuse a probe; submission (587) is the better endpoint
    ");
    insta::assert_snapshot!(show(&built_in("apache")), @r"
    apache: Apache httpd with mod_ssl
      from          built-in
      measured on   2.4.68 (Debian 12), 2.4.71 (Debian 13), 2.4.69 (Debian sid)
      files         leaf and chain; the key in a file of its own
      paths         debian: cert /etc/ssl/certs/site.pem, key /etc/ssl/private/site.key
                    redhat: cert /etc/pki/tls/certs/site.pem, key /etc/pki/tls/private/site.key
                    alpine: cert /etc/ssl/apache2/site.pem, key /etc/ssl/apache2/site.key
      program       default: httpd
                    debian: apache2ctl
      modes         cert 0644, key 0600, directory 0755
      key read by   root
      commit order  key, cert
      validate      default: httpd -t
                    debian: apache2ctl configtest
                    over the staged files in a private mount namespace, without the network
                    covers: configuration, files exist
      checked       configuration, files exist on the host; pair, dates, chain and names on the controller
      sealed boot   default: httpd -k start
                    debian: apache2ctl start
                    handshake inside on port 443
      reload        default, with systemd: systemctl reload httpd
                    default, without systemd: httpd -k graceful
                    debian, with systemd: systemctl reload apache2
                    debian, without systemd: apache2ctl graceful
                    alpine: httpd -k graceful
                    exit code 0 proves nothing; the handshake tells
                    a bad certificate can bring the service down
                    new worker processes replace the old ones
                    those who are connected: requests are finished by the old processes, idle connections are closed
      in container  USR1 to its first process
      recover       default, with systemd: systemctl restart httpd
                    default, without systemd: httpd -k start
                    debian, with systemd: systemctl restart apache2
                    debian, without systemd: apache2ctl start
                    alpine: httpd -k start
      verify        port 443, usually served 100ms after the reload
      paths in use  default: httpd -t -D DUMP_CERTS
                    debian: apache2ctl -t -D DUMP_CERTS
      caveat        configtest looks at no certificate's content, and a graceful restart with a bad pair ends the server with exit code 0; use `validate: boot` for a real check before the commit
    ");
    let every: String = load(&[]).expect("no error").all().map(show).collect();
    assert!(!every.contains("Some(") && !every.contains("None"), "Debug output");
}

#[test]
fn the_json_schema_in_docs_is_true() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/service-profile.schema.json");
    let wanted = format!("{:#}\n", json_schema());
    if std::env::var_os("CERTROLL_BLESS").is_some() {
        std::fs::write(path, &wanted).expect("written");
    }
    let stored = std::fs::read_to_string(path).expect("docs/service-profile.schema.json");
    assert!(stored == wanted, "run this test once with CERTROLL_BLESS=1 and commit the file");
}

#[test]
fn the_page_in_docs_names_every_key_and_profile() {
    let page = include_str!("../../../docs/services.md");
    let missing: Vec<String> = keys(&json_schema())
        .into_iter()
        .chain(load(&[]).expect("no error").all().map(|profile| profile.name.clone()))
        .filter(|name| !page.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "docs/services.md does not tell of {missing:?}");
}

/// Every property name in a schema, at any depth.
fn keys(schema: &serde_json::Value) -> Vec<String> {
    let mut found = Vec::new();
    match schema {
        serde_json::Value::Object(map) => {
            for (name, value) in map {
                if let ("properties", Some(properties)) = (name.as_str(), value.as_object()) {
                    found.extend(properties.keys().cloned());
                }
                found.extend(keys(value));
            }
        }
        serde_json::Value::Array(items) => found.extend(items.iter().flat_map(keys)),
        _ => {}
    }
    found
}
