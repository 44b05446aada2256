//! The services of the hosts: where their files are, and how they look from outside.

/// One service as `tests/fleet/services` sets it up.
#[derive(Debug)]
pub struct Service {
    /// Its name in the fleet.
    pub name: &'static str,
    /// The profile that rolls it out.
    pub profile: &'static str,
    /// What its configuration lies in; nothing below changes unless certroll changes it.
    pub directory: &'static str,
    /// Where its configuration names the certificate.
    pub cert: &'static str,
    /// The key, where it has a file of its own.
    pub key: Option<&'static str>,
    /// The endpoint's port and dialogue.
    pub port: u16,
    pub starttls: &'static str,
    /// Prints something else after each reload, and the same until the next: of workers the newest, since those that it
    /// replaced take their time to end.
    pub reloads: &'static str,
    /// Breaks its configuration, so that its own check fails; none where there is no such check.
    pub broken: Option<&'static str>,
    /// `user:group mode` of new certificate and key files.
    pub fresh: [&'static str; 2],
}

pub const NGINX: Service = Service {
    name: "nginx",
    profile: "nginx",
    directory: "/etc/nginx",
    cert: "/etc/nginx/tls/fullchain.pem",
    key: Some("/etc/nginx/tls/privkey.pem"),
    port: 443,
    starttls: "none",
    // A worker of before, which serves its last connections, is not counted.
    reloads: "pgrep -P $(cat /run/nginx.pid) -f 'worker process$'",
    broken: Some("echo 'no such directive;' >/etc/nginx/sites-enabled/broken.conf"),
    fresh: ["root:root 644", "root:root 600"],
};

pub const APACHE: Service = Service {
    name: "apache",
    profile: "apache",
    directory: "/etc/apache2",
    cert: "/etc/apache2/tls/fullchain.pem",
    key: Some("/etc/apache2/tls/privkey.pem"),
    port: 7443,
    starttls: "none",
    // Its children come and go by themselves on a busy machine.
    reloads: "grep -c AH00493 /var/log/apache2/error.log || true",
    broken: Some("echo NoSuchDirective >/etc/apache2/sites-enabled/broken.conf"),
    fresh: ["root:root 644", "root:root 600"],
};

pub const HAPROXY: Service = Service {
    name: "haproxy",
    profile: "haproxy",
    directory: "/etc/haproxy",
    cert: "/etc/haproxy/tls/site.pem",
    key: None,
    port: 8443,
    starttls: "none",
    reloads: "pgrep -n -P $(cat /run/haproxy.pid)",
    broken: Some("echo no-such-keyword >>/etc/haproxy/haproxy.cfg"),
    fresh: ["root:root 600", ""],
};

pub const HAPROXY_RUNTIME: Service = Service {
    profile: "haproxy-runtime",
    // No process tells how often: the certificate that counts does.
    reloads: "echo 'show ssl cert /etc/haproxy/tls/site.pem' | socat - /run/haproxy/admin.sock",
    ..HAPROXY
};

pub const CADDY: Service = Service {
    name: "caddy",
    profile: "caddy",
    directory: "/etc/caddy",
    cert: "/etc/caddy/tls/fullchain.pem",
    key: Some("/etc/caddy/tls/privkey.pem"),
    port: 9443,
    starttls: "none",
    reloads: "grep -c '\"load complete\"' /var/log/caddy.log || true",
    broken: Some("echo 'no end {' >>/etc/caddy/Caddyfile"),
    fresh: ["root:root 644", "root:caddy 640"],
};

pub const CADDY_API: Service = Service {
    name: "caddy-api",
    profile: "caddy-api",
    directory: "/etc/caddy-api",
    cert: "/etc/caddy-api/tls/fullchain.pem",
    key: Some("/etc/caddy-api/tls/privkey.pem"),
    port: 12443,
    reloads: "grep -c '\"method\":\"POST\"' /var/log/caddy-api.log || true",
    broken: None,
    ..CADDY
};

pub const TRAEFIK: Service = Service {
    name: "traefik",
    profile: "traefik",
    directory: "/etc/traefik",
    cert: "/etc/traefik/tls/fullchain.pem",
    key: Some("/etc/traefik/tls/privkey.pem"),
    port: 10443,
    starttls: "none",
    reloads: "stat -c %z /etc/traefik/dynamic/tls.yml",
    broken: None,
    fresh: ["root:root 644", "root:root 600"],
};

pub const ENVOY: Service = Service {
    name: "envoy",
    profile: "envoy",
    directory: "/etc/envoy",
    cert: "/etc/envoy/tls/fullchain.pem",
    key: Some("/etc/envoy/tls/privkey.pem"),
    port: 11443,
    starttls: "none",
    reloads: "curl -s '127.0.0.1:9901/stats?filter=ssl_context_update_by_sds'",
    broken: None,
    fresh: ["root:root 644", "root:root 640"],
};

pub const POSTFIX: Service = Service {
    name: "postfix",
    profile: "postfix",
    directory: "/etc/postfix",
    cert: "/etc/postfix/tls/fullchain.pem",
    key: Some("/etc/postfix/tls/privkey.pem"),
    port: 25,
    starttls: "smtp",
    reloads: "grep -c 'postfix/master.* reload' /var/log/postfix.log || true",
    broken: Some("echo 'no such setting' >>/etc/postfix/main.cf"),
    fresh: ["root:root 644", "root:root 600"],
};

pub const POSTFIX_CHAIN: Service = Service {
    profile: "postfix-chain",
    cert: "/etc/postfix/tls/chain.pem",
    key: None,
    broken: None,
    fresh: ["root:root 600", ""],
    ..POSTFIX
};

pub const DOVECOT: Service = Service {
    name: "dovecot",
    profile: "dovecot",
    directory: "/etc/dovecot",
    cert: "/etc/dovecot/tls/fullchain.pem",
    key: Some("/etc/dovecot/tls/privkey.pem"),
    port: 993,
    starttls: "none",
    reloads: "grep -c SIGHUP /var/log/dovecot.log || true",
    broken: Some("echo no_such_setting = 1 >>/etc/dovecot/dovecot.conf"),
    fresh: ["root:root 644", "root:root 600"],
};

pub const HITCH: Service = Service {
    name: "hitch",
    profile: "hitch",
    directory: "/etc/hitch",
    cert: "/etc/hitch/tls/site.pem",
    key: None,
    port: 13443,
    starttls: "none",
    reloads: "pgrep -n -P $(pgrep -o -x hitch)",
    broken: Some("echo no-such-keyword >>/etc/hitch/hitch.conf"),
    fresh: ["root:root 600", ""],
};

pub const LIGHTTPD: Service = Service {
    name: "lighttpd",
    profile: "lighttpd",
    directory: "/etc/lighttpd",
    cert: "/etc/lighttpd/tls/fullchain.pem",
    key: Some("/etc/lighttpd/tls/privkey.pem"),
    port: 14443,
    starttls: "none",
    reloads: "grep -c graceful /var/log/lighttpd.log || true",
    broken: Some("echo no-such-keyword >>/etc/lighttpd/lighttpd.conf"),
    fresh: ["root:root 644", "root:www-data 640"],
};

pub const MOSQUITTO: Service = Service {
    name: "mosquitto",
    profile: "mosquitto",
    directory: "/etc/mosquitto",
    cert: "/etc/mosquitto/tls/fullchain.pem",
    key: Some("/etc/mosquitto/tls/privkey.pem"),
    port: 8883,
    starttls: "none",
    reloads: "grep -c Reloading /var/log/mosquitto.log || true",
    broken: None,
    fresh: ["root:root 644", "root:mosquitto 640"],
};
