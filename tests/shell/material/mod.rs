//! Material made by the real openssl, and its verdicts beside ours.

mod pki;

use certroll::testing::material::{
    Certificate, Note, PrivateKey, PublicKey, certificates_in, describe_diff, parse_certificates,
};
use certroll::testing::model::Secret;
use pki::{CA, Case, KINDS, Pki, SERVER, later, now};
use proptest::prelude::*;

fn only(pem: &[u8]) -> Certificate {
    parse_certificates(pem).expect("parses").into_iter().next().expect("one")
}

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
fn fields_are_those_of_openssl() {
    if !crate::common::have(&["openssl"]) {
        return;
    }
    let pki = Pki::new();
    for (index, (kind, arguments)) in KINDS.iter().enumerate() {
        let name = format!("f{index}");
        pki.key(&name, arguments);
        pki.issue(&name, "/C=DE/O=Exämple, Inc./CN=www.example.net", "int", SERVER);
        let certificate = only(&pki.read(&format!("{name}.pem")));
        let x509 = |what: &str| pki.text(&format!("x509 -noout -in {name}.pem {what}"));
        assert_eq!(certificate.key_type(), *kind);
        assert_eq!(format!("serial={}", certificate.serial), x509("-serial"));
        let digest = x509("-fingerprint -sha256").replace(':', "").to_lowercase();
        assert_eq!(format!("sha256 fingerprint={}", certificate.fingerprint), digest);
        let end = x509("-enddate -dateopt iso_8601").replace(' ', "T");
        assert_eq!(format!("notAfter={}", certificate.validity.not_after), end);
        assert_eq!(certificate.subject, "C=DE, O=Exämple, Inc., CN=www.example.net");
        assert_eq!(certificate.issuer, "O=Example CA, CN=Intermediate");
        assert_eq!(
            certificate.names(),
            "www.example.net, *.apps.example.net, 192.0.2.1, 2001:db8::1"
        );
        let printed = pki.text(&format!("pkey -in {name}.key -pubout"));
        assert_eq!(PublicKey::from_text(&printed).as_ref(), Some(&certificate.public_key));
    }
}

#[test]
fn every_form_of_key_is_read_and_leaves_as_openssl_reads_it() {
    if !crate::common::have(&["openssl"]) {
        return;
    }
    let pki = Pki::empty();
    for (kind, arguments) in KINDS {
        pki.key("k", arguments);
        let public = pki.text("pkey -in k.key -pubout");
        let mut forms = vec![
            ("pkcs8", "pkey -in k.key -out form.key"),
            ("aes256", "pkcs8 -topk8 -v2 aes-256-cbc -passout pass:secret -in k.key -out form.key"),
            (
                "aes128-sha1",
                "pkcs8 -topk8 -v2 aes-128-cbc -v2prf hmacWithSHA1 -passout pass:secret -in k.key -out form.key",
            ),
            (
                "scrypt",
                "pkcs8 -topk8 -scrypt -scrypt_N 1024 -passout pass:secret -in k.key -out form.key",
            ),
        ];
        if kind != "Ed25519" {
            forms.extend([
                ("traditional", "pkey -traditional -in k.key -out form.key"),
                (
                    "old aes128",
                    "pkey -traditional -aes128 -passout pass:secret -in k.key -out form.key",
                ),
                (
                    "old aes192",
                    "pkey -traditional -aes192 -passout pass:secret -in k.key -out form.key",
                ),
                (
                    "old aes256",
                    "pkey -traditional -aes256 -passout pass:secret -in k.key -out form.key",
                ),
                (
                    "old des3",
                    "pkey -traditional -des3 -passout pass:secret -in k.key -out form.key",
                ),
            ]);
        }
        for (form, command) in forms {
            pki.openssl(command);
            let file = pki.secret("form.key");
            let encrypted = command.contains("pass:");
            if encrypted {
                let error = |passphrase: Option<&str>| {
                    let passphrase = passphrase.map(|text| Secret::new(text.to_owned()));
                    PrivateKey::from_pem(&file, passphrase.as_ref())
                        .map_err(|e| e.to_string())
                        .err()
                };
                let no = "the private key is encrypted and no passphrase was given";
                assert_eq!(error(None).as_deref(), Some(no), "{kind} {form}");
                let wrong = "the passphrase is wrong for the private key";
                assert_eq!(error(Some("no")).as_deref(), Some(wrong), "{kind} {form}");
            }
            let passphrase = Secret::new("secret".to_owned());
            let key = PrivateKey::from_pem(&file, Some(&passphrase))
                .unwrap_or_else(|error| panic!("{kind} {form}: {error}"));
            assert_eq!(key.public().to_string(), kind);
            assert_eq!(key.was_encrypted(), encrypted, "{kind} {form}");
            pki.write("out.key", key.pem().expose());
            assert_eq!(pki.text("pkey -in out.key -pubout"), public, "{kind} {form}");
            if !encrypted {
                assert_eq!(*key.pem().expose(), pki.read("form.key"), "{kind} {form}");
            }
            assert_eq!(format!("{key:?}"), format!("PrivateKey({kind})"));
        }
    }
}

