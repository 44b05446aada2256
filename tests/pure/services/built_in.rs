//! The profiles that certroll brings: what they say, and for which kind of host.

use super::{argv, built_in, load};
use certroll::testing::host::{Family, FileRole, HostKind};
use certroll::testing::model::{RemotePath, StartTls};
use certroll::testing::services::{Files, Paths, Reload, ResolvedReload, choose, list};

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
            "389-ds",
            "bind",
            "cockpit",
            "coturn",
            "cups",
            "cyrus",
            "dnsdist",
            "ejabberd",
            "etcd",
            "exim",
            "freeradius",
            "h2o",
            "icinga2",
            "influxdb",
            "inspircd",
            "jetty",
            "kamailio",
            "knot",
            "kresd",
            "mariadb",
            "memcached",
            "mumble",
            "nats",
            "nghttpx",
            "ngircd",
            "node-exporter",
            "nsd",
            "opensmtpd",
            "postgresql",
            "pound",
            "proftpd",
            "prosody",
            "pure-ftpd",
            "rabbitmq",
            "redis",
            "rsyslog",
            "sendmail",
            "slapd",
            "squid",
            "stunnel",
            "syslog-ng",
            "tomcat",
            "unbound",
            "valkey",
            "vsftpd",
            "znc",
            "tomcat-keystore",
            "proxmox",
            "synology",
            "unifi-network",
            "unifi-os",
            "openwrt",
            "qnap",
            "files",
            "kubernetes",
            "bigip",
            "windows"
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
        389-ds:  | reload
        bind: configuration | reload
        cockpit: syntax of certificate, chain and key, pair | reload
        coturn:  | reload
        cups: configuration | none
        cyrus:  | reload
        dnsdist: configuration | reload
        ejabberd:  | reload
        etcd:  | none
        exim: configuration | reload
        freeradius: configuration, syntax of certificate, chain and key, pair | reload
        h2o: configuration, syntax of certificate, chain and key, pair (of one key type) | reload
        icinga2: configuration, syntax of certificate, chain and key, pair, readable by the service's user | reload
        influxdb:  | reload
        inspircd:  | reload
        jetty: syntax of certificate, chain and key | none
        kamailio: configuration | reload
        knot: configuration | reload
        kresd:  | reload
        mariadb:  | reload
        memcached:  | reload
        mumble:  | reload
        nats: configuration, syntax of certificate and key, pair | reload
        nghttpx:  | reload
        ngircd: configuration | reload
        node-exporter:  | none
        nsd: configuration | reload
        opensmtpd: configuration, files exist | reload
        postgresql:  | reload
        pound: configuration, syntax of certificate, chain and key, pair | reload
        proftpd: configuration, files exist, syntax of certificate, chain and key | none
        prosody: configuration, syntax of certificate, chain and key, pair | reload
        pure-ftpd:  | reload
        rabbitmq:  | reload
        redis:  | reload
        rsyslog: configuration, files exist | none
        sendmail:  | reload
        slapd:  | reload
        squid: configuration, syntax of certificate and key, pair | reload
        stunnel:  | reload
        syslog-ng: configuration, files exist | reload
        tomcat: configuration, syntax of certificate, chain and key, readable by the service's user | reload
        unbound: configuration | reload
        valkey:  | reload
        vsftpd:  | reload
        znc:  | none
        tomcat-keystore:  | reload
        proxmox:  | none
        synology:  | reload
        unifi-network:  | reload
        unifi-os:  | reload
        openwrt:  | reload
        qnap:  | reload
        files:  | required
        kubernetes:  | none
        bigip:  | none
        windows:  | none
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
            "  bind :443 ssl crt /a.pem crt site.pem alpn h2\n  bind :8443 ssl crt /etc/haproxy/certs/\ncrt-list /b.pem\n"
        ),
        "Combined /a.pem\nCombined /etc/ssl/private/site.pem\nCombined /etc/haproxy/certs\nCombined /b.pem"
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
fn starttls_is_known_to_verify() {
    let postfix = built_in("postfix");
    assert_eq!(
        postfix.verify.iter().map(|one| (one.port, one.starttls)).collect::<Vec<_>>(),
        [(587, StartTls::Smtp), (465, StartTls::None), (25, StartTls::Smtp)]
    );
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

/// One that is not installed is told apart from one that is stopped.
#[test]
fn every_built_in_profile_names_the_program_of_its_service() {
    let profiles = load(&[]).expect("no error");
    let named = |program: &certroll::testing::services::ByFamily<String>| {
        program.default.is_some() || !program.families.is_empty()
    };
    let without = profiles.all().filter(|profile| !named(&profile.program));
    let without: Vec<&str> = without.map(|profile| profile.name.as_str()).collect();
    // Those of Jetty and Tomcat are Java's, and on no path; of some devices nobody says it; `files` is no service.
    let devices = ["synology", "unifi-network", "unifi-os", "qnap"];
    assert_eq!(
        without,
        [&["jetty", "tomcat", "tomcat-keystore"], &devices[..], &["files"]].concat()
    );
}
