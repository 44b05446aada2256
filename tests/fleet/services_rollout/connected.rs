//! What a reload costs those who are connected, as the profiles' `reload_costs` say it.

use crate::services_rollout::service::{
    APACHE, CADDY, DOVECOT, ENVOY, HAPROXY, HITCH, LIGHTTPD, MOSQUITTO, NGINX, POSTFIX, Service,
    TRAEFIK,
};
use crate::services_rollout::site::{Host, host};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

/// Has a connection that it does nothing with: says so, then how that ended, and when its input comes ends itself.
const CONNECTION: &str = r"
import imaplib, select, smtplib, socket, ssl, sys
address, port, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
if kind == 'smtp':
    one = smtplib.SMTP(address, port)
    one.starttls(context=context)
    one.ehlo()
    tls = one.sock
elif kind == 'imap':
    one = imaplib.IMAP4_SSL(address, port, ssl_context=context)
    one.login('deploy', 'any')
    one.select('INBOX')
    tls = one.sock
elif kind == 'mqtt':
    tls = context.wrap_socket(socket.create_connection((address, port)), server_hostname='www.fleet.test')
    tls.sendall(b'\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02me')
    assert tls.recv(4) == b'\x20\x02\x00\x00'
else:
    tls = context.wrap_socket(socket.create_connection((address, port)), server_hostname='www.fleet.test')
    tls.sendall(b'GET / HTTP/1.1\r\nHost: www.fleet.test\r\n\r\n')
    assert tls.recv(65536).startswith(b'HTTP/1.1 ')
tls.setblocking(False)
print('connected', flush=True)
while True:
    if sys.stdin in select.select([sys.stdin, tls], [], [])[0]:
        print('open', flush=True)
        break
    try:
        data = tls.recv(65536)
    except ssl.SSLWantReadError:
        continue
    except OSError:
        data = b''
    if not data or b'BYE' in data:
        print('closed', flush=True)
        break
";

struct Connection {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Connection {
    fn of(host: &Host, service: &Service, kind: &str) -> Self {
        let (address, port) = (host.address(), service.port.to_string());
        let arguments = ["-c", CONNECTION, &address, &port, kind];
        let mut command = host.fleet().controller("python3", &arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut one = Self { child, said };
        assert_eq!(one.line(), "connected", "{}", service.name);
        one
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Waits until the server ends it.
    fn expect_closed(mut self) {
        assert_eq!(self.line(), "closed");
        self.child.wait().unwrap();
    }

    /// The server has not ended it so far.
    fn expect_open(mut self) {
        // It may be gone, and then says so.
        let _ = self.child.stdin.take().unwrap().write_all(b"\n");
        assert_eq!(self.line(), "open");
        self.child.wait().unwrap();
    }
}

fn reload(host: &Host, service: &Service) {
    host.fleet().fleet(&["put", host.name, service.name, "gen2"]);
    host.fleet().fleet(&["reload", host.name, service.name]);
    host.expect(service, "gen2");
}

#[test]
fn idle_connections_are_closed_where_workers_are_replaced() {
    for (service, patient) in CLOSING {
        let Some(host) = host(&[service]) else { return };
        is_closed(&host, service, patient);
    }
}

/// Services whose reload closes idle connections, and what keeps these open for an hour.
const CLOSING: [(&Service, &str); 5] = [
    (
        &NGINX,
        "sed -i 's/listen 443 ssl;/& keepalive_timeout 3600;/' /etc/nginx/sites-enabled/fleet.conf",
    ),
    (&APACHE, "sed -i 's/^KeepAliveTimeout.*/KeepAliveTimeout 3600/' /etc/apache2/apache2.conf"),
    (&HAPROXY, "sed -i 's/timeout client .*/timeout client 1h/' /etc/haproxy/haproxy.cfg"),
    (&CADDY, "true"),
    (&LIGHTTPD, "echo 'server.max-keep-alive-idle = 3600' >>/etc/lighttpd/lighttpd.conf"),
];

fn is_closed(host: &Host, service: &Service, patient: &str) {
    host.sh(patient);
    host.give(service, "gen1");
    let connection = Connection::of(host, service, "http");
    reload(host, service);
    connection.expect_closed();
}

#[test]
fn connections_stay_where_the_process_stays() {
    for (service, kind) in STAYING {
        let Some(host) = host(&[service]) else { return };
        if service.name == "hitch" {
            // What it stands in front of.
            host.sh("setsid socat TCP-LISTEN:80,bind=127.0.0.1,fork,reuseaddr SYSTEM:'echo HTTP/1.1 200 OK; cat' \
                     >/dev/null 2>&1 </dev/null &
                     until ss -Hltn 'sport = :80' | grep -q .; do sleep 0.05; done");
        }
        stays(&host, service, kind);
    }
}

/// Services whose reload leaves connections alone, and what is spoken there.
const STAYING: [(&Service, &str); 5] = [
    (&TRAEFIK, "http"),
    (&ENVOY, "http"),
    (&POSTFIX, "smtp"),
    (&MOSQUITTO, "mqtt"),
    (&HITCH, "http"),
];

fn stays(host: &Host, service: &Service, kind: &str) {
    let connection = Connection::of(host, service, kind);
    reload(host, service);
    std::thread::sleep(Duration::from_secs(2));
    connection.expect_open();
}

#[test]
fn dovecot_ends_the_sessions_of_those_who_are_logged_in() {
    let Some(host) = host(&[&DOVECOT]) else { return };
    sessions_end(&host);
}

/// Six seconds after the reload, unless its configuration says otherwise.
fn sessions_end(host: &Host) {
    host.sh("install -d -o mail -g mail /var/mail/deploy
         echo 'first_valid_uid = 1' >>/etc/dovecot/dovecot.conf; doveadm reload; sleep 1");
    let connection = Connection::of(host, &DOVECOT, "imap");
    reload(host, &DOVECOT);
    connection.expect_closed();
    host.sh("echo 'shutdown_clients = no' >>/etc/dovecot/dovecot.conf; doveadm reload; sleep 1");
    let connection = Connection::of(host, &DOVECOT, "imap");
    reload(host, &DOVECOT);
    std::thread::sleep(Duration::from_secs(10));
    connection.expect_open();
}

/// The same on a host of another release, whose services these are.
pub fn as_the_profiles_say(host: &Host) {
    for (service, patient) in CLOSING.into_iter().filter(|(service, _)| service.name != "lighttpd")
    {
        host.as_new(service);
        is_closed(host, service, patient);
    }
    let elsewhere = |service: &Service| ["mosquitto", "hitch"].contains(&service.name);
    for (service, kind) in STAYING.into_iter().filter(|(service, _)| !elsewhere(service)) {
        host.as_new(service);
        stays(host, service, kind);
    }
    host.as_new(&DOVECOT);
    sessions_end(host);
}
