//! The verdicts and their waits, on paused time, with a TLS server at the other end of a pipe.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use certroll::clock;
use certroll::model::{Backoff, Fingerprint};
use certroll::verify::{
    Attempt, Dial, Expectation, Probe, Refusal, Resolving, Roots, Seen, SignatureChoice, Stream,
    Verdict, handshake, verify,
};
use common::pki::{Authority, Pair, server_config, server_config_of};
use futures::future::BoxFuture;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// What a scripted server does with a connection.
#[derive(Clone)]
enum Act {
    Fail(fn() -> io::Error),
    Close,
    Serve(Arc<rustls::ServerConfig>),
    Say(&'static [u8]),
    Silence,
}

/// Plays one act per connection, the last one for ever, and notes when each was made.
struct Script {
    acts: Mutex<VecDeque<Act>>,
    begun: Instant,
    dialled: Mutex<Vec<u64>>,
}

impl Script {
    fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        Self {
            acts: Mutex::new(acts.into_iter().collect()),
            begun: Instant::now(),
            dialled: Mutex::default(),
        }
    }

    /// Seconds since the beginning at which connections were made.
    fn times(&self) -> Vec<u64> {
        self.dialled.lock().unwrap().clone()
    }
}

impl Dial for Script {
    fn dial(&self, _: &str, _: u16) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        self.dialled.lock().unwrap().push(self.begun.elapsed().as_secs());
        let mut acts = self.acts.lock().unwrap();
        let act = if acts.len() > 1 { acts.pop_front() } else { acts.front().cloned() };
        Box::pin(async move {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            match act.expect("an act") {
                Act::Fail(error) => return Err(error()),
                Act::Close => drop(theirs),
                Act::Serve(config) => drop(tokio::spawn(serve_tls(theirs, config))),
                Act::Say(words) => drop(tokio::spawn(say(theirs, words))),
                Act::Silence => std::mem::forget(theirs),
            }
            Ok(Box::new(ours) as Box<dyn Stream>)
        })
    }
}

async fn serve_tls(stream: DuplexStream, config: Arc<rustls::ServerConfig>) {
    if let Ok(mut tls) = TlsAcceptor::from(config).accept(stream).await {
        tls.read_to_end(&mut Vec::new()).await.ok();
    }
}

async fn say(mut stream: DuplexStream, words: &'static [u8]) {
    stream.write_all(words).await.ok();
    stream.read_to_end(&mut Vec::new()).await.ok();
}

fn serve(pair: &Pair) -> Act {
    Act::Serve(Arc::new(server_config(&pair.chain(), pair.private_key())))
}

fn probe() -> Probe {
    Probe::new("www.example.org:443".parse().unwrap())
}

fn backoff(attempts: u32, first: u64, max: u64) -> Backoff {
    Backoff { attempts, first: Duration::from_secs(first), max: Duration::from_secs(max) }
}

async fn run(
    script: &Script,
    expect: &Expectation,
    backoff: Backoff,
    consecutive: u32,
) -> (Verdict, Vec<Attempt>) {
    let mut attempts = Vec::new();
    let cancel = CancellationToken::new();
    let verdict =
        verify(&probe(), expect, backoff, consecutive, &cancel, script, &mut |a| attempts.push(a))
            .await;
    (verdict, attempts)
}

fn wanted(pair: &Pair) -> Expectation {
    Expectation::leaf(pair.fingerprint(), clock::now())
}

fn stranger() -> Expectation {
    Expectation::leaf(Fingerprint::of(b"never served"), clock::now())
}

