//! The verifier against hostile and broken servers, over real sockets: every one gets an answer in
//! time, in words that say what is wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod arbitrary_bytes;
mod breaks;

use crate::common::pki::{Authority, server_config};
use certroll::testing::model::StartTls;
use certroll::testing::verify::{ConnectFailure, Phase, Probe, Refusal, Tcp, handshake};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// Serves every connection with `behave` until the test ends.
async fn hostile<F, R>(behave: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(behave(stream));
        }
    });
    address
}

/// Says each line after having heard something; the first at once.
async fn conversation(lines: &'static [&'static [u8]]) -> SocketAddr {
    hostile(move |mut stream| async move {
        let mut heard = [0; 4096];
        for (n, line) in lines.iter().enumerate() {
            if n > 0 && stream.read(&mut heard).await? == 0 {
                return Ok(());
            }
            stream.write_all(line).await?;
        }
        // Stay until the client is gone.
        while stream.read(&mut heard).await? > 0 {}
        Ok(())
    })
    .await
}

/// Patience where an answer is sure to come, on a loaded machine too.
const LONG: Duration = Duration::from_secs(60);
/// Patience where none will come.
const SHORT: Duration = Duration::from_secs(1);

async fn refusal(address: SocketAddr, starttls: StartTls) -> Refusal {
    refusal_within(LONG, address, starttls).await
}

async fn refusal_within(limit: Duration, address: SocketAddr, starttls: StartTls) -> Refusal {
    let mut probe = Probe::new(address.to_string().parse().unwrap());
    probe.starttls = starttls;
    probe.server_name = Some("www.example.org".into());
    probe.timeout = limit;
    let begun = Instant::now();
    let refusal = handshake(&probe, &Tcp).await.expect_err("no such server is right");
    assert!(begun.elapsed() < limit + LONG, "{refusal}: {:?}", begun.elapsed());
    refusal
}

const EHLO: &[u8] = b"250-mail.example.org\r\n250-PIPELINING\r\n250 STARTTLS\r\n";
const XMPP_OPEN: &[u8] =
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1' version='1.0'>\
      <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>";
const LDAP_CONSENT_AND_MORE: &[u8] =
    b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00\x30\x0c";
const MYSQL_GREETING: &[u8] =
    b"\x4a\0\0\0\x0a5.5.5-10.11.6-MariaDB\0\x01\0\0\0saltsalt\0\xfe\xff\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0saltsaltsalt\0mysql_nat";

