//! The verifier and `openssl s_client` look at the same servers, case by case, and must agree.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use crate::common::daemon::{Daemon, free_port};
use crate::common::oracle::{Opinion, s_client};
use crate::common::pki::{Authority, Pair, openssl_key};
use certroll::testing::clock;
use certroll::testing::model::{Backoff, Endpoint};
use certroll::testing::verify::{
    Expectation, Patience, Probe, Refusal, Roots, Seen, SignatureChoice, Tcp, Verdict, ask,
    handshake, verify,
};
use rcgen::{ExtendedKeyUsagePurpose, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A directory, an authority in it, and the servers that run on them.
struct Bench {
    directory: TempDir,
    authority: Authority,
    roots: PathBuf,
}

impl Bench {
    fn new() -> Option<Self> {
        if !crate::common::have(&["openssl", "timeout"]) {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new("test");
        let roots = directory.path().join("roots.pem");
        std::fs::write(&roots, &authority.root_pem).unwrap();
        Some(Self { directory, authority, roots })
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Starts `openssl s_server` with the leaf and, behind it, `chain` as it stands.
    fn serve(&self, name: &str, pair: &Pair, chain: &[&str], more: &[&str]) -> (Daemon, Endpoint) {
        let files = pair.write(self.path(), name);
        let behind = self.path().join(format!("{name}-behind.pem"));
        std::fs::write(&behind, chain.concat()).unwrap();
        let port = free_port();
        let mut command = Command::new("openssl");
        command.args(["s_server", "-www", "-accept", &format!("127.0.0.1:{port}")]);
        command.arg("-cert").arg(&files.leaf).arg("-key").arg(&files.key);
        if !chain.is_empty() {
            command.arg("-cert_chain").arg(&behind);
        }
        command.args(["-no-CAfile", "-no-CApath", "-no-CAstore"]).args(more);
        let mut daemon = Daemon::start(name, command, self.path());
        daemon.wait_for(port);
        (daemon, format!("127.0.0.1:{port}").parse().unwrap())
    }

    /// A certificate that rcgen cannot make: `sign` is how openssl signs it with its own key.
    fn odd(&self, curve: &str, sign: &[&str]) -> Pair {
        let path = |name: &str| self.path().join(name);
        let (key, request, certificate) = (path("odd.key"), path("odd.csr"), path("odd.pem"));
        let run = |arguments: &[&str], files: &[(&str, &Path)]| {
            let mut command = Command::new("openssl");
            command.args(arguments);
            for (flag, file) in files {
                command.arg(flag).arg(file);
            }
            let ended = command.output().unwrap();
            assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        };
        let curve = format!("ec_paramgen_curve:{curve}");
        run(&["genpkey", "-algorithm", "EC", "-pkeyopt", &curve], &[("-out", &key)]);
        run(&["req", "-new", "-subj", "/CN=odd"], &[("-key", &key), ("-out", &request)]);
        run(sign, &[("-in", &request), ("-signkey", &key), ("-out", &certificate)]);
        let pem = std::fs::read_to_string(&certificate).unwrap();
        Pair {
            der: CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec(),
            pem,
            key_pem: std::fs::read_to_string(&key).unwrap(),
            intermediate_der: Vec::new(),
            intermediate_pem: String::new(),
        }
    }
}

/// One look, with names and trust.
async fn judged(probe: &Probe, pair: &Pair, name: &str, roots: &Path) -> Verdict {
    let expect = Expectation {
        trust: Some(Roots::from_pem(&std::fs::read(roots).unwrap()).unwrap()),
        names: vec![name.to_owned()],
        ..Expectation::leaf(pair.fingerprint(), clock::now())
    };
    let once = Backoff { attempts: 1, first: Duration::ZERO, max: Duration::ZERO };
    let cancel = CancellationToken::new();
    verify(probe, &expect, Patience::new(once, 1), &cancel, &Tcp, &mut |_| {}).await
}

fn probe(endpoint: &Endpoint, name: &str) -> Probe {
    Probe { server_name: Some(name.to_owned()), ..Probe::new(endpoint.clone()) }
}

/// What both saw, reduced to what both must say: the chain in order, the protocol, trusted or not.
fn ours(verdict: &Verdict) -> (Vec<Vec<u8>>, String, bool) {
    match verdict {
        Verdict::Verified { served, .. } => (served.chain.clone(), served.protocol.clone(), true),
        Verdict::Wrong { seen: Seen::Unfit(served), .. } => {
            (served.chain.clone(), served.protocol.clone(), false)
        }
        other => panic!("{other:?}"),
    }
}

fn theirs(opinion: &Opinion) -> (Vec<Vec<u8>>, String, bool) {
    let protocol = opinion.protocol.clone().unwrap_or_else(|| panic!("{}", opinion.text));
    (opinion.chain.clone(), protocol, opinion.verify_code == Some(0))
}

#[tokio::test]
async fn verdicts_agree_on_chains_names_dates_and_trust() {
    let Some(bench) = Bench::new() else { return };
    let authority = &bench.authority;
    let twin = Authority::new("test");
    let stranger = Authority::new("stranger");
    let www = "www.example.org";
    let good = authority.leaf(&[www, "*.example.net", "192.0.2.7"]);
    let (inter, root) = (authority.intermediate_pem.as_str(), authority.root_pem.as_str());
    let now_key = KeyPair::generate().unwrap();
    let future = authority.leaf_with(&[www], &now_key, |params| {
        params.not_before = rcgen::date_time_ymd(2090, 1, 1);
        params.not_after = rcgen::date_time_ymd(2091, 1, 1);
    });
    let client_only = authority.leaf_with(&[www], &now_key, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let ed25519 = authority.leaf_with(&[www], &openssl_key(&["ED25519"]), |_| {});
    let p384 = authority.leaf_with(
        &[www],
        &KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(),
        |_| {},
    );
    // name, leaf, behind it, asked for, trusted, a note that must be there
    let misordered = "the served chain is not in order: some clients will refuse";
    let needless = "the server sends the root 'test root', which no client needs";
    type Case<'a> = (&'a str, &'a Pair, Vec<&'a str>, &'a str, bool, Vec<&'a str>);
    let expired = authority.expired(&[www]);
    let rsa = authority.rsa(&[www]);
    let unknown = stranger.leaf(&[www]);
    let cases: Vec<Case<'_>> = vec![
        ("good", &good, vec![inter], www, true, vec![]),
        ("wildcard", &good, vec![inter], "a.example.net", true, vec![]),
        ("address", &good, vec![inter], "192.0.2.7", true, vec![]),
        ("rsa", &rsa, vec![inter], www, true, vec![]),
        ("ed25519", &ed25519, vec![inter], www, true, vec![]),
        ("p384", &p384, vec![inter], www, true, vec![]),
        ("with root", &good, vec![inter, root], www, true, vec![needless]),
        ("misordered", &good, vec![root, inter], www, true, vec![misordered, needless]),
        ("no intermediate", &good, vec![], www, false, vec![]),
        ("wrong key", &good, vec![&twin.intermediate_pem], www, false, vec![]),
        ("unknown root", &unknown, vec![&stranger.intermediate_pem], www, false, vec![]),
        ("other name", &good, vec![inter], "mail.example.org", false, vec![]),
        ("other address", &good, vec![inter], "192.0.2.8", false, vec![]),
        ("two labels", &good, vec![inter], "a.b.example.net", false, vec![]),
        ("expired", &expired, vec![inter], www, false, vec![]),
        ("future", &future, vec![inter], www, false, vec![]),
        ("for clients", &client_only, vec![inter], www, false, vec![]),
    ];
    for (case, pair, behind, name, trusted, notes) in cases {
        for versions in ["-tls1_2", "-tls1_3"] {
            let (_server, endpoint) =
                bench.serve(&case.replace(' ', "-"), pair, &behind, &[versions]);
            let verdict = judged(&probe(&endpoint, name), pair, name, &bench.roots).await;
            let opinion = s_client(&endpoint, name, Some(&bench.roots), &[]);
            assert_eq!(ours(&verdict), theirs(&opinion), "{case} {verdict:?}\n{}", opinion.text);
            assert_eq!(ours(&verdict).2, trusted, "{case} {verdict:?}");
            if let Verdict::Verified { notes: noted, .. } = &verdict {
                assert_eq!(*noted, notes, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_when_it_is_its_own_root() {
    let Some(bench) = Bench::new() else { return };
    let key = KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["www.example.org".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "self");
    let certificate = params.self_signed(&key).unwrap();
    let pair = Pair {
        der: certificate.der().to_vec(),
        pem: certificate.pem(),
        key_pem: key.serialize_pem(),
        intermediate_der: Vec::new(),
        intermediate_pem: String::new(),
    };
    let own = bench.path().join("self.pem");
    std::fs::write(&own, &pair.pem).unwrap();
    let (_server, endpoint) = bench.serve("self", &pair, &[], &[]);
    for (roots, trusted) in [(&own, true), (&bench.roots, false)] {
        let name = "www.example.org";
        let verdict = judged(&probe(&endpoint, name), &pair, name, roots).await;
        let opinion = s_client(&endpoint, name, Some(roots), &[]);
        assert_eq!(ours(&verdict), theirs(&opinion), "{}", opinion.text);
        assert_eq!(ours(&verdict).2, trusted);
    }
}

#[tokio::test]
async fn a_server_with_two_keys_shows_the_one_that_is_asked_for() {
    let Some(bench) = Bench::new() else { return };
    let name = "www.example.org";
    let authority = &bench.authority;
    let p256 = authority.leaf(&[name]);
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let p384 = authority.leaf_with(&[name], &p384, |_| {});
    let p521 = bench.odd("P-521", &["x509", "-req", "-sha512"]);
    let ed25519 = authority.leaf_with(&[name], &openssl_key(&["ED25519"]), |_| {});
    let rsa = authority.rsa(&[name]);
    // The kind of the first pair and of the second, as both are asked for by openssl.
    let rsa_list = "RSA-PSS+SHA256:RSA+SHA256";
    let ecdsa_list = "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512";
    type Kind<'a> = (&'a Pair, SignatureChoice, &'a str);
    let kind = |pair, choice, list| -> Kind<'_> { (pair, choice, list) };
    let (rsa, p256) = (
        kind(&rsa, SignatureChoice::Rsa, rsa_list),
        kind(&p256, SignatureChoice::Ecdsa, ecdsa_list),
    );
    let p384 = kind(&p384, SignatureChoice::Ecdsa, ecdsa_list);
    let p521 = kind(&p521, SignatureChoice::Ecdsa, ecdsa_list);
    let ed25519 = kind(&ed25519, SignatureChoice::Ed25519, "ed25519");
    for (first, second) in
        [(p256, rsa), (rsa, p256), (p384, rsa), (p521, rsa), (ed25519, rsa), (p256, ed25519)]
    {
        let files = second.0.write(bench.path(), "second");
        let pair = ["-dcert", files.leaf.to_str().unwrap(), "-dkey", files.key.to_str().unwrap()];
        for version in ["-tls1_2", "-tls1_3"] {
            let more = [&pair[..], &[version]].concat();
            let (_server, endpoint) = bench.serve("dual", first.0, &[], &more);
            for (expected, choice, list) in [first, second] {
                let case = format!("{choice:?} of {:?} and {:?} {version}", first.1, second.1);
                let probe = Probe { signature: choice, ..probe(&endpoint, name) };
                let served = ask(&probe, &Tcp).await.unwrap();
                assert_eq!((served.leaf, served.lacks), (expected.fingerprint(), None), "{case}");
                let opinion = s_client(&endpoint, name, None, &["-sigalgs", list]);
                assert_eq!(opinion.leaf(), Some(served.leaf), "{case} {}", opinion.text);
            }
            // Without a wish it shows either.
            if first.0.der != p521.0.der {
                let served = handshake(&probe(&endpoint, name), &Tcp).await.unwrap();
                assert!([first.0, second.0].iter().any(|pair| pair.fingerprint() == served.leaf));
            }
        }
    }
    let (ecdsa, rsa) = (p256.0, rsa.0);
    // Asked for a key that the server does not have.
    for version in ["-tls1_2", "-tls1_3"] {
        for (there, choice, list) in [
            (ecdsa, SignatureChoice::Rsa, "RSA-PSS+SHA256"),
            (rsa, SignatureChoice::Ecdsa, ecdsa_list),
            (ecdsa, SignatureChoice::Ed25519, "ed25519"),
        ] {
            let (_server, endpoint) = bench.serve("single", there, &[], &[version]);
            let probe = Probe { signature: choice, ..probe(&endpoint, name) };
            let refusal = handshake(&probe, &Tcp).await.unwrap_err();
            assert_eq!(refusal, Refusal::Alert { name: "handshake_failure".into() });
            let opinion = s_client(&endpoint, name, None, &["-sigalgs", list]);
            assert_eq!(opinion.protocol, None, "{}", opinion.text);
            let served = ask(&probe, &Tcp).await.unwrap();
            assert_eq!((served.leaf, served.lacks), (there.fingerprint(), Some(choice)));
        }
    }
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_is_still_seen() {
    let Some(bench) = Bench::new() else { return };
    let name = "www.example.org";
    let pair = bench.authority.leaf(&[name]);
    let inter = [bench.authority.intermediate_pem.as_str()];
    for version in ["-tls1_2", "-tls1_3"] {
        let (_server, endpoint) = bench.serve("mutual", &pair, &inter, &["-Verify", "1", version]);
        let served = handshake(&probe(&endpoint, name), &Tcp).await.unwrap();
        let opinion = s_client(&endpoint, name, None, &[]);
        assert_eq!((&served.chain, true), (&opinion.chain, served.wants_client_certificate));
        let verdict = judged(&probe(&endpoint, name), &pair, name, &bench.roots).await;
        let Verdict::Verified { notes, .. } = verdict else { panic!("{verdict:?}") };
        assert_eq!(notes, ["the server asks for a client certificate"]);
    }
}

#[tokio::test]
async fn servers_without_modern_tls_are_told_so() {
    let Some(bench) = Bench::new() else { return };
    let name = "www.example.org";
    let rsa = bench.authority.rsa(&[name]);
    let weak = "ALL:@SECLEVEL=0";
    let (_old, endpoint) = bench.serve("old", &rsa, &[], &["-tls1", "-cipher", weak]);
    let refusal = handshake(&probe(&endpoint, name), &Tcp).await.unwrap_err();
    assert!(refusal.describe().ends_with("the server speaks neither TLS 1.2 nor 1.3"), "{refusal}");
    assert_eq!(s_client(&endpoint, name, None, &["-tls1_2"]).protocol, None);
    let control = s_client(&endpoint, name, None, &["-tls1", "-cipher", weak]);
    assert_eq!(control.leaf(), Some(rsa.fingerprint()), "{}", control.text);

    // openssl gets in, and no certificate can be verified: that is told apart from a server that is broken.
    for (speaks, arguments) in [
        ("TLS 1.0", &["-tls1", "-cipher", weak][..]),
        ("TLS 1.2 with RSA key exchange", &["-tls1_2", "-cipher", "AES256-SHA"]),
        ("TLS 1.3 with the group X448", &["-tls1_3", "-groups", "X448"]),
        ("TLS 1.3 with the group ffdhe3072", &["-tls1_3", "-groups", "ffdhe3072"]),
        ("TLS 1.3 with AES-CCM", &["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"]),
    ] {
        let (_server, endpoint) = bench.serve("odd", &rsa, &[], arguments);
        let refusal = ask(&probe(&endpoint, name), &Tcp).await.unwrap_err();
        assert_eq!(refusal, Refusal::Unverifiable { speaks: speaks.into() });
        let opinion = s_client(&endpoint, name, None, arguments);
        assert_eq!(opinion.leaf(), Some(rsa.fingerprint()), "{speaks}: {}", opinion.text);
    }
    let (_broken, endpoint) = bench.serve("broken", &rsa, &[], &["-nocert"]);
    let refusal = ask(&probe(&endpoint, name), &Tcp).await.unwrap_err();
    assert_eq!(refusal, Refusal::Alert { name: "handshake_failure".into() });
}

/// Groups and suites that the TLS library lacks: openssl connects, and so the certificate must be seen.
#[tokio::test]
async fn servers_with_suites_and_groups_of_their_own_are_seen() {
    let Some(bench) = Bench::new() else { return };
    let name = "www.example.org";
    let (rsa, ecdsa) = (bench.authority.rsa(&[name]), bench.authority.leaf(&[name]));
    for (pair, older_only, arguments) in [
        (&rsa, false, &["-groups", "P-521"][..]),
        (&rsa, false, &["-tls1_2", "-groups", "P-521"]),
        (&rsa, true, &["-tls1_2", "-groups", "X448"]),
        (&rsa, true, &["-tls1_2", "-cipher", "DHE-RSA-AES256-GCM-SHA384"]),
        (&rsa, true, &["-tls1_2", "-cipher", "DHE-RSA-AES128-SHA"]),
        (&rsa, true, &["-tls1_2", "-cipher", "ECDHE-RSA-AES256-SHA384"]),
        (&ecdsa, true, &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-CCM"]),
        (&ecdsa, true, &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA"]),
    ] {
        let (_server, endpoint) = bench.serve("own", pair, &[&pair.intermediate_pem], arguments);
        let opinion = s_client(&endpoint, name, None, &["-cipher", "ALL"]);
        assert_eq!(opinion.leaf(), Some(pair.fingerprint()), "{arguments:?} {}", opinion.text);
        for signature in [SignatureChoice::Any, SignatureChoice::Rsa, SignatureChoice::Ecdsa] {
            let served = ask(&Probe { signature, ..probe(&endpoint, name) }, &Tcp).await.unwrap();
            assert_eq!((served.leaf, served.older_only), (pair.fingerprint(), older_only));
            assert_eq!(served.chain, opinion.chain, "{arguments:?}");
        }
        let verdict = judged(&probe(&endpoint, name), pair, name, &bench.roots).await;
        let Verdict::Verified { notes, .. } = verdict else { panic!("{arguments:?} {verdict:?}") };
        let noted = notes.iter().any(|note| note.ends_with("the handshake was not completed"));
        assert_eq!((noted, notes.len()), (older_only, usize::from(older_only)), "{notes:?}");
    }
}

/// Certificates that rcgen cannot make: of version 1, which no library would verify, and with a key
/// on P-521.
#[tokio::test]
async fn odd_certificates_are_seen() {
    let Some(bench) = Bench::new() else { return };
    for (case, curve, self_sign) in [
        ("version 1", "P-256", ["x509", "-req", "-sha256"]),
        ("P-521", "P-521", ["x509", "-req", "-sha512"]),
    ] {
        let pair = bench.odd(curve, &self_sign);
        for version in ["-tls1_2", "-tls1_3"] {
            let (_server, endpoint) = bench.serve("odd", &pair, &[], &[version]);
            for signature in [SignatureChoice::Any, SignatureChoice::Ecdsa] {
                let probe = Probe { signature, ..probe(&endpoint, "odd") };
                let served = handshake(&probe, &Tcp).await;
                let chain = served.map(|served| served.chain);
                let opinion = s_client(&endpoint, "odd", None, &[]);
                assert_eq!(chain, Ok(opinion.chain), "{case} {version}");
            }
        }
    }
}
