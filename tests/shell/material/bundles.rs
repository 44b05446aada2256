//! Leaf, chain and key together: their order, what is wrong with them and what is unwise.

use super::pki::{Case, KINDS, Pki, later};
use certroll::testing::material::{Note, certificates_in};
use certroll::testing::model::Secret;

#[test]
fn a_good_bundle_goes_out_in_canonical_form() {
    if !crate::common::have(&["openssl"]) {
        return;
    }
    let pki = Pki::new();
    let mut cert = b"Bag Attributes: made by someone\r\n".to_vec();
    cert.extend(
        String::from_utf8(pki.join(&["leaf.pem", "int.pem"]))
            .expect("text")
            .replace('\n', "\r\n")
            .into_bytes(),
    );
    let mut case = Case::of(cert, pki.secret("leaf.key"));
    case.names = &["www.example.net", "x.apps.example.net", "192.0.2.1", "2001:db8::1"];
    let bundle = case.run().expect("good");
    assert_eq!(bundle.notes, []);
    assert_eq!(bundle.leaf_pem(), pki.read("leaf.pem"));
    assert_eq!(bundle.chain_pem(), pki.read("int.pem"));
    assert_eq!(bundle.fullchain_pem(), pki.join(&["leaf.pem", "int.pem"]));
    assert_eq!(bundle.key_pem().map(|key| key.expose().clone()), Some(pki.read("leaf.key")));
    let combined = |first| bundle.combined(first).map(|pem| pem.expose().clone());
    assert_eq!(combined(true), Some(pki.join(&["leaf.key", "leaf.pem", "int.pem"])));
    assert_eq!(combined(false), Some(pki.join(&["leaf.pem", "int.pem", "leaf.key"])));
    let host_file = combined(false).expect("has a key");
    assert_eq!(certificates_in(&host_file), [bundle.leaf.clone(), bundle.chain[0].clone()]);
    assert!(!format!("{bundle:?}").contains("BEGIN"), "Debug shows no PEM");
}

#[test]
fn order_and_duplicates_are_put_right_and_said() {
    if !crate::common::have(&["openssl"]) {
        return;
    }
    let pki = Pki::new();
    let run = |names: &[&str], chain: Option<&[&str]>| {
        let mut case = Case::of(pki.join(names), pki.secret("leaf.key"));
        case.chain = chain.map(|names| pki.join(names));
        let bundle = case.run().expect("good");
        let order: Vec<String> = std::iter::once(&bundle.leaf)
            .chain(&bundle.chain)
            .map(|one| one.subject.clone())
            .collect();
        (order.join(" < "), bundle.notes)
    };
    let (leaf, int, root) = ("CN=www.example.net", "O=Example CA, CN=Intermediate", "CN=Root");
    let two = format!("{leaf} < {int}");
    let three = format!("{two} < {root}");
    let root_note = || Note::RootInChain { subject: root.into() };
    let twice = |subject: &str| Note::DuplicateDropped { subject: subject.into() };
    assert_eq!(run(&["leaf.pem", "int.pem"], None), (two.clone(), vec![]));
    assert_eq!(run(&["leaf.pem"], Some(&["int.pem"])), (two.clone(), vec![]));
    assert_eq!(run(&["int.pem", "leaf.pem"], None), (two.clone(), vec![Note::Reordered]));
    assert_eq!(
        run(&["root.pem", "int.pem", "leaf.pem"], None),
        (three.clone(), vec![Note::Reordered, root_note()])
    );
    assert_eq!(
        run(&["leaf.pem", "int.pem"], Some(&["int.pem", "root.pem"])),
        (three, vec![twice(int), root_note()])
    );
    assert_eq!(run(&["leaf.pem", "leaf.pem", "int.pem"], None), (two, vec![twice(leaf)]));
    assert_eq!(
        run(&["leaf.pem"], None),
        (leaf.into(), vec![Note::NoIntermediates { issuer: int.into() }])
    );
}

