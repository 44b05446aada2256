//! Each service's playbook of `playbooks/`, as it is, on a host whose service was set up as its page says.

use crate::common::fleet::{Fleet, S_CLIENT};
use crate::common::skip;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// A playbook, and how its host comes to fit: files where the profile has them, the ports that it names.
struct Example {
    playbook: &'static str,
    service: &'static str,
    group: &'static str,
    port: u16,
    starttls: &'static str,
    /// `CERT` and `KEY` are where the fleet has the files, `NAME` is the host's.
    setup: &'static str,
}

const NAME: &str = "edge-01.example.net";

const NGINX: &str = "mkdir -p /etc/nginx/certs; cp -a CERT /etc/nginx/certs/cert.pem; cp -a KEY /etc/nginx/certs/key.pem
    sed -i 's#CERT#/etc/nginx/certs/cert.pem#; s#KEY#/etc/nginx/certs/key.pem#' /etc/nginx/sites-enabled/*; nginx -s reload";

const HAPROXY: &str = "mkdir -m 700 /etc/haproxy/certs; cp -a /etc/haproxy/tls/site.pem /etc/haproxy/certs/
    sed -i 's#:8443 ssl crt /etc/haproxy/tls/#:443 ssl crt /etc/haproxy/certs/#' /etc/haproxy/haproxy.cfg
    kill -USR2 $(cat /run/haproxy.pid)";

const EXAMPLES: &[Example] = &[
    Example {
        playbook: "nginx-edge.yml",
        service: "nginx",
        group: "edge",
        port: 443,
        starttls: "",
        setup: NGINX,
    },
    Example {
        playbook: "files-any.yml",
        service: "nginx",
        group: "edge",
        port: 443,
        starttls: "",
        setup: NGINX,
    },
    Example {
        playbook: "apache-web.yml",
        service: "apache",
        group: "edge",
        port: 443,
        starttls: "",
        setup: "mkdir -p /etc/ssl/private; cp CERT /etc/ssl/certs/site.pem; cp -p KEY /etc/ssl/private/site.key
            sed -i 's#CERT#/etc/ssl/certs/site.pem#; s#KEY#/etc/ssl/private/site.key#; s#7443#443#' \
              /etc/apache2/sites-enabled/*.conf /etc/apache2/ports.conf; apache2ctl stop
            while pgrep -x apache2; do sleep 0.1; done; apache2ctl start",
    },
    Example {
        playbook: "haproxy-lb.yml",
        service: "haproxy",
        group: "edge",
        port: 443,
        starttls: "",
        setup: HAPROXY,
    },
    Example {
        playbook: "haproxy-runtime.yml",
        service: "haproxy",
        group: "edge",
        port: 443,
        starttls: "",
        setup: HAPROXY,
    },
    Example {
        playbook: "caddy-edge.yml",
        service: "caddy",
        group: "edge",
        port: 443,
        starttls: "",
        setup: "mkdir /etc/caddy/certs; cp -a CERT /etc/caddy/certs/cert.pem; cp -a KEY /etc/caddy/certs/key.pem
            sed -i 's#CERT#/etc/caddy/certs/cert.pem#; s#KEY#/etc/caddy/certs/key.pem#; s#www.fleet.test:9443#NAME#' /etc/caddy/Caddyfile
            setcap cap_net_bind_service=ep $(command -v caddy); kill $(pgrep -x caddy)
            while pgrep -x caddy; do sleep 0.1; done; sh /opt/fleet/services/caddy/start",
    },
    Example {
        playbook: "caddy-api.yml",
        service: "caddy-api",
        group: "edge",
        port: 443,
        starttls: "",
        setup: "mkdir -p /etc/caddy/certs; cp -a CERT /etc/caddy/certs/cert.pem; cp -a KEY /etc/caddy/certs/key.pem
            setcap cap_net_bind_service=ep $(command -v caddy); kill $(pgrep -x caddy)
            while pgrep -x caddy; do sleep 0.1; done; rm -rf /var/lib/caddy-api
            sed -i 's#CERT#/etc/caddy/certs/cert.pem#; s#KEY#/etc/caddy/certs/key.pem#; s#12443#443#' /etc/caddy-api/caddy.json
            sh /opt/fleet/services/caddy-api/start",
    },
    Example {
        playbook: "traefik-edge.yml",
        service: "traefik",
        group: "edge",
        port: 443,
        starttls: "",
        setup: "mkdir /etc/traefik/certs; cp -a CERT /etc/traefik/certs/cert.pem; cp -a KEY /etc/traefik/certs/key.pem
            kill $(pgrep -x traefik); while pgrep -x traefik; do sleep 0.1; done
            sed -i 's#CERT#/etc/traefik/certs/cert.pem#; s#KEY#/etc/traefik/certs/key.pem#; s#10443#443#' /etc/traefik/traefik.yml /etc/traefik/dynamic/tls.yml
            sh /opt/fleet/services/traefik/start",
    },
    Example {
        playbook: "hitch-edge.yml",
        service: "hitch",
        group: "edge",
        port: 443,
        starttls: "",
        setup: "sed -i 's#13443#443#' /etc/hitch/hitch.conf; pkill -x hitch; while pgrep -x hitch; do sleep 0.1; done
            sh /opt/fleet/services/hitch/start",
    },
    Example {
        playbook: "lighttpd-edge.yml",
        service: "lighttpd",
        group: "edge",
        port: 443,
        starttls: "",
        setup: "cp -a CERT /etc/lighttpd/tls/cert.pem; cp -a KEY /etc/lighttpd/tls/key.pem
            sed -i 's#CERT#/etc/lighttpd/tls/cert.pem#; s#KEY#/etc/lighttpd/tls/key.pem#; s#14443#443#' /etc/lighttpd/lighttpd.conf
            pkill -x lighttpd; while pgrep -x lighttpd; do sleep 0.1; done; sh /opt/fleet/services/lighttpd/start",
    },
    Example {
        playbook: "mosquitto-broker.yml",
        service: "mosquitto",
        group: "edge",
        port: 8883,
        starttls: "",
        setup: "mkdir -p /etc/mosquitto/certs; cp -a CERT /etc/mosquitto/certs/cert.pem; cp -a KEY /etc/mosquitto/certs/key.pem
            sed -i 's#CERT#/etc/mosquitto/certs/cert.pem#; s#KEY#/etc/mosquitto/certs/key.pem#' /etc/mosquitto/mosquitto.conf
            pkill -x mosquitto; while pgrep -x mosquitto; do sleep 0.1; done; sh /opt/fleet/services/mosquitto/start",
    },
    Example {
        playbook: "envoy-edge.yml",
        service: "envoy",
        group: "edge",
        port: 443,
        starttls: "",
        setup: "groupadd -f envoy; mkdir /etc/envoy/certs; cp -a CERT /etc/envoy/certs/cert.pem; cp -a KEY /etc/envoy/certs/key.pem
            kill $(pgrep -x envoy); while pgrep -x envoy; do sleep 0.1; done
            sed -i 's#CERT#/etc/envoy/certs/cert.pem#; s#KEY#/etc/envoy/certs/key.pem#; s#11443#443#' /etc/envoy/*.yaml
            sh /opt/fleet/services/envoy/start",
    },
    Example {
        playbook: "postfix-mail.yml",
        service: "postfix",
        group: "mail",
        port: 25,
        starttls: "smtp",
        setup: "cp -a CERT /etc/postfix/tls/cert.pem; cp -a KEY /etc/postfix/tls/key.pem
            postconf -e smtpd_tls_cert_file=/etc/postfix/tls/cert.pem smtpd_tls_key_file=/etc/postfix/tls/key.pem; postfix reload",
    },
    Example {
        playbook: "postfix-chain.yml",
        service: "postfix",
        group: "mail",
        port: 25,
        starttls: "smtp",
        setup: "(umask 077; cat KEY CERT >/etc/postfix/tls/chain.pem)
            postconf -X smtpd_tls_cert_file smtpd_tls_key_file
            postconf -e smtpd_tls_chain_files=/etc/postfix/tls/chain.pem; postfix reload",
    },
    Example {
        playbook: "dovecot-imap.yml",
        service: "dovecot",
        group: "mail",
        port: 993,
        starttls: "",
        setup: "mkdir /etc/dovecot/certs; cp -a CERT /etc/dovecot/certs/cert.pem; cp -a KEY /etc/dovecot/certs/key.pem
            sed -i 's#CERT#/etc/dovecot/certs/cert.pem#; s#KEY#/etc/dovecot/certs/key.pem#' /etc/dovecot/dovecot.conf; doveadm reload",
    },
];

fn served(fleet: &Fleet, address: &str, example: &Example) -> String {
    let starttls = match example.starttls {
        "" => String::new(),
        name => format!("-starttls {name}"),
    };
    let script = format!(
        "{S_CLIENT} -connect {address}:{} -servername {NAME} {starttls} </dev/null 2>/dev/null \
         | openssl x509 -noout -fingerprint -sha256 | tr -d : | tr A-F a-f",
        example.port
    );
    let output = fleet.controller("sh", &["-c", &script]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().rsplit('=').next().unwrap().to_owned()
}

fn try_it(example: &Example) {
    if !Fleet::services(&[]).iter().any(|name| name == example.service) {
        skip(&format!("{} is not installed", example.service));
        return;
    }
    let Some(fleet) = Fleet::up(1, &[example.service]) else { return };
    let tls = format!(
        "/etc/{}/tls",
        if example.service == "apache" { "apache2" } else { example.service }
    );
    let setup = example
        .setup
        .replace("CERT", &format!("{tls}/fullchain.pem"))
        .replace("KEY", &format!("{tls}/privkey.pem"))
        .replace("NAME", NAME);
    fleet.sh("h001", &setup);
    fleet.fleet(&["issue", "new", "--san", &format!("DNS:{NAME}")]);
    let work = tempfile::tempdir().unwrap();
    let certs = work.path().join("certs").join(NAME);
    fs::create_dir_all(&certs).unwrap();
    for file in ["fullchain.pem", "privkey.pem"] {
        fs::copy(fleet.pki("new", file), certs.join(file)).unwrap();
    }
    // The fleet's host under the name that its certificate is for.
    let hosts = fs::read_to_string(fleet.dir().join("inventory.ini")).unwrap();
    let host = hosts.lines().find(|line| line.starts_with("h001 ")).unwrap();
    let address = host.split("ansible_host=").nth(1).unwrap().split(' ').next().unwrap();
    let connect = format!("exec 3<>/dev/tcp/{address}/{}", example.port);
    let end = Instant::now() + Duration::from_secs(60);
    while !fleet.controller("bash", &["-c", &connect]).output().unwrap().status.success() {
        assert!(Instant::now() < end, "nobody listens for {}", example.playbook);
        std::thread::sleep(Duration::from_millis(100));
    }
    let variables = &hosts[hosts.find("[all:vars]").unwrap()..];
    let inventory =
        format!("[{}]\n{}\n\n{variables}", example.group, host.replacen("h001", NAME, 1));
    fs::write(work.path().join("hosts.ini"), inventory).unwrap();
    let playbook = Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks").join(example.playbook);
    let playbook = playbook.display().to_string();
    let given = format!("certs_dir={}", work.path().join("certs").display());
    let run =
        |verb: &str| fleet.run(work.path(), &[verb, &playbook, "-i", "hosts.ini", "-e", &given]);

    assert_eq!(run("plan").code, 0);
    let ran = run("apply");
    assert_eq!(ran.code, 0, "{}: {ran}", example.playbook);
    assert_eq!(served(&fleet, address, example), fleet.leaf("new"), "{}: {ran}", example.playbook);
    assert!(!ran.stdout.contains("is not named"), "{}: {ran}", example.playbook);
    let again = run("apply");
    assert!(again.stdout.contains("unchanged"), "{again}");
}

macro_rules! examples {
    ($($name:ident: $playbook:literal;)*) => {$(
        #[test]
        fn $name() {
            try_it(EXAMPLES.iter().find(|example| example.playbook == $playbook).unwrap());
        }
    )*};
}

examples! {
    nginx: "nginx-edge.yml";
    files: "files-any.yml";
    apache: "apache-web.yml";
    haproxy: "haproxy-lb.yml";
    haproxy_runtime: "haproxy-runtime.yml";
    caddy: "caddy-edge.yml";
    caddy_api: "caddy-api.yml";
    traefik: "traefik-edge.yml";
    envoy: "envoy-edge.yml";
    hitch: "hitch-edge.yml";
    lighttpd: "lighttpd-edge.yml";
    mosquitto: "mosquitto-broker.yml";
    postfix: "postfix-mail.yml";
    postfix_chain: "postfix-chain.yml";
    dovecot: "dovecot-imap.yml";
}

/// Nobody's example is forgotten; three that are about more than one service are tried elsewhere.
#[test]
fn every_playbook_is_tried() {
    let tried = EXAMPLES.iter().map(|example| example.playbook).chain([
        "mail-shared.yml",
        "bastion-batch.yml",
        "one-service.yml",
    ]);
    let mut tried: Vec<&str> = tried.collect();
    tried.sort_unstable();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks");
    let names = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".yml")).collect();
    names.sort_unstable();
    assert_eq!(names, tried);
}