#[tokio::test]
async fn refusals_of_each_protocol_are_told_in_its_words() {
    use StartTls::{Ftp, Imap, Ldap, Lmtp, Mysql, Pop3, Postgres, Sieve, Smtp, Xmpp};
    let cases: &[(StartTls, &'static [&'static [u8]], &str)] = &[
        (Smtp, &[b"554 5.7.1 go away\r\n"], "the server rejects the connection: 554 5.7.1 go away"),
        (Smtp, &[b"421 too busy\r\n"], "the server rejects the connection: 421 too busy"),
        (
            Smtp,
            &[b"220-two\r\n220 lines\r\n", b"550 who are you\r\n"],
            "the server does not list its capabilities: 550 who are you",
        ),
        (Smtp, &[b"220 x\r\n", b"250-x\r\n250 SIZE\r\n"], "the server does not offer STARTTLS (smtp)"),
        // The server's own name is no capability.
        (Smtp, &[b"220 x\r\n", b"250 STARTTLS\r\n"], "the server does not offer STARTTLS (smtp)"),
        (
            Smtp,
            &[b"220 x\r\n", EHLO, b"454 4.7.0 TLS not available due to local problem\r\n"],
            "the server refuses STARTTLS: 454 4.7.0 TLS not available due to local problem",
        ),
        (Lmtp, &[b"220 x\r\n", b"250-x\r\n250 starttls\r\n", b"502 no\r\n"], "the server refuses STARTTLS: 502 no"),
        (Imap, &[b"* BYE full\r\n"], "the server rejects the connection: * BYE full"),
        (Imap, &[b"* PREAUTH hi\r\n"], "the server rejects the connection: * PREAUTH hi"),
        (
            Imap,
            &[b"* OK hi\r\n", b"* CAPABILITY IMAP4rev1 LOGINDISABLED\r\na1 OK\r\n"],
            "the server does not offer STARTTLS (imap)",
        ),
        (
            Imap,
            &[b"* OK hi\r\n", b"* CAPABILITY IMAP4rev1 STARTTLS\r\na1 OK done\r\n", b"* x\r\na2 BAD TLS is off\r\n"],
            "the server refuses STARTTLS: a2 BAD TLS is off",
        ),
        // What stands in a literal is text, not a response.
        (
            Imap,
            &[b"* OK hi\r\n", b"* X {27}\r\n* CAPABILITY STARTTLS\r\na1 OK y\r\n* CAPABILITY IMAP4\r\na1 OK\r\n"],
            "the server does not offer STARTTLS (imap)",
        ),
        (Pop3, &[b"-ERR full\r\n"], "the server rejects the connection: -ERR full"),
        (Pop3, &[b"+OK\r\n", b"+OK\r\nUSER\r\n.\r\n"], "the server does not offer STARTTLS (pop3)"),
        (Pop3, &[b"+OK\r\n", b"-ERR what\r\n", b"-ERR no TLS\r\n"], "the server refuses STARTTLS: -ERR no TLS"),
        (Sieve, &[b"BYE \"busy\"\r\n"], "the server rejects the connection: BYE \"busy\""),
        (
            Sieve,
            &[b"\"IMPLEMENTATION\" \"x\"\r\n\"SIEVE\" {8}\r\nSTARTTLS\r\nOK\r\n"],
            "the server does not offer STARTTLS (sieve)",
        ),
        (
            Sieve,
            &[b"{8+}\r\nSTARTTLS\r\nOK \"hi\"\r\n", b"NO {4}\r\nnope\r\n"],
            "the server refuses STARTTLS: NO {4} nope",
        ),
        (Ftp, &[b"421 later\r\n"], "the server rejects the connection: 421 later"),
        (
            Ftp,
            &[b"220-hello\r\n 220 not yet\r\nwords\r\n220 now\r\n", b"530 Please login with USER and PASS.\r\n"],
            "the server refuses STARTTLS: 530 Please login with USER and PASS.",
        ),
        (Ftp, &[b"220 x\r\n", b"502 what\r\n"], "the server does not offer STARTTLS (ftp)"),
        (Postgres, &[b"", b"N"], "the server does not offer STARTTLS (postgres)"),
        (
            Postgres,
            &[b"", b"E\0\0\0\x20SFATAL\0C53300\0Mtoo many clients\0\0"],
            "the server refuses STARTTLS: 53300 too many clients",
        ),
        (
            Mysql,
            &[b"\x17\0\0\0\xff\x10\x04Too many connections"],
            "the server rejects the connection: error 1040: Too many connections",
        ),
        (
            Mysql,
            &[b"\x17\0\0\0\x0a8.0\0\x01\0\0\0saltsalt\0\xff\xf7\x2d\x02\0"],
            "the server does not offer STARTTLS (mysql)",
        ),
        (
            Ldap,
            &[b"", b"\x30\x14\x02\x01\x01\x78\x0f\x0a\x01\x35\x04\x00\x04\x08sorry...\x8a\x00"],
            "the server refuses STARTTLS: result 53 (unwilling to perform): sorry...",
        ),
        (
            Ldap,
            &[b"", b"\x30\x84\x00\x00\x00\x13\x02\x01\x01\x78\x84\x00\x00\x00\x0a\x0a\x01\x34\x04\x00\x04\x03off"],
            "the server refuses STARTTLS: result 52 (unavailable): off",
        ),
        (
            Xmpp,
            &[b"", b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'><stream:features/>"],
            "the server does not offer STARTTLS (xmpp)",
        ),
        (
            Xmpp,
            &[
                b"",
                b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>\
                <stream:error><host-unknown xmlns='urn:x'/></stream:error></stream:stream>",
            ],
            "the server does not list its capabilities: error host-unknown",
        ),
        (
            Xmpp,
            &[b"", XMPP_OPEN, b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>"],
            "the server refuses STARTTLS: failure",
        ),
    ];
    for (protocol, lines, words) in cases {
        // A first line that is empty waits for the client.
        let refusal = refusal(conversation(lines).await, *protocol).await;
        assert_eq!(refusal.describe(), *words, "{}", protocol.name());
        assert!(!refusal.advice().is_empty(), "{words}");
    }
}

#[tokio::test]
async fn plain_text_behind_the_consent_is_an_injection() {
    use StartTls::{Ftp, Imap, Ldap, Lmtp, Mysql, Pop3, Postgres, Sieve, Smtp, Xmpp};
    let cases: &[(StartTls, &'static [&'static [u8]], &str)] = &[
        (Smtp, &[b"220 x\r\n", EHLO, b"220 go\r\n250 evil\r\n"], "250 evil"),
        (Lmtp, &[b"220 x\r\n", EHLO, b"220 go\r\n\x16\x03\x03"], ""),
        (
            Imap,
            &[
                b"* OK\r\n",
                b"* CAPABILITY STARTTLS\r\na1 OK\r\n",
                b"a2 OK go\r\n* CAPABILITY EVIL\r\n",
            ],
            "* CAPABILITY EVIL",
        ),
        (Pop3, &[b"+OK\r\n", b"+OK\r\nSTLS\r\n.\r\n", b"+OK go\r\n+OK evil\r\n"], "+OK evil"),
        (Sieve, &[b"\"STARTTLS\"\r\nOK\r\n", b"OK go\r\n\"X\"\r\n"], "\"X\""),
        (Ftp, &[b"220 x\r\n", b"234 go\r\n230 in\r\n"], "230 in"),
        (Ldap, &[b"", LDAP_CONSENT_AND_MORE], "0"),
        (Postgres, &[b"", b"Sx"], "x"),
        (Mysql, &[b"\x16\0\0\0\x0a8.0\0\x01\0\0\0saltsalt\0\xff\xff\x2d\x02evil"], "evil"),
        (
            Xmpp,
            &[b"", XMPP_OPEN, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/> <evil/>"],
            "<evil/>",
        ),
    ];
    for (protocol, lines, seen) in cases {
        let refusal = refusal(conversation(lines).await, *protocol).await;
        assert_eq!(refusal, Refusal::Injected { seen: (*seen).to_owned() }, "{}", protocol.name());
    }
    // Later, when the handshake has begun.
    let late = conversation(&[b"220 x\r\n", EHLO, b"220 go\r\n", b"250 evil\r\n"]).await;
    assert_eq!(refusal(late, StartTls::Smtp).await, Refusal::Injected { seen: "250 evil".into() });
}

#[tokio::test]
async fn endless_input_is_cut_off() {
    async fn endless(piece: &'static [u8]) -> SocketAddr {
        hostile(move |mut stream| async move {
            loop {
                stream.write_all(piece).await?;
            }
        })
        .await
    }
    for (starttls, piece) in [
        (StartTls::Smtp, b"220-more\r\n".as_slice()),
        (StartTls::Smtp, b"x"),
        (StartTls::Imap, b"* OK {900}\r\n"),
        (StartTls::Ftp, b"220-\r\n"),
        (StartTls::Sieve, b"\"A\" \"b\"\r\n"),
        (StartTls::Xmpp, b" "),
        (StartTls::Xmpp, b"<?xml version='1.0'?>"),
    ] {
        let refusal = refusal(endless(piece).await, starttls).await;
        assert_eq!(refusal, Refusal::Endless { phase: Phase::Greeting }, "{starttls:?}");
    }
    let pop = conversation(&[b"+OK\r\n", b"+OK\n"]).await;
    let phase = Phase::Capabilities;
    let after = SHORT;
    assert_eq!(refusal_within(after, pop, StartTls::Pop3).await, Refusal::Timeout { phase, after });
}

#[tokio::test]
async fn silence_drips_and_closes_end_in_time_and_name_the_phase() {
    let after = SHORT;
    let silent = conversation(&[b""]).await;
    for (starttls, phase) in [
        (StartTls::None, Phase::Tls),
        (StartTls::Smtp, Phase::Greeting),
        (StartTls::Postgres, Phase::Upgrade),
        (StartTls::Xmpp, Phase::Greeting),
    ] {
        assert_eq!(
            refusal_within(after, silent, starttls).await,
            Refusal::Timeout { phase, after }
        );
    }
    let drip = hostile(|mut stream| async move {
        loop {
            stream.write_all(b"2").await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(
        refusal_within(after, drip, StartTls::Smtp).await,
        Refusal::Timeout { phase: Phase::Greeting, after }
    );
    let closing = hostile(|stream| async move {
        drop(stream);
        Ok(())
    })
    .await;
    for (starttls, phase) in [
        (StartTls::None, Phase::Tls),
        (StartTls::Imap, Phase::Greeting),
        (StartTls::Mysql, Phase::Greeting),
    ] {
        assert_eq!(refusal(closing, starttls).await, Refusal::Closed { phase });
    }
    // Half a reply, then the end.
    let half = hostile(|mut stream| async move { stream.write_all(b"220-wel").await }).await;
    let seen = "220-wel".to_owned();
    assert_eq!(
        refusal(half, StartTls::Smtp).await,
        Refusal::Unexpected { protocol: StartTls::Smtp, phase: Phase::Greeting, seen }
    );
}

#[tokio::test]
async fn a_plain_port_and_a_tls_port_are_told_apart() {
    let http = conversation(&[b"", b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n"]).await;
    let plain = refusal(http, StartTls::None).await;
    assert_eq!(
        plain.describe(),
        "the port does not speak TLS, it says: HTTP/1.1 400 Bad Request Server: x"
    );
    assert_eq!(plain.advice(), ["this is plain HTTP: check the port"]);
    let smtp = conversation(&[b"220 mail ESMTP\r\n"]).await;
    let plain = refusal(smtp, StartTls::None).await;
    assert_eq!(plain.advice(), ["this looks like SMTP: try starttls: smtp"]);
    // Too short for a TLS record: only the time tells.
    let short = conversation(&[b"hi"]).await;
    let plain = refusal_within(SHORT, short, StartTls::None).await;
    assert_eq!(plain, Refusal::PlainText { seen: "hi".into() });

    let authority = Authority::new("test");
    let pair = authority.leaf(&["www.example.org"]);
    let config = Arc::new(server_config(&pair.chain(), pair.private_key()));
    let tls = hostile(move |stream| {
        let acceptor = TlsAcceptor::from(config.clone());
        async move { acceptor.accept(stream).await.map(drop) }
    })
    .await;
    for starttls in [StartTls::Ldap, StartTls::Postgres, StartTls::Xmpp] {
        let refused = refusal(tls, starttls).await;
        assert_eq!(
            refused.advice(),
            ["the port speaks TLS from the first byte: try starttls: none"],
            "{starttls:?} {refused:?}"
        );
    }
    let waits = refusal_within(SHORT, tls, StartTls::Smtp).await;
    assert_eq!(
        waits.advice(),
        ["a port that speaks TLS from the first byte waits for the client: try starttls: none"]
    );
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_refused_and_an_unknown_name_says_so() {
    let port = crate::common::daemon::free_port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(refusal(address, StartTls::None).await, Refusal::Connect(ConnectFailure::Refused));
    let mut probe = Probe::new("no-such-name.invalid:443".parse().unwrap());
    probe.timeout = Duration::from_secs(20);
    let refusal = handshake(&probe, &Tcp).await.unwrap_err();
    assert!(matches!(refusal, Refusal::Resolve { .. }), "{refusal:?}");
}

#[tokio::test]
async fn a_given_address_is_dialled_in_place_of_the_name() {
    let authority = Authority::new("test");
    let pair = authority.leaf(&["www.example.org"]);
    let config = Arc::new(server_config(&pair.chain(), pair.private_key()));
    let address = hostile(move |stream| {
        let acceptor = TlsAcceptor::from(config.clone());
        async move { acceptor.accept(stream).await.map(drop) }
    })
    .await;
    let mut probe = Probe::new("no-such-name.invalid:443".parse().unwrap());
    probe.address = Some(address);
    let served = handshake(&probe, &Tcp).await.unwrap();
    assert_eq!((served.leaf, served.address), (pair.fingerprint(), Some(address)));
}