#[test]
fn keys_that_cannot_be_used_are_refused_with_a_reason() {
    if !crate::common::have(&["openssl", "ssh-keygen"]) {
        return;
    }
    let pki = Pki::new();
    pki.openssl("ecparam -name secp256k1 -genkey -noout -out k1.key");
    pki.openssl("genpkey -algorithm ED448 -out ed448.key");
    pki.openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key");
    pki.openssl("pkcs8 -topk8 -v2 camellia-128-cbc -passout pass:x -in leaf.key -out camellia.key");
    pki.openssl("pkey -in leaf.key -outform DER -out der.key");
    pki.openssl("pkcs12 -export -inkey leaf.key -in leaf.pem -passout pass:x -out bag.p12");
    std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ecdsa", "-N", "", "-f"])
        .arg(pki.path("openssh.key"))
        .status()
        .expect("ssh-keygen runs");
    let leaf = String::from_utf8(pki.read("leaf.key")).expect("text");
    let lines: Vec<&str> = leaf.lines().collect();
    pki.write("cut.key", lines[..2].join("\n").as_bytes());
    pki.write(
        "missing-line.key",
        [lines[0], lines[1], lines[lines.len() - 1]].join("\n").as_bytes(),
    );
    pki.write("junk.key", [lines[0], "!!!!", lines[lines.len() - 1]].join("\n").as_bytes());
    pki.write("blank.key", b" \n");
    pki.write("words.key", b"hello\n");
    pki.write("two.key", &pki.join(&["leaf.key", "rsa.key"]));
    // One bit of the RSA modulus: still DER, no longer a key.
    let mut rsa = pki.openssl("pkey -traditional -in rsa.key -outform DER");
    rsa[100] ^= 1;
    pki.write("rsa.der", &rsa);
    let body = pki.text("base64 -in rsa.der -e");
    pki.write(
        "flipped.key",
        format!("-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\n")
            .as_bytes(),
    );
    let said = |name: &str| {
        let passphrase = Secret::new("x".to_owned());
        let error = PrivateKey::from_pem(&pki.secret(name), Some(&passphrase)).expect_err(name);
        assert!(error.remedy().is_some(), "{name}");
        format!("{name}: {error}")
    };
    let names = [
        "k1.key",
        "ed448.key",
        "camellia.key",
        "der.key",
        "bag.p12",
        "openssh.key",
        "cut.key",
        "missing-line.key",
        "junk.key",
        "blank.key",
        "words.key",
        "two.key",
        "leaf.pem",
        "flipped.key",
    ];
    insta::assert_snapshot!(names.map(said).join("\n"), @r"
    k1.key: the private key is of an unsupported kind: EC curve 1.3.132.0.10
    ed448.key: the private key is of an unsupported kind: algorithm 1.3.101.113
    camellia.key: the private key is encrypted in a way that is not supported: cipher 1.2.392.200011.61.1.1.1.2
    der.key: the key file is DER (binary), not PEM
    bag.p12: the key file is a PKCS#12 container (.p12, .pfx), not PEM
    openssh.key: the private key is of an unsupported kind: OpenSSH's own format
    cut.key: PEM block 1 of the key file (line 1) is truncated: it has no END line
    missing-line.key: PEM block 1 of the key file (line 1) cannot be decoded as a private key (PKCS#8)
    junk.key: PEM block 1 of the key file (line 1) holds something that is not base64
    blank.key: the key file is empty
    words.key: the key file holds no PEM block
    two.key: the key file holds 2 private keys
    leaf.pem: the key file holds no private key, only 'CERTIFICATE'
    flipped.key: the private key is damaged: its RSA numbers do not fit together
    ");
}

#[test]
fn certificate_files_that_cannot_be_used_are_refused_with_a_reason() {
    if !crate::common::have(&["openssl"]) {
        return;
    }
    let pki = Pki::new();
    let leaf = String::from_utf8(pki.read("leaf.pem")).expect("text");
    let lines: Vec<&str> = leaf.lines().collect();
    pki.write("empty.pem", b"");
    pki.write("words.pem", b"not a certificate\n");
    pki.openssl("x509 -in leaf.pem -outform DER -out der.pem");
    pki.openssl("pkcs12 -export -nokeys -in leaf.pem -passout pass:x -out bag.pem");
    pki.openssl("crl2pkcs7 -nocrl -certfile leaf.pem -out pkcs7.pem");
    pki.write("cut.pem", lines[..lines.len() / 2].join("\n").as_bytes());
    pki.write("second-cut.pem", [leaf.as_str(), &lines[..4].join("\n")].concat().as_bytes());
    pki.write("cut-inside.pem", [lines[..4].join("\n").as_str(), "\n", &leaf].concat().as_bytes());
    pki.write("junk.pem", [lines[0], "AAAA!", lines[lines.len() - 1]].join("\n").as_bytes());
    pki.write("no-der.pem", [lines[0], "AAAA", lines[lines.len() - 1]].join("\n").as_bytes());
    pki.write("hollow.pem", [lines[0], lines[lines.len() - 1]].join("\n").as_bytes());
    pki.write("wrong-end.pem", leaf.replace("END CERTIFICATE", "END X509 CRL").as_bytes());
    pki.write("with-key.pem", &pki.join(&["leaf.pem", "leaf.key"]));
    let said = |name: &str| match parse_certificates(&pki.read(name)) {
        Ok(_) => format!("{name}: accepted"),
        Err(error) => {
            let remedy = error.remedy().expect("a remedy");
            format!("{name}: {error} ({remedy})")
        }
    };
    let names = [
        "empty.pem",
        "words.pem",
        "der.pem",
        "bag.pem",
        "pkcs7.pem",
        "leaf.csr",
        "leaf.key",
        "cut.pem",
        "second-cut.pem",
        "cut-inside.pem",
        "junk.pem",
        "no-der.pem",
        "hollow.pem",
        "wrong-end.pem",
        "with-key.pem",
        "leaf.pem",
    ];
    insta::assert_snapshot!(names.map(said).join("\n"), @r"
    empty.pem: the certificate file is empty (check that the step that writes this file has finished)
    words.pem: the certificate file holds no PEM block (a PEM file has lines such as -----BEGIN CERTIFICATE-----)
    der.pem: the certificate file is DER (binary), not PEM (convert it: openssl x509 -inform DER -in FILE -out FILE.pem)
    bag.pem: the certificate file is a PKCS#12 container (.p12, .pfx), not PEM (extract the certificates: openssl pkcs12 -in FILE -nokeys -out cert.pem)
    pkcs7.pem: the certificate file holds no certificate, only 'PKCS7' (convert it: openssl pkcs7 -print_certs -in FILE -out FILE.pem)
    leaf.csr: the certificate file holds no certificate, only 'CERTIFICATE REQUEST' (this is a signing request; the certificate is what the CA returns for it)
    leaf.key: the certificate file holds no certificate, only 'PRIVATE KEY' (are the paths of certificate and key swapped?)
    cut.pem: PEM block 1 of the certificate file (line 1) is truncated: it has no END line (the file was cut off or is still being written; copy it again)
    second-cut.pem: PEM block 2 of the certificate file (line 14) is truncated: it has no END line (the file was cut off or is still being written; copy it again)
    cut-inside.pem: PEM block 1 of the certificate file (line 1) is truncated: it has no END line (the file was cut off or is still being written; copy it again)
    junk.pem: PEM block 1 of the certificate file (line 1) holds something that is not base64 (fetch the file again from where it was issued)
    no-der.pem: PEM block 1 of the certificate file (line 1) cannot be decoded as an X.509 certificate (fetch the file again from where it was issued)
    hollow.pem: PEM block 1 of the certificate file (line 1) is empty (fetch the file again from where it was issued)
    wrong-end.pem: PEM block 1 of the certificate file (line 1) ends with the wrong label 'X509 CRL' (fetch the file again from where it was issued)
    with-key.pem: the certificate file holds a private key too (PEM block 2, line 14) (name the same file as `source.key` too, or take the key out of it)
    leaf.pem: accepted
    ");
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

/// Every chain here is given to `openssl verify` as well; the verdicts agree.
#[test]
fn chain_verdicts_agree_with_openssl_verify() {
    if !crate::common::have(&["openssl"]) {
        return;
    }
    let pki = Pki::new();
    let agree = |what: &str, leaf: &str, chain: &[&str], days: i64, expected: bool| {
        let at = later(days).unix();
        let untrusted: String = chain.iter().map(|one| format!(" -untrusted {one}.pem")).collect();
        // Level 0: key sizes and digests are a matter of notes here.
        let (openssl, _) = pki.try_openssl(&format!(
            "verify -auth_level 0 -attime {at} -CAfile root.pem{untrusted} {leaf}.pem"
        ));
        let names: Vec<String> = std::iter::once(leaf)
            .chain(chain.iter().copied())
            .map(|name| format!("{name}.pem"))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut case = Case::of(pki.join(&names), pki.secret(&format!("{leaf}.key")));
        case.now = later(days);
        let ours = case.said();
        assert_eq!((openssl, ours.is_ok()), (expected, expected), "{what}: {ours:?}");
    };
    agree("good", "leaf", &["int"], 0, true);
    agree("expired", "leaf", &["int"], 91, false);
    agree("not yet valid", "leaf", &["int"], -1, false);

    // Every kind of key signs for a P-256 leaf, with each digest that fits.
    for (index, (kind, arguments)) in KINDS.iter().enumerate() {
        let issuer = format!("i{index}");
        pki.key(&issuer, arguments);
        pki.issue(&issuer, &format!("/CN=Issuer {index}"), "root", CA);
        let digests: &[&str] =
            if *kind == "Ed25519" { &[""] } else { &["-sha1", "-sha256", "-sha384", "-sha512"] };
        for digest in digests.iter().filter(|digest| (*kind, **digest) != ("RSA 1024", "-sha384")) {
            pki.key("signed", KINDS[0].1);
            pki.issue_with("signed", "/CN=signed", &issuer, SERVER, &format!("-days 9 {digest}"));
            agree(&format!("{kind} {digest}"), "signed", &[&issuer], 0, true);
        }
        // A second CA of the same name with another key of the same kind.
        let twin = format!("t{index}");
        pki.key(&twin, arguments);
        pki.issue(&twin, &format!("/CN=Issuer {index}"), "root", CA);
        pki.key("forged", KINDS[0].1);
        pki.issue("forged", "/CN=forged", &twin, SERVER);
        agree(&format!("{kind} signed by a namesake"), "forged", &[&issuer], 0, false);
        // openssl reaches its verdict by trying the candidates; so does the check.
        agree(&format!("{kind} two of one name"), "forged", &[&issuer, &twin], 0, true);
    }
    pki.key("pss", KINDS[0].1);
    pki.issue_with(
        "pss",
        "/CN=pss",
        "i3",
        SERVER,
        "-days 9 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32",
    );
    agree("RSASSA-PSS", "pss", &["i3"], 0, true);

    pki.key("plain", KINDS[0].1);
    pki.issue("plain", "/CN=plain", "root", "basicConstraints=CA:FALSE\n");
    pki.key("below", KINDS[0].1);
    pki.issue("below", "/CN=below", "plain", SERVER);
    agree("issuer is no CA", "below", &["plain"], 0, false);

    pki.key("tight", KINDS[0].1);
    pki.issue("tight", "/CN=tight", "root", "basicConstraints=critical,CA:TRUE,pathlen:0\n");
    pki.key("sub", KINDS[0].1);
    pki.issue("sub", "/CN=sub", "tight", CA);
    pki.key("deep", KINDS[0].1);
    pki.issue("deep", "/CN=deep", "sub", SERVER);
    agree("path length exceeded", "deep", &["sub", "tight"], 0, false);
    pki.issue("deep", "/CN=deep", "tight", SERVER);
    agree("path length kept", "deep", &["tight"], 0, true);

    pki.key("short", KINDS[0].1);
    pki.issue_with("short", "/CN=short", "root", CA, "-days 2");
    pki.issue("deep", "/CN=deep", "short", SERVER);
    agree("intermediate good", "deep", &["short"], 0, true);
    agree("intermediate expired", "deep", &["short"], 3, false);

    // RFC 5280 name comparison: case and blanks do not count.
    pki.key("cased", KINDS[0].1);
    pki.issue("cased", "/O=Some CA/CN=Cased", "root", CA);
    pki.openssl(
        "req -x509 -new -key cased.key -subj /O=SOME||ca/CN=cased -days 90 -out cased2.pem",
    );
    pki.write("cased2.key", &pki.read("cased.key"));
    pki.issue("deep", "/CN=deep", "cased2", SERVER);
    agree("issuer name in other case", "deep", &["cased"], 0, true);
}

#[test]
fn public_halves_printed_by_a_host_compare_with_the_leaf() {
    if !crate::common::have(&["openssl", "ssh-keygen"]) {
        return;
    }
    let pki = Pki::empty();
    for (kind, arguments) in KINDS {
        pki.key("k", arguments);
        pki.root("k", "/CN=k");
        let wanted = only(&pki.read("k.pem")).public_key;
        let printed = pki.text("pkey -in k.key -pubout");
        assert_eq!(PublicKey::from_text(&printed), Some(wanted.clone()), "{kind}");
        if kind == "Ed25519" {
            continue; // ssh-keygen does not read Ed25519 in PKCS#8.
        }
        let output = std::process::Command::new("sh")
            .args(["-c", "cat \"$1\" | ssh-keygen -y -P '' -f /dev/stdin", "sh"])
            .arg(pki.dir().join("k.key"))
            .output()
            .expect("ssh-keygen runs");
        if !output.status.success() {
            // OpenSSH refuses RSA below its minimum.
            assert_eq!(kind, "RSA 1024", "{}", String::from_utf8_lossy(&output.stderr));
            continue;
        }
        let printed = String::from_utf8(output.stdout).expect("text");
        let public = PublicKey::from_text(&printed);
        assert_eq!(public.as_ref(), Some(&wanted), "{kind}");
        assert_eq!(public.map(|key| key.fingerprint()), Some(wanted.fingerprint()));
    }
    assert_eq!(PublicKey::from_text("ssh-dss AAAA"), None);
    assert_eq!(PublicKey::from_text("Load key \"/dev/stdin\": invalid format"), None);
}

#[test]
fn a_diff_has_the_same_rows_whatever_changed() {
    if !crate::common::have(&["openssl"]) {
        return;
    }
    let pki = Pki::new();
    let old = only(&pki.read("leaf.pem"));
    pki.key("leaf", KINDS[3].1);
    pki.issue("leaf", "/CN=www.example.net", "int", SERVER);
    let new = only(&pki.read("leaf.pem"));
    let changed = |old: Option<&Certificate>| -> Vec<&str> {
        describe_diff(old, &new).iter().filter(|row| !row.is_same()).map(|row| row.field).collect()
    };
    let mut expected = vec!["serial", "not before", "not after", "key", "sha256"];
    if old.validity == new.validity {
        expected.retain(|field| !field.starts_with("not "));
    }
    assert_eq!(changed(Some(&old)), expected);
    assert_eq!(changed(Some(&new)), [""; 0]);
    assert_eq!(changed(None).len(), 8);
}

#[test]
fn damaged_bytes_never_panic() {
    if !crate::common::have(&["openssl"]) {
        return;
    }
    let pki = Pki::new();
    pki.openssl("pkey -traditional -aes128 -passout pass:x -in leaf.key -out old.key");
    pki.openssl("pkcs8 -topk8 -scrypt -scrypt_N 1024 -passout pass:x -in leaf.key -out new.key");
    let files =
        ["leaf.pem", "root.pem", "leaf.key", "old.key", "new.key"].map(|name| pki.read(name));
    let ders = ["x509 -in leaf.pem -outform DER", "pkey -in leaf.key -outform DER"]
        .map(|command| pki.openssl(command));
    let at = now();
    let passphrase = Secret::new("x".to_owned());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(2000));
    let change = (0..5_usize, any::<prop::sample::Index>(), any::<u8>());
    runner
        .run(&change, |(which, place, byte)| {
            let mut file = files[which].clone();
            let place = place.index(file.len());
            file[place] = byte;
            let case = Case { now: at, ..Case::of(file.clone(), Secret::new(file.clone())) };
            let _ = case.run();
            let _ = certificates_in(&file);
            let _ = PrivateKey::from_pem(&Secret::new(file), Some(&passphrase));
            let mut der = ders[which % 2].clone();
            let place = place % der.len();
            der[place] = byte;
            if let Some(certificate) = Certificate::from_der(&der) {
                let _ = (certificate.summary(), describe_diff(None, &certificate));
            }
            Ok(())
        })
        .expect("no panic");
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Certificate::from_der(&bytes);
        let _ = PublicKey::from_spki(&bytes);
        let _ = PublicKey::from_text(&String::from_utf8_lossy(&bytes));
        let _ = parse_certificates(&bytes);
        for label in ["CERTIFICATE", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
            use base64::Engine as _;
            let body = base64::engine::general_purpose::STANDARD.encode(&bytes);
            let pem = format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n").into_bytes();
            let _ = Case { now: certroll::testing::model::Timestamp::from_unix(0), ..Case::of(pem.clone(), Secret::new(pem)) }.run();
        }
    }
}
