//! What is said of that which is served.

use crate::common::pki::{Authority, server_config, server_config_of};
use crate::verify::script::{Act, Script, backoff, probe, run, serve, wanted};
use certroll::testing::material::{Certificate, PrivateKey};
use certroll::testing::model::{Backoff, Fingerprint, Secret};
use certroll::testing::verify::{
    Expectation, Probe, Refusal, Roots, Seen, SignatureChoice, Verdict, ask, handshake,
};
use std::sync::{Arc, Mutex};

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
    assert_eq!(notes, ["the served certificate expired on 2020-01-01"]);
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

/// FIPS 204: the pair is read, found to belong together, and seen served.
#[tokio::test(start_paused = true)]
async fn post_quantum_certificates_are_verified() {
    let authority = Authority::new("test");
    for (set, algorithm) in
        [(44, &rcgen::PKCS_ML_DSA_44), (65, &rcgen::PKCS_ML_DSA_65), (87, &rcgen::PKCS_ML_DSA_87)]
    {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let pair = authority.leaf_with(&["www.example.org"], &key, |_| {});
        let read = PrivateKey::from_pem(&Secret::new(pair.key_pem.clone().into_bytes()), None);
        let read = read.unwrap();
        let leaf = Certificate::from_der(&pair.der).unwrap();
        assert_eq!(
            (read.public(), read.public().to_string()),
            (&leaf.public_key, format!("ML-DSA-{set}"))
        );
        let choice = SignatureChoice::of(&leaf.public_key);
        assert_eq!(choice, SignatureChoice::MlDsa);
        let script = Script::new([serve(&pair)]);
        let served = ask(&Probe { signature: choice, ..probe() }, &script).await.unwrap();
        assert_eq!((served.leaf, served.protocol.as_str()), (pair.fingerprint(), "TLSv1.3"));
        let other = authority.leaf_with(
            &["www.example.org"],
            &rcgen::KeyPair::generate_for(algorithm).unwrap(),
            |_| {},
        );
        let mixed = server_config(&pair.chain(), other.private_key());
        let refusal = handshake(&probe(), &Script::new([Act::Serve(Arc::new(mixed))])).await;
        assert_eq!(refusal.unwrap_err(), Refusal::BadSignature { leaf: pair.fingerprint() });
    }
}

#[tokio::test(start_paused = true)]
async fn a_stapled_answer_is_seen() {
    let authority = Authority::new("test");
    let pair = authority.leaf(&["www.example.org"]);
    for staple in [None, Some(b"an OCSP response".to_vec())] {
        let mut config = server_config(&pair.chain(), pair.private_key());
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&pair.private_key()).unwrap();
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
    let words = handshake(&bad, &script).await.unwrap_err().describe();
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