#[tokio::test(start_paused = true)]
async fn waits_double_to_the_cap_and_stay_constant_when_it_equals_the_first() {
    let authority = Authority::new("test");
    let other = authority.leaf(&["www.example.org"]);
    for (backoff, times) in [
        (Backoff::default(), vec![0, 1, 3]),
        (backoff(7, 1, 16), vec![0, 1, 3, 7, 15, 31, 47]),
        (backoff(4, 5, 5), vec![0, 5, 10, 15]),
        (backoff(1, 1, 16), vec![0]),
    ] {
        let script = Script::new([serve(&other)]);
        let (verdict, attempts) = run(&script, &stranger(), backoff, 1).await;
        assert_eq!(script.times(), times);
        assert!(matches!(verdict, Verdict::Wrong { seen: Seen::Other { .. }, .. }), "{verdict:?}");
        let waits: Vec<_> = attempts.iter().filter_map(|a| a.next_wait).collect();
        assert_eq!(waits, backoff.waits().collect::<Vec<_>>());
        let numbers: Vec<_> = attempts.iter().map(|a| (a.number, a.of)).collect();
        let expected: Vec<_> = (1..=backoff.attempts).map(|n| (n, backoff.attempts)).collect();
        assert_eq!(numbers, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn it_stops_at_the_first_success() {
    let authority = Authority::new("test");
    let (old, new) = (authority.leaf(&["www.example.org"]), authority.leaf(&["www.example.org"]));
    let script = Script::new([serve(&old), serve(&old), serve(&new)]);
    let expect = Expectation { old: Some(old.fingerprint()), ..wanted(&new) };
    let (verdict, attempts) = run(&script, &expect, backoff(9, 1, 16), 1).await;
    assert_eq!(script.times(), [0, 1, 3]);
    let Verdict::Verified { attempts: 3, served, notes } = verdict else { panic!("{verdict:?}") };
    assert_eq!((served.leaf, served.chain, notes), (new.fingerprint(), new.chain(), vec![]));
    let old_words = format!("the old certificate {} is still served", old.fingerprint().short());
    let new_words = format!("{} is served (TLSv1.3)", new.fingerprint().short());
    let told: Vec<_> = attempts
        .into_iter()
        .map(|a| (a.matched, a.seen.unwrap(), a.detail, a.next_wait.map(|w| w.as_secs())))
        .collect();
    assert_eq!(
        told,
        [
            (false, old.fingerprint(), old_words.clone(), Some(1)),
            (false, old.fingerprint(), old_words, Some(2)),
            (true, new.fingerprint(), new_words, None),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_without_tls_gets_one_retry_and_what_may_be_a_restart_all() {
    let unknown = || io::Error::from(Resolving("no such name".into()));
    for (act, times) in [
        (Act::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), vec![0, 1]),
        (Act::Fail(|| io::ErrorKind::ConnectionRefused.into()), vec![0, 1, 3, 7]),
        (Act::Fail(|| io::ErrorKind::ConnectionReset.into()), vec![0, 1, 3, 7]),
        (Act::Fail(|| io::ErrorKind::HostUnreachable.into()), vec![0, 1, 3, 7]),
        (Act::Fail(|| io::ErrorKind::TimedOut.into()), vec![0, 1, 3, 7]),
        (Act::Fail(unknown), vec![0, 1, 3, 7]),
        (Act::Close, vec![0, 1, 3, 7]),
        // Ten seconds of patience each, then the wait.
        (Act::Silence, vec![0, 11, 23, 37]),
    ] {
        let script = Script::new([act]);
        let (verdict, attempts) = run(&script, &stranger(), backoff(4, 1, 16), 1).await;
        assert_eq!(script.times(), times);
        assert!(matches!(verdict, Verdict::Wrong { seen: Seen::Refused(_), .. }), "{verdict:?}");
        assert_eq!(attempts.last().unwrap().next_wait, None);
    }
}

#[tokio::test(start_paused = true)]
async fn two_hopeless_tries_must_follow_each_other() {
    let authority = Authority::new("test");
    let (old, new) = (authority.leaf(&["www.example.org"]), authority.leaf(&["www.example.org"]));
    let plain = Act::Say(b"220 ready\r\n");
    let script = Script::new([plain.clone(), serve(&old), plain, serve(&old), serve(&new)]);
    let (verdict, _) = run(&script, &wanted(&new), backoff(9, 1, 1), 1).await;
    assert!(matches!(verdict, Verdict::Verified { attempts: 5, .. }), "{verdict:?}");
}

/// A service that takes three seconds to restart: its port is closed, a balancer in front of it accepts and
/// closes, then the old process answers once more.
#[tokio::test(start_paused = true)]
async fn a_slow_restart_is_waited_for() {
    let authority = Authority::new("test");
    let (old, new) = (authority.leaf(&["www.example.org"]), authority.leaf(&["www.example.org"]));
    let refused = Act::Fail(|| io::ErrorKind::ConnectionRefused.into());
    let restart = [refused.clone(), refused.clone(), Act::Close, Act::Close, serve(&new)];
    let script = Script::new(restart);
    let (verdict, attempts) = run(&script, &wanted(&new), backoff(5, 1, 1), 1).await;
    assert!(matches!(verdict, Verdict::Verified { attempts: 5, .. }), "{verdict:?}");
    assert_eq!(script.times(), [0, 1, 2, 3, 4]);
    let numbers: Vec<_> = attempts.iter().map(|a| (a.number, a.of, a.matched)).collect();
    assert_eq!(numbers, [(1, 5, false), (2, 5, false), (3, 5, false), (4, 5, false), (5, 5, true)]);
    // By default as well: three seconds in all.
    let script = Script::new([refused.clone(), refused, serve(&old)]);
    let (verdict, _) = run(&script, &wanted(&old), Backoff::default(), 1).await;
    assert!(matches!(verdict, Verdict::Verified { attempts: 3, .. }), "{verdict:?}");
    assert_eq!(script.times(), [0, 1, 3]);
}

/// A server with a certificate for each kind of key, or without the one that is asked for.
#[tokio::test(start_paused = true)]
async fn each_kind_of_key_is_asked_for_and_what_else_is_served_is_told() {
    let authority = Authority::new("test");
    let name = "www.example.org";
    let (ecdsa, rsa) = (authority.leaf(&[name]), authority.rsa(&[name]));
    let ask = async |script: &Script, expect: &Expectation, signature| {
        let probe = Probe { signature, ..probe() };
        let cancel = CancellationToken::new();
        let mut told = Vec::new();
        let once = backoff(2, 1, 1);
        let verdict = verify(&probe, expect, once, 1, &cancel, script, &mut |attempt| {
            told.push(attempt.detail);
        })
        .await;
        (verdict, told)
    };
    // The right kind costs one connection, also when it is the wrong certificate.
    let script = Script::new([serve(&rsa)]);
    let (verdict, _) = ask(&script, &wanted(&rsa), SignatureChoice::Rsa).await;
    assert!(matches!(verdict, Verdict::Verified { .. }), "{verdict:?}");
    assert_eq!(script.times(), [0]);
    let script = Script::new([serve(&authority.leaf(&[name]))]);
    let (verdict, _) = ask(&script, &wanted(&ecdsa), SignatureChoice::Ecdsa).await;
    assert!(matches!(verdict, Verdict::Wrong { seen: Seen::Other { .. }, .. }), "{verdict:?}");
    assert_eq!(script.times(), [0, 1]);
    // The old certificate has another kind of key: a second look tells which.
    let script = Script::new([serve(&rsa), serve(&rsa), serve(&ecdsa)]);
    let expect = Expectation { old: Some(rsa.fingerprint()), ..wanted(&ecdsa) };
    let (verdict, told) = ask(&script, &expect, SignatureChoice::Ecdsa).await;
    assert!(matches!(verdict, Verdict::Verified { attempts: 2, .. }), "{verdict:?}");
    assert_eq!(script.times(), [0, 0, 1]);
    let short = rsa.fingerprint().short();
    assert_eq!(
        told[0],
        format!("the old certificate {short} is still served, and none with an ECDSA key")
    );
    let script = Script::new([serve(&ecdsa)]);
    let (verdict, _) = ask(&script, &wanted(&rsa), SignatureChoice::Rsa).await;
    let Verdict::Wrong { seen: Seen::Other { served, .. }, words, advice, .. } = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!((served.leaf, served.lacks), (ecdsa.fingerprint(), Some(SignatureChoice::Rsa)));
    assert!(words.ends_with(", and none with an RSA key"), "{words}");
    assert!(advice[0].contains("does its configuration name the deployed pair too"), "{advice:?}");
    assert_eq!(script.times(), [0, 0, 1, 1]);
    // A server that fits nobody, and one that goes away in between: the reason that counts is told.
    let refused = Act::Fail(|| io::ErrorKind::ConnectionRefused.into());
    let script = Script::new([serve(&ecdsa), refused]);
    let (verdict, told) = ask(&script, &wanted(&rsa), SignatureChoice::Rsa).await;
    assert!(matches!(verdict, Verdict::Wrong { seen: Seen::Refused(_), .. }), "{verdict:?}");
    assert!(told[0].starts_with("connection refused"), "{told:?}");
    let script = Script::new([serve(&ecdsa), Act::Silence]);
    let (verdict, told) = ask(&script, &wanted(&rsa), SignatureChoice::Rsa).await;
    assert!(matches!(verdict, Verdict::Wrong { seen: Seen::Refused(_), .. }), "{verdict:?}");
    assert!(told[0].starts_with("TLS alert handshake_failure"), "{told:?}");
    assert_eq!(script.times(), [0, 0, 11]);
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_a_wait_and_a_handshake_at_once() {
    let authority = Authority::new("test");
    for act in [serve(&authority.leaf(&["www.example.org"])), Act::Silence] {
        let script = Script::new([act]);
        let cancel = CancellationToken::new();
        let begun = Instant::now();
        let token = cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(500)).await;
            token.cancel();
        });
        let verdict =
            verify(&probe(), &stranger(), backoff(5, 60, 60), 1, &cancel, &script, &mut |_| {})
                .await;
        assert!(matches!(verdict, Verdict::Cancelled), "{verdict:?}");
        assert_eq!(begun.elapsed(), Duration::from_millis(500));
        assert_eq!(script.times(), [0]);
    }
}

#[tokio::test(start_paused = true)]
async fn consecutive_answers_must_all_be_right_and_a_stale_one_fails_the_try() {
    let authority = Authority::new("test");
    let (old, new) = (authority.leaf(&["www.example.org"]), authority.leaf(&["www.example.org"]));
    let expect = Expectation { old: Some(old.fingerprint()), ..wanted(&new) };
    let (a, b) = (serve(&new), serve(&old));
    let script = Script::new([a.clone(), a.clone(), b.clone(), a.clone()]);
    let (verdict, attempts) = run(&script, &expect, backoff(3, 1, 16), 3).await;
    assert!(matches!(verdict, Verdict::Verified { attempts: 2, .. }), "{verdict:?}");
    assert_eq!(script.times(), [0, 0, 0, 1, 1, 1]);
    let details: Vec<_> = attempts.into_iter().map(|a| a.detail).collect();
    assert_eq!(
        details,
        [
            format!(
                "the old certificate {} is still served (answer 3 of 3)",
                old.fingerprint().short()
            ),
            format!("{} is served (TLSv1.3, 3 answers in a row)", new.fingerprint().short()),
        ]
    );
    let script = Script::new([a, b]);
    let (verdict, _) = run(&script, &expect, backoff(1, 1, 1), 2).await;
    let Verdict::Wrong { advice, .. } = verdict else { panic!("{verdict:?}") };
    assert!(advice[0].starts_with("answers differ from one connection to the next"), "{advice:?}");
}

#[tokio::test(start_paused = true)]
async fn names_and_trust_are_judged_beside_the_leaf() {
    let authority = Authority::new("test");
    let stranger = Authority::new("stranger");
    let pair = authority.leaf(&["www.example.org", "*.example.net", "192.0.2.7", "2001:db8::7"]);
    let roots = |a: &Authority| Roots::from_pem(a.root_pem.as_bytes()).ok();
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let short = pair.fingerprint().short();
    let cases = [
        (names(&["www.example.org", "a.example.net", "192.0.2.7", "2001:db8::7"]), None, None),
        (names(&[]), roots(&authority), None),
        (
            names(&["www.example.org", "mail.example.org", "192.0.2.8", "a.b.example.net"]),
            None,
            Some(format!(
                "{short} is served, but it does not cover mail.example.org, 192.0.2.8, a.b.example.net"
            )),
        ),
        (
            names(&[]),
            roots(&stranger),
            Some(format!(
                "{short} is served, but it leads to no trusted root: an intermediate is missing, or the root is not known here"
            )),
        ),
    ];
    for (names, trust, wrong) in cases {
        let script = Script::new([serve(&pair)]);
        let expect = Expectation { names, trust, ..wanted(&pair) };
        let (verdict, attempts) = run(&script, &expect, backoff(5, 1, 1), 1).await;
        match (verdict, wrong) {
            (Verdict::Verified { notes, .. }, None) => assert_eq!(notes, Vec::<String>::new()),
            (Verdict::Wrong { seen: Seen::Unfit(_), words, attempts: 2, .. }, Some(wrong)) => {
                assert_eq!(words, wrong);
                assert_eq!(attempts.len(), 2);
            }
            (verdict, wrong) => panic!("{wrong:?}: {verdict:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_the_chain_is_noted_and_fails_nothing() {
    let authority = Authority::new("test");
    let twin = Authority::new("test");
    let stranger = Authority::new("stranger");
    let pair = authority.leaf(&["www.example.org"]);
    let expired = authority.expired(&["www.example.org"]);
    let rest = vec![Fingerprint::of(&authority.intermediate_der)];
    let missing =
        "the server does not send the intermediate 'test intermediate': many clients will refuse";
    let differs = |served: usize| {
        format!(
            "the leaf is the deployed one, the chain behind it is not ({served} served, 1 deployed)"
        )
    };
    let (leaf, inter, root) = (&pair.der, &authority.intermediate_der, &authority.root_der);
    let cases: Vec<(Vec<&Vec<u8>>, Vec<String>)> = vec![
        (vec![leaf, inter], vec![]),
        (vec![leaf], vec![missing.into(), differs(0)]),
        (
            vec![leaf, root, inter],
            vec![
                "the served chain is not in order: some clients will refuse".into(),
                "the server sends the root 'test root', which no client needs".into(),
                differs(2),
            ],
        ),
        (
            vec![leaf, inter, root],
            vec!["the server sends the root 'test root', which no client needs".into(), differs(2)],
        ),
        (
            vec![leaf, &stranger.intermediate_der],
            vec![
                missing.into(),
                "the served certificate 'stranger intermediate' does not belong to the chain".into(),
                differs(1),
            ],
        ),
        (
            vec![leaf, &twin.intermediate_der],
            vec![
                "the served 'test intermediate' has another key than the one that signed: clients will refuse".into(),
                differs(1),
            ],
        ),
        (
            vec![leaf, inter, inter],
            vec!["'test intermediate' is served twice".into(), differs(2)],
        ),
    ];
    for (chain, expected) in cases {
        let chain: Vec<Vec<u8>> = chain.into_iter().cloned().collect();
        let script = Script::new([Act::Serve(Arc::new(server_config(&chain, pair.private_key())))]);
        let expect = Expectation { chain: Some(rest.clone()), ..wanted(&pair) };
        let (verdict, _) = run(&script, &expect, Backoff::default(), 1).await;
        let Verdict::Verified { notes, .. } = verdict else { panic!("{verdict:?}") };
        assert_eq!(notes, expected);
    }
    let script = Script::new([serve(&expired)]);
    let (verdict, _) = run(&script, &wanted(&expired), Backoff::default(), 1).await;
    let Verdict::Verified { notes, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(notes, ["the served certificate has expired on 2020-01-01"]);
}

#[tokio::test(start_paused = true)]
async fn a_leaf_deployed_without_chain_is_not_blamed_for_it() {
    let authority = Authority::new("test");
    let pair = authority.leaf(&["www.example.org"]);
    let script = Script::new([Act::Serve(Arc::new(server_config(
        std::slice::from_ref(&pair.der),
        pair.private_key(),
    )))]);
    let expect = Expectation { chain: Some(Vec::new()), ..wanted(&pair) };
    let (verdict, _) = run(&script, &expect, Backoff::default(), 1).await;
    let Verdict::Verified { notes, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(notes, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_certificate_with_another_key_is_named() {
    let authority = Authority::new("test");
    let pair = authority.leaf(&["www.example.org"]);
    let other = authority.leaf(&["www.example.org"]);
    for versions in [&[&rustls::version::TLS12], &[&rustls::version::TLS13]] {
        let config = server_config_of(&pair.chain(), other.private_key(), versions);
        let script = Script::new([Act::Serve(Arc::new(config))]);
        let refusal = handshake(&probe(), &script).await.unwrap_err();
        assert_eq!(refusal, Refusal::BadSignature { leaf: pair.fingerprint() });
    }
}

#[tokio::test(start_paused = true)]
async fn a_stapled_answer_is_seen() {
    let authority = Authority::new("test");
    let pair = authority.leaf(&["www.example.org"]);
    for staple in [None, Some(b"an OCSP response".to_vec())] {
        let mut config = server_config(&pair.chain(), pair.private_key());
        let key = rustls::crypto::ring::sign::any_supported_type(&pair.private_key()).unwrap();
        let chain = pair.chain().into_iter().map(Into::into).collect();
        let mut certified = rustls::sign::CertifiedKey::new(chain, key);
        certified.ocsp = staple.clone();
        config.cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
        let script = Script::new([Act::Serve(Arc::new(config))]);
        let served = handshake(&probe(), &script).await.unwrap();
        assert_eq!(served.ocsp_stapled, staple.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn the_name_sent_is_the_server_name_else_the_host_and_never_an_address() {
    let authority = Authority::new("test");
    let pair = authority.leaf(&["www.example.org"]);
    for (host, server_name, sent) in [
        ("www.example.org", None, Some("www.example.org")),
        ("www.example.org.", None, Some("www.example.org")),
        ("192.0.2.1", Some("mail.example.org"), Some("mail.example.org")),
        ("192.0.2.1", None, None),
        ("2001:db8::1", None, None),
        ("www.example.org", Some("192.0.2.1"), None),
    ] {
        let heard = Arc::new(Mutex::new(None));
        let mut config = server_config(&pair.chain(), pair.private_key());
        config.cert_resolver =
            Arc::new(Listening { inner: config.cert_resolver.clone(), heard: heard.clone() });
        let script = Script::new([Act::Serve(Arc::new(config))]);
        let mut probe = probe();
        probe.endpoint.host = host.to_owned();
        probe.server_name = server_name.map(str::to_owned);
        handshake(&probe, &script).await.unwrap();
        let heard = heard.lock().unwrap().clone().expect("a client hello");
        assert_eq!(heard.as_deref(), sent, "{host} {server_name:?}");
    }
    let mut bad = probe();
    bad.server_name = Some("no name\x1b[31m".to_owned());
    let script = Script::new([Act::Silence]);
    let words = handshake(&bad, &script).await.unwrap_err().words();
    assert_eq!(words, "'no name[31m' cannot be sent as a server name");
    assert_eq!(script.times(), Vec::<u64>::new());
}

/// Notes the SNI of each client hello.
#[derive(Debug)]
struct Listening {
    inner: Arc<dyn rustls::server::ResolvesServerCert>,
    heard: Arc<Mutex<Option<Option<String>>>>,
}

impl rustls::server::ResolvesServerCert for Listening {
    fn resolve(
        &self,
        hello: rustls::server::ClientHello<'_>,
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        *self.heard.lock().unwrap() = Some(hello.server_name().map(str::to_owned));
        self.inner.resolve(hello)
    }
}

#[tokio::test(start_paused = true)]
async fn every_try_is_a_fresh_session() {
    let authority = Authority::new("test");
    let pair = authority.leaf(&["www.example.org"]);
    // The server hands out tickets and would resume; a resumed session shows no certificate.
    let script = Script::new([serve(&pair)]);
    for _ in 0..3 {
        assert_eq!(handshake(&probe(), &script).await.unwrap().chain, pair.chain());
    }
}
