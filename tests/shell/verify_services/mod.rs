//! The verifier against the real servers of each protocol: the certificate that they were given is
//! the one that is seen, as `openssl s_client` sees it; switched off or broken, they are told so.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod servers;

use crate::common::oracle::s_client;
use crate::common::pki::{Authority, Pair};
use certroll::testing::model::{Endpoint, StartTls};
use certroll::testing::verify::{Phase, Probe, Refusal, Served, Tcp, handshake};
use servers::{Server, Tls};
use tempfile::TempDir;

const NAME: &str = "www.example.org";

/// Certificates on disk, good and mismatched.
struct Material {
    _directory: TempDir,
    pair: Pair,
    good: Tls,
    /// The right certificate with another key of the same kind.
    mismatched: Tls,
    /// An RSA certificate with the EC key of another.
    crossed: Tls,
}

/// `None` when the test cannot run here, which was said then.
fn material(programs: &[&str]) -> Option<Material> {
    let needed = [&["openssl", "timeout", "unshare", "setpriv"], programs].concat();
    if !crate::common::have(&needed) || !crate::common::am_root() {
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("test");
    let pair = authority.leaf(&[NAME]);
    let files = pair.write(directory.path(), "good");
    let rsa = authority.rsa(&[NAME]).write(directory.path(), "rsa");
    let other = authority.leaf(&[NAME]).write(directory.path(), "other");
    Some(Material {
        pair,
        crossed: Tls { cert: rsa.fullchain, key: other.key.clone() },
        good: Tls { cert: files.fullchain.clone(), key: files.key },
        mismatched: Tls { cert: files.fullchain, key: other.key },
        _directory: directory,
    })
}

async fn look(starttls: StartTls, port: u16) -> Result<Served, Refusal> {
    let mut probe = Probe::new(Endpoint { host: "127.0.0.1".into(), port });
    probe.starttls = starttls;
    probe.server_name = Some(NAME.to_owned());
    handshake(&probe, &Tcp).await
}

/// Every port shows the deployed chain, to us and to openssl.
async fn shows(server: &Server, pair: &Pair) {
    for (starttls, port) in &server.ports {
        let served = look(*starttls, *port).await.unwrap_or_else(|refusal| {
            panic!("{}: {refusal}\n{}", starttls.name(), server.daemon.log())
        });
        assert_eq!(served.chain, pair.chain(), "{}", starttls.name());
        let endpoint = Endpoint { host: "127.0.0.1".into(), port: *port };
        let more: &[&str] = match starttls {
            StartTls::None => &[],
            StartTls::Xmpp => &["-starttls", "xmpp", "-name", NAME],
            other => &["-starttls", other.name()],
        };
        let opinion = s_client(&endpoint, NAME, None, more);
        assert_eq!(opinion.chain, served.chain, "{}\n{}", starttls.name(), opinion.text);
        assert_eq!(opinion.protocol, Some(served.protocol), "{}", starttls.name());
    }
}

async fn offers_nothing(server: &Server) {
    for (starttls, port) in &server.ports {
        let refusal = look(*starttls, *port).await.unwrap_err();
        assert_eq!(refusal, Refusal::NotOffered { protocol: *starttls }, "{}", server.daemon.log());
    }
}

#[tokio::test]
async fn nginx() {
    let Some(material) = material(&["nginx"]) else { return };
    let server = servers::nginx(&material.good);
    let [(_, tls), (_, plain)] = server.ports[..] else { panic!() };
    let served = look(StartTls::None, tls).await.unwrap();
    assert_eq!((served.chain, served.protocol.as_str()), (material.pair.chain(), "TLSv1.3"));
    let refusal = look(StartTls::None, plain).await.unwrap_err();
    assert_eq!(refusal.advice(), ["this is plain HTTP: check the port"], "{refusal}");
    // What `nginx -t` accepts and no handshake survives: an RSA certificate with an EC key.
    let crossed = servers::nginx(&material.crossed);
    let refusal = look(StartTls::None, crossed.ports[0].1).await.unwrap_err();
    assert_eq!(refusal, Refusal::Alert { name: "handshake_failure".into() });
    assert_eq!(
        refusal.advice()[0],
        "look at the service's log: often key and certificate do not match"
    );
    // A dialogue with a web server that speaks TLS.
    let refusal = look(StartTls::Postgres, tls).await.unwrap_err();
    assert_eq!(
        refusal.advice(),
        ["a web server answers: check the port; HTTPS takes starttls: none"],
        "{refusal}"
    );
}

#[tokio::test]
async fn postfix() {
    let Some(material) = material(&["postfix"]) else { return };
    shows(&servers::postfix(Some(&material.good)), &material.pair).await;

    let broken = servers::postfix(Some(&material.mismatched));
    let [(smtp, port), (none, wrapped)] = broken.ports[..] else { panic!() };
    let reply = "454 4.7.0 TLS not available due to local problem".to_owned();
    let refusal = look(smtp, port).await.unwrap_err();
    assert_eq!(refusal, Refusal::StartTls { phase: Phase::Upgrade, reply });
    assert_eq!(look(none, wrapped).await.unwrap_err(), Refusal::Closed { phase: Phase::Tls });

    let mut off = servers::postfix(None);
    off.ports.truncate(1);
    offers_nothing(&off).await;
    // The other way round: TLS at once on a port that wants STARTTLS.
    let refusal = look(StartTls::None, off.ports[0].1).await.unwrap_err();
    assert_eq!(refusal.advice(), ["this looks like SMTP: try starttls: smtp"], "{refusal}");
}

#[tokio::test]
async fn dovecot() {
    let Some(material) = material(&["dovecot"]) else { return };
    shows(&servers::dovecot(Some(&material.good)), &material.pair).await;

    let broken = servers::dovecot(Some(&material.mismatched));
    for (starttls, port) in &broken.ports {
        let refusal = look(*starttls, *port).await.unwrap_err();
        // Without a dialogue it looks like a service that is just ending.
        match starttls {
            StartTls::None => assert_eq!(refusal, Refusal::Closed { phase: Phase::Tls }),
            _ => assert!(refusal.is_hopeless(), "{}: {refusal}", starttls.name()),
        }
    }
    offers_nothing(&servers::dovecot(None)).await;
}

#[tokio::test]
async fn vsftpd() {
    let Some(material) = material(&["vsftpd"]) else { return };
    shows(&servers::vsftpd(Some(&material.good)), &material.pair).await;
    let off = servers::vsftpd(None);
    let refusal = look(StartTls::Ftp, off.ports[0].1).await.unwrap_err();
    let reply = "530 Please login with USER and PASS.".to_owned();
    assert_eq!(refusal, Refusal::StartTls { phase: Phase::Upgrade, reply });
}

#[tokio::test]
async fn openldap() {
    let Some(material) = material(&["slapd"]) else { return };
    shows(&servers::slapd(Some(&material.good)), &material.pair).await;
    let off = servers::slapd(None);
    let refusal = look(StartTls::Ldap, off.ports[0].1).await.unwrap_err();
    let reply = "result 2 (protocol error): unsupported extended operation".to_owned();
    assert_eq!(refusal, Refusal::StartTls { phase: Phase::Upgrade, reply });
}

#[tokio::test]
async fn postgresql() {
    let Some(material) = material(&[]) else { return };
    if servers::postgres_program("initdb").is_none() {
        crate::common::skip("not installed: postgresql");
        return;
    }
    shows(&servers::postgres(Some(&material.good)), &material.pair).await;
    offers_nothing(&servers::postgres(None)).await;
}

#[tokio::test]
async fn mariadb() {
    let Some(material) = material(&["mariadbd"]) else { return };
    shows(&servers::mariadb(Some(&material.good)), &material.pair).await;
    offers_nothing(&servers::mariadb(None)).await;
}

#[tokio::test]
async fn prosody() {
    let Some(material) = material(&["prosody"]) else { return };
    shows(&servers::prosody(Some(&material.good), NAME), &material.pair).await;
    offers_nothing(&servers::prosody(None, NAME)).await;
    let other = servers::prosody(Some(&material.good), "chat.example.org");
    let refusal = look(StartTls::Xmpp, other.ports[0].1).await.unwrap_err();
    let Refusal::StartTls { phase: Phase::Capabilities, reply } = &refusal else {
        panic!("{refusal:?}")
    };
    assert!(reply.starts_with("error host-unknown"), "{reply}");
}
