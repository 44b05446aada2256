//! The operator's own profiles.

use super::{argv, built_in, errors, load};
use certroll::testing::host::HostKind;
use certroll::testing::model::{CommandLine, RemotePath};
use certroll::testing::services::{Files, Paths, Profiles, ResolvedReload, choose};
use proptest::prelude::*;

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
services/own.yml:2:1: a profile has no key 'descripton' [did you mean 'description'?] (keys: description, extends, settings, layout, dest, reads, reload_reads_as, modes, owners, order, import, export, experimental, measured, validate, seal, reload, container, recover, reload_costs, overwrites, program, running, verify, discover, loaded, self_reload, caveats)
services/own.yml:3:16: `cert` cannot be 'fulchain' [did you mean 'fullchain'?] (allowed: fullchain, leaf)
services/own.yml:3:31: `key` is one of: separate, first, last, pkcs12, not an integer
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
    insta::assert_snapshot!(errors("reload: none\nimport: {command: [x], store: s}\nmodes: {dir: '0755'}\n"), @"services/own.yml:3:8: the files of an `import` are a spool that its owner alone may read (leave `modes` out: files are 0600 and the directory is 0700 then)");
    insta::assert_snapshot!(errors("reload: none\nexport: [x]\n"), @"services/own.yml:2:9: `export` goes with `import`, and only with it");
    insta::assert_snapshot!(errors("- a list\n"), @"services/own.yml:1:1: a profile is a mapping, not a list");
    insta::assert_snapshot!(errors(""), @"services/own.yml:1:1: a profile is a mapping, not nothing");
    insta::assert_snapshot!(errors("extends: ngnix\n"), @"services/own.yml:1:10: there is no profile 'ngnix' to extend [did you mean 'nginx'?] (profiles: nginx, apache, haproxy, haproxy-runtime, postfix, postfix-chain, dovecot, caddy, caddy-api, traefik, envoy, hitch, lighttpd, mosquitto, 389-ds, bind, cockpit, coturn, cups, cyrus, dnsdist, ejabberd, etcd, exim, freeradius, h2o, icinga2, influxdb, inspircd, jetty, kamailio, knot, kresd, mariadb, memcached, mumble, nats, nghttpx, ngircd, node-exporter, nsd, opensmtpd, postgresql, pound, proftpd, prosody, pure-ftpd, rabbitmq, redis, rsyslog, sendmail, slapd, squid, stunnel, syslog-ng, tomcat, unbound, valkey, vsftpd, znc, tomcat-keystore, proxmox, synology, unifi-network, unifi-os, openwrt, qnap, files, own)");
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
    assert_eq!(profiles.all().count(), 70);
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
