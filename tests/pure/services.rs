//! Service profiles: the built-in ones, errors at their place, extension, choice and expansion.

use certroll::testing::host::{Family, FileRole, HostKind};
use certroll::testing::model::{CommandLine, RemotePath, StartTls};
use certroll::testing::services::{
    Files, Paths, Profile, Profiles, Reload, ResolvedReload, choose, json_schema, list, show,
};
use certroll::testing::source::{Diagnostics, SourceFile};
use proptest::prelude::*;

fn load(files: &[(&str, &str)]) -> Result<Profiles, Diagnostics> {
    let files: Vec<_> = files
        .iter()
        .map(|(name, text)| SourceFile::new(format!("services/{name}"), *text))
        .collect();
    Profiles::from_sources(&files).map(|(profiles, warnings)| {
        assert_eq!(warnings, Diagnostics::default());
        profiles
    })
}

fn built_in(name: &str) -> Profile {
    load(&[]).expect("built-in profiles parse").find(name).expect("known").clone()
}

/// Every finding as `place: message [label] (help; help)`.
fn errors(text: &str) -> String {
    let found = load(&[("own.yml", text)]).expect_err("errors");
    let lines: Vec<String> = found
        .0
        .iter()
        .map(|one| {
            let label = one.label.as_ref().map(|label| format!(" [{label}]")).unwrap_or_default();
            let help = match one.help.join("; ") {
                none if none.is_empty() => none,
                help => format!(" ({help})"),
            };
            format!("{one}{label}{help}")
        })
        .collect();
    lines.join("\n")
}

fn argv(arguments: &[&str]) -> CommandLine {
    CommandLine::Argv(arguments.iter().map(|&argument| argument.to_owned()).collect())
}

#[test]
fn every_built_in_profile_parses_and_says_something() {
    let profiles = load(&[]).expect("no error");
    let rows = list(&profiles);
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "nginx",
            "apache",
            "haproxy",
            "haproxy-runtime",
            "postfix",
            "postfix-chain",
            "dovecot",
            "caddy",
            "caddy-api",
            "traefik",
            "envoy",
            "hitch",
            "lighttpd",
            "mosquitto",
            "files"
        ]
    );
    for (row, profile) in rows.iter().zip(profiles.all()) {
        assert_eq!(row.origin, "built-in");
        assert!(!profile.description.is_empty(), "{}", row.name);
        assert!(!profile.verify.is_empty(), "{}", row.name);
    }
    insta::assert_snapshot!(
        rows.iter()
            .map(|row| format!("{}: {} | {}", row.name, row.checked_on_host.join(", "), row.reload))
            .collect::<Vec<_>>()
            .join("\n"),
        @r"
        nginx: configuration, syntax of certificate, chain and key, pair (of one key type) | reload
        apache: configuration, files exist | reload
        haproxy: configuration, syntax of certificate, chain and key, pair | reload
        haproxy-runtime: configuration, syntax of certificate, chain and key, pair | reload
        postfix: configuration, syntax of certificate, chain and key, pair | reload
        postfix-chain: configuration, syntax of certificate, chain and key, pair | reload
        dovecot: configuration, files exist | reload
        caddy: configuration, syntax of certificate and key, pair, readable by the service's user | reload
        caddy-api: configuration, syntax of certificate and key, pair, readable by the service's user | reload
        traefik:  | reload
        envoy: syntax of certificate, chain and key, pair | none
        hitch: configuration, syntax of certificate and key, pair (of one key type) | reload
        lighttpd: configuration, syntax of certificate and key, pair | reload
        mosquitto:  | reload
        files:  | required
        "
    );
}

#[test]
fn unknown_names_get_the_nearest_one() {
    let profiles = load(&[]).expect("no error");
    let diagnostic = profiles.find("ngnix").expect_err("unknown");
    assert_eq!(diagnostic.message, "there is no service profile 'ngnix'");
    assert_eq!(diagnostic.label.as_deref(), Some("did you mean 'nginx'?"));
    assert_eq!(profiles.find("zzz").expect_err("unknown").label, None);
}

