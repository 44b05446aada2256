//! Certificates: their fields, files that cannot be used, and chains, as openssl sees them.

use super::only;
use super::pki::{CA, Case, KINDS, Pki, SERVER, later};
use certroll::testing::material::{Certificate, PublicKey, describe_diff, parse_certificates};

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
        assert_eq!(certificate.subject_hash, x509("-subject_hash"));
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
    bag.pem: the certificate file is a PKCS#12 container (.p12, .pfx), not PEM (name it in `source.pkcs12` instead of `source.cert`)
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
