//! Private keys in every form, and the public halves of those that stay on a host.

use super::only;
use super::pki::{KINDS, Pki};
use certroll::testing::material::{PrivateKey, PublicKey};
use certroll::testing::model::Secret;

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