#[test]
fn mistakes_are_told_at_their_place_all_at_once() {
    insta::assert_snapshot!(errors(r#"
descripton: typo
layout: {cert: fulchain, key: 7}
dest: {cert: etc/x.pem, key: /a/../b}
modes: {key: 0600, dir: rwx}
owners: {key: root, cert: "root:"}
reload:
  comand: [x]
verify: {port: 70000, starttls: smpt, settle: soon}
validate: {command: [], via: namespace, covers: pem}
"#), @r#"
services/own.yml:2:1: a profile has no key 'descripton' [did you mean 'description'?] (keys: description, extends, settings, layout, dest, reads, reload_reads_as, modes, owners, order, validate, seal, reload, recover, reload_costs, program, running, verify, discover, self_reload, caveats)
services/own.yml:3:16: `cert` cannot be 'fulchain' [did you mean 'fullchain'?] (allowed: fullchain, leaf)
services/own.yml:3:31: `key` is one of: separate, first, last, not an integer
services/own.yml:4:14: `cert` is an absolute path without `..`, such as /etc/ssl/site.pem, not 'etc/x.pem'
services/own.yml:4:30: `key` is an absolute path without `..`, such as /etc/ssl/site.pem, not '/a/../b'
services/own.yml:5:14: `key` is octal digits in quotes, such as "0640", not an integer
services/own.yml:5:25: `dir` is octal digits in quotes, such as "0640", not 'rwx'
services/own.yml:6:15: `key` is user:group, such as root:ssl-cert, not 'root'
services/own.yml:6:27: `cert` is user:group, such as root:ssl-cert, not 'root:'
services/own.yml:8:3: `reload` has no key 'comand' [did you mean 'command'?] (keys: command, exit_code, can_stop_service, replaces_workers)
services/own.yml:8:3: `reload` needs `command`: makes the service load the files
services/own.yml:9:16: 70000 is not a TCP port
services/own.yml:9:33: `starttls` cannot be 'smpt' [did you mean 'smtp'?] (allowed: none, smtp, lmtp, imap, pop3, sieve, ldap, ftp, postgres, mysql, xmpp)
services/own.yml:9:47: `settle` is a time such as 150ms or 2s, not 'soon'
services/own.yml:10:21: the command is empty
services/own.yml:10:30: `via` cannot be 'namespace' (allowed: mount_namespace, staged, live, template)
services/own.yml:10:49: `covers` is a list, not 'pem'
"#);
    insta::assert_snapshot!(errors(r#"
reload: maybe
recover: {shell: x, plain: y}
validate:
  - {command: {systemd: [a], debian: [b]}, net_private: "yes"}
  - {command: {debain: [a]}}
  - {command: [x, "{crt}"]}
  - {command: {shell: 7}}
  - {command: "unbalanced '"}
  - {via: staged}
discover: {command: [x], patterns: ["(", "no groups", 7]}
dest: {default: {cert: /a, key: /b}, debain: {cert: /c, key: /d}}
"#), @r"
services/own.yml:2:9: `reload` cannot be 'maybe' (allowed: none, required)
services/own.yml:3:21: `shell` allows no other keys beside it
services/own.yml:5:15: variants by init system and by distribution are mixed (nest them: {debian: {systemd: […], plain: […]}})
services/own.yml:5:57: `net_private` is true or false, not 'yes'
services/own.yml:6:16: `command` has no key 'debain' [did you mean 'debian'?] (keys: systemd, plain, default, debian, redhat, alpine)
services/own.yml:8:15: `command` is an argument list, text, {shell: TEXT}, or variants of these, not a mapping
services/own.yml:9:15: `command` is an argument list, text, {shell: TEXT}, or variants of these, not 'unbalanced ''
services/own.yml:10:5: `validate` needs `command`: exit code 0 accepts, all else refuses
services/own.yml:11:37: bad regular expression: Parsing error at position 1: Opening parenthesis without closing parenthesis
services/own.yml:11:42: the pattern has none of the named groups (groups: (?<cert>…), (?<key>…), (?<chain>…), (?<pem>…))
services/own.yml:11:55: `patterns` holds regular expressions, not an integer
services/own.yml:12:38: `dest` has no key 'debain' [did you mean 'debian'?] (keys: default, debian, redhat, alpine)
services/own.yml:7:15: unknown placeholder '{crt}' [did you mean '{cert}'?] (placeholders: {cert}, {key}, {chain}, {template}, {certs})
");
    insta::assert_snapshot!(errors("reload: none\nlayout: {key: last}\ndest: {cert: /a, key: /b}\nvalidate: {command: [x], via: template}\n"), @r"
    services/own.yml:3:7: `dest` has a `key`, but the layout puts the key into the certificate file
    services/own.yml:4:11: `template` goes with `via: template`, and only with it
    ");
    insta::assert_snapshot!(errors("description: x\nlayout: {cert: leaf, chain: in_cert}\n"), @r"
    services/own.yml:1:1: the profile does not say how the service loads its files (add `reload: {command: […]}`, or `reload: none` when it picks up new files by itself, or `reload: required` when each task has to say)
    services/own.yml:2:9: `cert: leaf` with `chain: in_cert` contradict each other (`cert: fullchain` has the intermediates in the certificate file)
    ");
    insta::assert_snapshot!(errors("- a list\n"), @"services/own.yml:1:1: a profile is a mapping, not a list");
    insta::assert_snapshot!(errors(""), @"services/own.yml:1:1: a profile is a mapping, not nothing");
    insta::assert_snapshot!(errors("extends: ngnix\n"), @"services/own.yml:1:10: there is no profile 'ngnix' to extend [did you mean 'nginx'?] (profiles: nginx, apache, haproxy, haproxy-runtime, postfix, postfix-chain, dovecot, caddy, caddy-api, traefik, envoy, hitch, lighttpd, mosquitto, files, own)");
}

#[test]
fn an_own_profile_extends_another() {
    let profiles = load(&[
        (
            "edge.yml",
            "extends: nginx\nmodes: {key: '0640'}\ndest: {cert: /srv/c.pem, key: /srv/k.pem}\n",
        ),
        ("nginx.yml", "extends: nginx\nreload: {command: [sv, hup, nginx]}\n"),
        ("deep.yml", "extends: edge\ndescription: deep\n"),
    ])
    .expect("no error");
    let edge = profiles.find("edge").expect("known");
    let stock = built_in("nginx");
    assert_eq!(edge.modes.key.to_string(), "0640");
    assert_eq!(edge.modes.dir, stock.modes.dir, "merged key by key");
    assert_eq!(edge.validate, stock.validate);
    assert!(!edge.built_in);
    // `edge` extends the operator's nginx, which extends the built-in one.
    let reload = ResolvedReload::Command {
        command: argv(&["sv", "hup", "nginx"]),
        proves_loaded: false,
        can_stop_service: false,
    };
    for name in ["nginx", "edge", "deep"] {
        let profile = profiles.find(name).expect("known");
        assert_eq!(choose(profile, HostKind::default()).reload, reload, "{name}");
    }
    assert_eq!(profiles.find("deep").expect("known").description, "deep");
    assert_eq!(profiles.all().count(), 17);
    let circle = load(&[("a.yml", "extends: b\n"), ("b.yml", "extends: a\n")]).expect_err("circle");
    assert_eq!(
        circle.0[0].to_string(),
        "services/b.yml:1:10: the profiles extend each other in a circle: a → b → a"
    );
}

#[test]
fn settings_stand_in_the_commands_and_are_changed_by_name() {
    let base = "description: d\nsettings: {socket: /run/a.sock, name: 'it''s'}\n\
        reload: {command: [ctl, '{socket}', '{cert}', '-n={name}']}\nrecover: {shell: 'ctl {name} {socket} {other}'}\n";
    let profiles = load(&[
        ("base.yml", base),
        ("own.yml", "extends: base\nsettings: {socket: '/run/b c.sock'}\n"),
        ("uses.yml", "extends: base\nreload: {command: [x, '{socket}', '{certs}']}\n"),
    ])
    .expect("no error");
    let resolved = |name: &str| choose(profiles.find(name).expect("known"), HostKind::default());
    let reload = |name: &str| match resolved(name).reload {
        ResolvedReload::Command { command, .. } => command,
        other => panic!("{other:?}"),
    };
    assert_eq!(reload("base"), argv(&["ctl", "/run/a.sock", "{cert}", "-n=it's"]));
    assert_eq!(reload("own"), argv(&["ctl", "/run/b c.sock", "{cert}", "-n=it's"]));
    assert_eq!(reload("uses"), argv(&["x", "/run/a.sock", "{certs}"]));
    let recover = CommandLine::Shell(r"ctl 'it'\''s' '/run/b c.sock' {other}".into());
    assert_eq!(resolved("own").recover, Some(recover));
    insta::assert_snapshot!(errors("extends: haproxy-runtime\nsettings: {cert: a, B: b, socket: '{key}'}\nrecover: [x, '{sockets}']\n"), @r"
        services/own.yml:2:12: `{cert}` has a meaning already
        services/own.yml:2:21: the name of a setting is lower-case letters and _, not 'B'
        services/own.yml:2:35: a setting holds no placeholder and no brace, not '{key}'
        ");
    insta::assert_snapshot!(errors("extends: haproxy-runtime\nrecover: [x, '{sockets}']\nvalidate: {command: {shell: 'x {certs}'}, via: staged}\n"), @r"
        services/own.yml:3:11: `{certs}` are the live files: this step looks at staged ones (use `{cert}`: the step is run for each pair)
        services/own.yml:2:10: unknown placeholder '{sockets}' [did you mean '{socket}'?] (placeholders: {cert}, {key}, {chain}, {template}, {certs}, {socket})
        ");
}

#[test]
fn files_beside_the_playbook_are_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let write =
        |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
    write("mine.yml", "reload: none\n");
    write("other.yaml", "extends: mine\n");
    write(".hidden.yml", "nonsense: 1\n");
    write("README.md", "not a profile\n");
    let missing = dir.path().join("missing");
    let (profiles, _) = Profiles::load(&[missing, dir.path().to_owned()]).expect("no error");
    let own: Vec<&str> =
        profiles.all().filter(|one| !one.built_in).map(|one| one.name.as_str()).collect();
    assert_eq!(own, ["mine", "other"]);
    write("Bad Name.yml", "reload: none\n");
    let found = Profiles::load(&[dir.path().to_owned()]).expect_err("bad name");
    assert_eq!(found.0[0].message, "'Bad Name' is not a valid profile name");
}

#[test]
fn commands_follow_init_system_and_distribution() {
    let apache = built_in("apache");
    let reload = |systemd, family| match choose(&apache, HostKind { systemd, family }).reload {
        ResolvedReload::Command { command, .. } => command.to_string(),
        other => format!("{other:?}"),
    };
    assert_eq!(reload(true, Family::Debian), "systemctl reload apache2");
    assert_eq!(reload(false, Family::Debian), "apache2ctl graceful");
    assert_eq!(reload(true, Family::RedHat), "systemctl reload httpd");
    assert_eq!(reload(false, Family::Other), "httpd -k graceful");
    assert_eq!(reload(false, Family::Alpine), "httpd -k graceful");
    let debian = choose(&apache, HostKind { systemd: false, family: Family::Debian });
    assert_eq!(debian.dest.expect("has some").cert.to_string(), "/etc/ssl/certs/site.pem");
    assert_eq!(debian.unit, None, "no units without systemd");
    assert_eq!(choose(&apache, HostKind::default()).dest, None);

    let haproxy = built_in("haproxy");
    let proves =
        |systemd| match choose(&haproxy, HostKind { systemd, family: Family::Debian }).reload {
            ResolvedReload::Command { proves_loaded, .. } => proves_loaded,
            _ => unreachable!("haproxy has a reload"),
        };
    assert_eq!((proves(true), proves(false)), (true, false));
    let recover = |systemd| choose(&haproxy, HostKind { systemd, family: Family::Debian }).recover;
    assert_eq!(recover(true), Some(argv(&["systemctl", "restart", "haproxy"])));
    assert_eq!(recover(false), None);
    assert_eq!(choose(&built_in("files"), HostKind::default()).reload, ResolvedReload::Required);
    assert_eq!(built_in("envoy").reload, Reload::None);
}

#[test]
fn the_key_is_committed_before_the_certificate() {
    for profile in load(&[]).expect("no error").all() {
        let place = |role| profile.order.iter().position(|one| *one == role);
        assert!(place(FileRole::Key) < place(FileRole::Certificate), "{}", profile.name);
    }
}

#[test]
fn paths_in_use_are_read_out_of_each_service() {
    let paths = |name: &str, output: &str| {
        let discover = built_in(name).discover.expect("has one");
        discover
            .paths(output)
            .into_iter()
            .map(|found| format!("{:?} {}", found.role, found.path))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let nginx = "\tssl_certificate certs/a.pem;\n    ssl_certificate_key \"/etc/x y/a.key\";\n ssl_certificate $var;\n ssl_certificate /b.pem; # c\n ssl_certificate /b.pem;\n";
    assert_eq!(
        paths("nginx", nginx),
        "Certificate /etc/nginx/certs/a.pem\nKey /etc/x y/a.key\nCertificate /b.pem"
    );
    let one_line = " ssl_certificate /one.pem\n ssl_certificate_key '/o ne.key'\n";
    assert_eq!(paths("nginx", one_line), "Certificate /one.pem\nKey /o ne.key");
    assert_eq!(
        paths("apache", "Server certificates:\n  /etc/ssl/certs/a b.pem\nSyntax OK\n"),
        "Certificate /etc/ssl/certs/a b.pem"
    );
    assert_eq!(
        paths(
            "haproxy",
            "  bind :443 ssl crt /a.pem crt site.pem alpn h2\n  bind :8443 ssl crt /etc/haproxy/certs/\n"
        ),
        "Combined /a.pem\nCombined /etc/ssl/private/site.pem\nCombined /etc/haproxy/certs/"
    );
    assert_eq!(
        paths(
            "postfix",
            "smtpd_tls_chain_files = /c1.pem, /c2.pem\nsmtpd_tls_cert_file = /a b.pem\nsmtpd_tls_key_file = /k.pem\nsmtpd_tls_eccert_file =\n"
        ),
        "Combined /c1.pem\nCombined /c2.pem\nCertificate /a b.pem\nKey /k.pem"
    );
    assert_eq!(
        paths(
            "dovecot",
            "ssl_cert = </etc/d.pem\nssl_key = # hidden, use -P to show it\n  ssl_server_key_file = /k\n"
        ),
        "Certificate /etc/d.pem\nKey /k"
    );
    assert_eq!(
        paths("caddy", "\ttls /a.pem \"/k.pem\" {\n\ttls internal\n"),
        "Certificate /a.pem\nKey /k.pem"
    );
    assert_eq!(
        paths(
            "caddy-api",
            "[\n\"certificate\":\"/a.pem\",\"key\":\"/k.pem\",\"tags\":[\"cert0\"]},\n\"certificate\":\"/b.pem\"}]\n"
        ),
        "Certificate /a.pem\nKey /k.pem\nCertificate /b.pem"
    );
    assert_eq!(
        paths("traefik", "  - certFile: /a.pem\n    keyFile: \"/k.pem\"\n certFile = \"/b.pem\"\n"),
        "Certificate /a.pem\nKey /k.pem\nCertificate /b.pem"
    );
    let discover = built_in("haproxy").discover.expect("has one");
    let directory = &discover.paths(" bind :443 crt /etc/haproxy/certs/\n")[0];
    assert!(directory.names("/etc/haproxy/certs/site.pem"));
    assert!(!directory.names("/etc/haproxy/certs2/site.pem"));
    assert!(!directory.names("/etc/haproxy/certs/deep/site.pem"));
}

#[test]
fn showing_a_profile_tells_what_matters() {
    insta::assert_snapshot!(show(&built_in("postfix")), @r"
    postfix: Postfix SMTP server, certificate and key in two files
      from          built-in
      files         leaf and chain; the key in a file of its own
      paths         cert /etc/postfix/tls/cert.pem, key /etc/postfix/tls/key.pem
      program       postfix
      modes         cert 0644, key 0600, directory 0755
      key read by   root
      commit order  key, cert
      validate      postfix check
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
      verify        port 587 with STARTTLS (smtp), usually served 250ms after the reload
                    port 465, usually served 250ms after the reload
                    port 25 with STARTTLS (smtp), usually served 250ms after the reload
      paths in use  postconf -x smtpd_tls_chain_files smtpd_tls_cert_file smtpd_tls_key_file smtpd_tls_eccert_file smtpd_tls_eckey_file
      caveat        each new smtpd process reads the files by itself, so between the two renames a client can get 454 TLS not available; the service `postfix-chain` (smtpd_tls_chain_files) changes both in one rename
                    postscreen on port 25 may delay or refuse a probe; submission (587) is the better endpoint
    ");
    insta::assert_snapshot!(show(&built_in("apache")), @r"
    apache: Apache httpd with mod_ssl
      from          built-in
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
fn starttls_is_known_to_verify() {
    let postfix = built_in("postfix");
    assert_eq!(
        postfix.verify.iter().map(|one| (one.port, one.starttls)).collect::<Vec<_>>(),
        [(587, StartTls::Smtp), (465, StartTls::None), (25, StartTls::Smtp)]
    );
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
    let page = include_str!("../../docs/services.md");
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

/// The steps that claim to check content are held against the real program.
#[test]
fn posttls_finger_refuses_what_its_steps_say_they_cover() {
    if !crate::common::have(&["openssl", "posttls-finger"]) {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let shell = |script: &str| {
        let status = std::process::Command::new("sh")
            .args(["-ec", script])
            .current_dir(dir.path())
            .stderr(std::process::Stdio::null())
            .status()
            .expect("sh runs");
        assert!(status.success(), "{script}");
    };
    shell(
        "pair() { openssl req -x509 -newkey $2 -nodes -keyout $1.key -out $1.pem -subj /CN=$1 -days 9; }
         pair a 'ec -pkeyopt ec_paramgen_curve:P-256'; pair b 'ec -pkeyopt ec_paramgen_curve:P-256'
         pair r rsa:2048
         cp a.key good.key; cp a.pem good.pem
         cp b.key mismatch.key; cp a.pem mismatch.pem
         cp a.key types.key; cp r.pem types.pem
         echo junk > garbage.key; cp a.pem garbage.pem
         cp a.key cut.key; head -n 4 a.pem > cut.pem
         cp a.key chain.key; { cat a.pem; echo -----BEGIN CERTIFICATE-----; echo '!!!!'; echo -----END CERTIFICATE-----; } > chain.pem
         openssl pkey -in a.key -aes128 -passout pass:x -out sealed.key; cp a.pem sealed.pem
         mkdir one; for n in good mismatch types garbage cut chain sealed; do cat $n.key $n.pem > one/$n.pem; done",
    );
    let path = |name: String| {
        let path = dir.path().join(name).display().to_string();
        RemotePath::new(path).expect("absolute")
    };
    let accepts = |profile: &str, paths: &Paths| {
        let step = built_in(profile).validate[1].clone();
        let resolved = choose(&built_in(profile), HostKind::default());
        let argv = Files::of(paths).expand(&resolved.validate[1].command).argv();
        let output = std::process::Command::new(&argv[0])
            .args(&argv[1..])
            .stdin(std::process::Stdio::null())
            .output()
            .expect("posttls-finger runs");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        output.status.success() && !step.refuse_output.iter().any(|text| said.contains(text))
    };
    for name in ["good", "mismatch", "types", "garbage", "cut", "chain", "sealed"] {
        let expected = name == "good";
        let pair = Paths {
            cert: path(format!("{name}.pem")),
            key: Some(path(format!("{name}.key"))),
            chain: None,
        };
        assert_eq!(accepts("postfix", &pair), expected, "postfix {name}");
        let one = Paths { cert: path(format!("one/{name}.pem")), key: None, chain: None };
        assert_eq!(accepts("postfix-chain", &one), expected, "postfix-chain {name}");
    }
}

proptest! {
    #[test]
    fn a_path_with_metacharacters_stays_one_argument(path in "/[^\0]{0,40}", key in "/[^\0]{0,40}") {
        let postfix = built_in("postfix");
        // Paths of files, cleaned of repeated slashes.
        let (path, key) = (RemotePath::new(path), RemotePath::new(key));
        prop_assume!(path.is_ok() && key.is_ok());
        let (path, key) = (path.unwrap_or_else(|_| unreachable!()), key.unwrap_or_else(|_| unreachable!()));
        let files = Files::of(&Paths { cert: path.clone(), key: Some(key.clone()), chain: None });
        let resolved = choose(&postfix, HostKind::default());
        let CommandLine::Argv(arguments) = files.expand(&resolved.validate[1].command) else {
            unreachable!("an argument list")
        };
        prop_assert_eq!(
            arguments,
            ["posttls-finger", "-c", "-T", "2", "-l", "may", "-k", path.to_str().expect("UTF-8"), "-K", key.to_str().expect("UTF-8"), "[127.0.0.1]:1"]
        );
    }

    #[test]
    fn no_profile_text_makes_it_panic(text in "[a-z_:{}\\[\\], \n\"'0-9-]{0,120}") {
        let _ = load(&[("own.yml", &text)]);
    }
}
