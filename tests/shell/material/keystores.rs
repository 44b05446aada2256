//! PKCS#12 keystores against the real openssl and, where there is one, Java's keytool.

use super::pki::{Case, KINDS, Pki};
use certroll::testing::material::keystore::{open, password_problem, write};
use certroll::testing::material::{Bundle, MaterialError, certificates_in};
use certroll::testing::model::Secret;
use std::process::Command;

fn password(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn refused(pki: &Pki, name: &str, given: Option<&str>) -> String {
    let given = given.map(password);
    match open(&Secret::new(pki.read(name)), given.as_ref()) {
        Ok(_) => "opened".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn bundle(pki: &Pki, key: &str) -> Bundle {
    Case::of(pki.join(&["leaf.pem", "int.pem"]), pki.secret(key)).run().expect("good")
}

#[test]
fn what_openssl_writes_is_read_whatever_it_is_sealed_with() {
    if !crate::common::have(&["openssl"]) {
        return;
    }
    let pki = Pki::new();
    let export =
        "pkcs12 -export -inkey leaf.key -in leaf.pem -certfile int.pem -passout pass:sésame -out";
    for (name, how) in [
        ("modern.p12", ""),
        ("sha512.p12", "-macalg SHA512"),
        ("des.p12", "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg SHA1"),
        ("plain-certificates.p12", "-certpbe NONE"),
        ("plain-key.p12", "-keypbe NONE"),
        ("no-digest.p12", "-nomac"),
        ("of-java-7.p12", "-legacy"),
    ] {
        let (made, _) = pki.try_openssl(&format!("{export} {name} {how}"));
        // OpenSSL's old ciphers are a module of their own, which not every system has.
        if !made && how == "-legacy" {
            continue;
        }
        assert!(made, "{name}");
        let right = password("sésame");
        let opened = open(&Secret::new(pki.read(name)), Some(&right));
        let opened = opened.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(certificates_in(&opened.certificates).len(), 2, "{name}");
        let key = opened.key.expect("a key");
        let mut case = Case::of(opened.certificates, key);
        case.names = &["www.example.net"];
        let found = case.run().expect("a good bundle");
        let given = bundle(&pki, "leaf.key");
        assert_eq!((found.leaf, found.chain), (given.leaf, given.chain), "{name}");
    }
    assert_eq!(
        refused(&pki, "modern.p12", Some("nope")),
        "the password is wrong for the PKCS#12 keystore"
    );
    assert_eq!(
        refused(&pki, "no-digest.p12", Some("nope")),
        "the password is wrong for the PKCS#12 keystore"
    );
    assert_eq!(
        refused(&pki, "modern.p12", None),
        "the PKCS#12 keystore has a password, and none was given"
    );
    assert_eq!(refused(&pki, "leaf.pem", None), "it cannot be decoded as a PKCS#12 keystore");
    pki.openssl("pkcs12 -export -inkey leaf.key -nocerts -passout pass: -out key-alone.p12");
    assert_eq!(refused(&pki, "key-alone.p12", None), "the PKCS#12 keystore holds no certificate");
    pki.openssl("base64 -in modern.p12 -out modern.txt");
    assert_eq!(refused(&pki, "modern.txt", Some("sésame")), "opened");
    let whole = pki.read("modern.p12");
    for cut in (1..whole.len()).step_by(97) {
        pki.write("cut.p12", &whole[..cut]);
        assert_ne!(refused(&pki, "cut.p12", Some("sésame")), "opened", "{cut}");
    }
}

#[test]
fn what_is_written_is_read_by_openssl_and_by_java_and_is_the_same_each_time() {
    if !crate::common::have(&["openssl"]) {
        return;
    }
    let pki = Pki::new();
    pki.openssl("ec -in leaf.key -out sec1.key");
    let given = bundle(&pki, "leaf.key");
    let store = write(&given, "changeit", "tomcat").expect("a keystore");
    assert_eq!(write(&given, "changeit", "tomcat").expect("again").expose(), store.expose());
    assert_ne!(write(&given, "changeit!", "tomcat").expect("other").expose(), store.expose());
    assert_ne!(write(&given, "changeit", "web").expect("other").expose(), store.expose());
    // The same key as SEC 1 is the same keystore to whoever opens it.
    for (name, made) in [("a", &given), ("b", &bundle(&pki, "sec1.key"))] {
        let store = write(made, "changeit", "tomcat").expect("a keystore");
        pki.write(&format!("{name}.p12"), store.expose());
        let key =
            pki.openssl(&format!("pkcs12 -in {name}.p12 -passin pass:changeit -nocerts -nodes"));
        pki.write(&format!("{name}.key"), &key);
        assert_eq!(
            pki.openssl(&format!("pkey -in {name}.key")),
            pki.openssl("pkey -in leaf.key"),
            "{name}"
        );
        let certificates =
            pki.openssl(&format!("pkcs12 -in {name}.p12 -passin pass:changeit -nokeys"));
        assert_eq!(certificates_in(&certificates), [given.leaf.clone(), given.chain[0].clone()]);
    }
    let opened = open(&store, Some(&password("changeit"))).expect("our own");
    assert_eq!(certificates_in(&opened.certificates).len(), 2);
    assert!(matches!(open(&store, None), Err(MaterialError::KeystoreLocked)));
    if crate::common::have(&["keytool"]) {
        let listed = Command::new("keytool")
            .args(["-list", "-v", "-storetype", "PKCS12", "-storepass", "changeit", "-keystore"])
            .arg(pki.path("a.p12"))
            .output()
            .expect("keytool runs");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(listed.contains("Alias name: tomcat"), "{listed}");
        assert!(listed.contains("Entry type: PrivateKeyEntry"), "{listed}");
        assert!(listed.contains("Certificate chain length: 2"), "{listed}");
    }
}

#[test]
fn every_kind_of_key_goes_in_and_comes_out() {
    if !crate::common::have(&["openssl"]) {
        return;
    }
    for (kind, arguments) in KINDS {
        let pki = Pki::new();
        pki.key("other", arguments);
        pki.issue("other", "/CN=www.example.net", "int", super::pki::SERVER);
        if kind.starts_with("RSA") {
            pki.openssl("rsa -in other.key -traditional -out pkcs1.key");
            pki.openssl("pkey -in pkcs1.key -out other.key -traditional");
        }
        let given = Case::of(pki.join(&["other.pem", "int.pem"]), pki.secret("other.key"));
        let given = given.run().expect("good");
        let store = write(&given, "changeit", "tls").expect("a keystore");
        pki.write("other.p12", store.expose());
        let key = pki.openssl("pkcs12 -in other.p12 -passin pass:changeit -nocerts -nodes");
        pki.write("out.key", &key);
        assert_eq!(pki.openssl("pkey -in out.key"), pki.openssl("pkey -in other.key"), "{kind}");
    }
}

#[test]
fn a_password_that_would_open_nothing_is_told() {
    assert_eq!(password_problem("changeit", "tls"), None);
    assert!(password_problem("", "tls").is_some());
    assert!(password_problem("sésame", "tls").is_some());
    assert!(password_problem("changeit", "").is_some());
}