#[test]
fn a_combined_file_may_be_the_source_of_both() {
    if !crate::common::have(&["openssl"]) {
        return;
    }
    let pki = Pki::new();
    let file = pki.join(&["leaf.key", "leaf.pem", "int.pem"]);
    let case = Case::of(file.clone(), Secret::new(file.clone()));
    assert_eq!(case.run().map(|bundle| bundle.notes), Ok(vec![Note::KeyAmongCertificates]));
    let case = Case { key: None, ..Case::of(file, pki.secret("leaf.key")) };
    assert_eq!(
        case.said(),
        Err(vec!["the certificate file holds a private key too (PEM block 1, line 1)".into()])
    );
}

#[test]
fn all_problems_are_told_at_once() {
    if !crate::common::have(&["openssl"]) {
        return;
    }
    let pki = Pki::new();
    pki.key("other", KINDS[3].1);
    pki.key("stranger", KINDS[0].1);
    pki.root("stranger", "/CN=Stranger");
    let mut case = Case::of(pki.join(&["leaf.pem", "stranger.pem"]), pki.secret("other.key"));
    case.names = &["www.example.net", "example.net", "192.0.2.9"];
    case.now = later(91);
    let said = case.said().expect_err("bad").join("\n");
    insta::assert_snapshot!(
        regex_free(&said),
        @r"
        the private key (RSA 2048) does not belong to the certificate of CN=www.example.net (EC P-256)
        none of the chain's certificates issued CN=www.example.net (its issuer is O=Example CA, CN=Intermediate)
        CN=www.example.net expired on DATE
        the certificate does not cover 'example.net'; it covers www.example.net, *.apps.example.net, 192.0.2.1, 2001:db8::1
        the certificate does not cover '192.0.2.9'; it covers www.example.net, *.apps.example.net, 192.0.2.1, 2001:db8::1
        "
    );
    case.now = later(-2);
    case.names = &[];
    insta::assert_snapshot!(regex_free(&case.said().expect_err("bad").join("\n")), @r"
    the private key (RSA 2048) does not belong to the certificate of CN=www.example.net (EC P-256)
    none of the chain's certificates issued CN=www.example.net (its issuer is O=Example CA, CN=Intermediate)
    CN=www.example.net is not valid before DATE
    ");
}

/// Dates differ from run to run.
fn regex_free(text: &str) -> String {
    let dated = fancy_regex::Regex::new(r"\d{4}-\d\d-\d\dT[\d:]+Z").expect("a pattern");
    dated.replace_all(text, "DATE").into_owned()
}

#[test]
fn what_is_legal_but_unwise_is_noted() {
    if !crate::common::have(&["openssl"]) {
        return;
    }
    let pki = Pki::new();
    pki.key("weak", KINDS[5].1);
    pki.issue_with(
        "weak",
        "/CN=weak",
        "int",
        "subjectAltName=DNS:weak\nextendedKeyUsage=clientAuth\n",
        "-days 10 -sha1",
    );
    let case = Case::of(pki.join(&["weak.pem", "int.pem"]), pki.secret("weak.key"));
    insta::assert_snapshot!(regex_free(&case.said().expect("warnings only").join("\n")), @r"
    CN=weak is not meant for servers (no serverAuth in its key usage)
    CN=weak has a weak key (RSA 1024); current OpenSSL refuses it
    CN=weak is signed with SHA-1; current clients refuse it
    CN=weak expires on DATE, in 9 days
    ");
    // As `openssl req -x509` makes it: marked as a CA.
    let case = Case::of(pki.read("root.pem"), pki.secret("root.key"));
    insta::assert_snapshot!(case.said().expect("warnings only").join("\n"), @"CN=Root is self-signed and marked as a CA; some clients refuse it as a server's");
    // The same without the key to show that it is meant.
    let case = Case { key: None, ..Case::of(pki.read("root.pem"), pki.secret("root.key")) };
    insta::assert_snapshot!(case.said().expect_err("a CA").join("\n"), @"CN=Root is a CA certificate, not a server's");
    let case = Case::of(pki.join(&["int.pem", "root.pem"]), pki.secret("int.key"));
    insta::assert_snapshot!(case.said().expect_err("a CA").join("\n"), @"O=Example CA, CN=Intermediate is a CA certificate, not a server's");
}
