//! Certificates and keys made by the real openssl, in a directory of their own.

use certroll::testing::material::{Bundle, Input, MaterialError, check};
use certroll::testing::model::{Secret, Timestamp};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub(crate) const DAY: i64 = 86_400;

/// A kind of key and the arguments of `openssl genpkey` for it.
pub(crate) const KINDS: [(&str, &str); 7] = [
    ("EC P-256", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"),
    ("EC P-384", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384"),
    ("EC P-521", "-algorithm EC -pkeyopt ec_paramgen_curve:P-521"),
    ("RSA 2048", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"),
    ("RSA 3072", "-algorithm RSA -pkeyopt rsa_keygen_bits:3072"),
    ("RSA 1024", "-algorithm RSA -pkeyopt rsa_keygen_bits:1024"),
    ("Ed25519", "-algorithm ED25519"),
];

pub(crate) struct Pki {
    dir: tempfile::TempDir,
}

impl Pki {
    /// A root, an intermediate `int` and a leaf `leaf` for www.example.net, all P-256.
    pub(crate) fn new() -> Self {
        let pki = Self::empty();
        pki.key("root", KINDS[0].1);
        pki.key("int", KINDS[0].1);
        pki.key("leaf", KINDS[0].1);
        pki.root("root", "/CN=Root");
        pki.issue("int", "/O=Example CA/CN=Intermediate", "root", CA);
        pki.issue("leaf", "/CN=www.example.net", "int", SERVER);
        pki
    }

    pub(crate) fn empty() -> Self {
        Self { dir: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs openssl in the directory; the arguments are split at blanks, `|` stands for a blank.
    pub(crate) fn openssl(&self, arguments: &str) -> Vec<u8> {
        let (success, out) = self.try_openssl(arguments);
        assert!(success, "openssl {arguments}");
        out
    }

    pub(crate) fn try_openssl(&self, arguments: &str) -> (bool, Vec<u8>) {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace().map(|argument| argument.replace('|', " ")))
            .current_dir(self.dir.path())
            .output()
            .expect("openssl runs");
        (output.status.success(), output.stdout)
    }

    pub(crate) fn text(&self, arguments: &str) -> String {
        String::from_utf8(self.openssl(arguments)).expect("UTF-8").trim().to_owned()
    }

    pub(crate) fn key(&self, name: &str, kind: &str) {
        self.openssl(&format!("genpkey {kind} -out {name}.key"));
    }

    pub(crate) fn root(&self, name: &str, subject: &str) {
        let subject = subject.replace(' ', "|");
        self.openssl(&format!(
            "req -x509 -new -key {name}.key -subj {subject} -days 3650 -out {name}.pem"
        ));
    }

    /// Issues `name.pem` for `name.key`; extensions in openssl's configuration syntax.
    pub(crate) fn issue(&self, name: &str, subject: &str, issuer: &str, extensions: &str) {
        self.issue_with(name, subject, issuer, extensions, "-days 90");
    }

    pub(crate) fn issue_with(
        &self,
        name: &str,
        subject: &str,
        issuer: &str,
        ext: &str,
        more: &str,
    ) {
        self.write(&format!("{name}.ext"), ext.as_bytes());
        let subject = subject.replace(' ', "|");
        self.openssl(&format!("req -new -utf8 -key {name}.key -subj {subject} -out {name}.csr"));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial \
             -extfile {name}.ext {more} -out {name}.pem"
        ));
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path(name), content).expect("written");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn join(&self, names: &[&str]) -> Vec<u8> {
        names.iter().flat_map(|name| self.read(name)).collect()
    }

    pub(crate) fn secret(&self, name: &str) -> Secret<Vec<u8>> {
        Secret::new(self.read(name))
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

pub(crate) const CA: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\n";
pub(crate) const SERVER: &str = "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n\
     subjectAltName=DNS:www.example.net,DNS:*.apps.example.net,IP:192.0.2.1,IP:2001:db8::1\n";

/// The moment of the tests: shortly after the material was made.
pub(crate) fn now() -> Timestamp {
    let output = Command::new("date").arg("+%s").output().expect("date runs");
    let seconds = String::from_utf8_lossy(&output.stdout).trim().parse::<i64>().expect("seconds");
    Timestamp::from_unix(seconds + 60)
}

pub(crate) fn later(days: i64) -> Timestamp {
    Timestamp::from_unix(now().unix() + days * DAY)
}

/// A check with nothing but what is given.
pub(crate) struct Case<'a> {
    pub(crate) cert: Vec<u8>,
    pub(crate) chain: Option<Vec<u8>>,
    pub(crate) key: Option<Secret<Vec<u8>>>,
    pub(crate) passphrase: Option<&'a str>,
    pub(crate) names: &'a [&'a str],
    pub(crate) now: Timestamp,
}

impl Case<'_> {
    pub(crate) fn of(cert: Vec<u8>, key: Secret<Vec<u8>>) -> Self {
        Self { cert, chain: None, key: Some(key), passphrase: None, names: &[], now: now() }
    }

    pub(crate) fn run(&self) -> Result<Bundle, Vec<MaterialError>> {
        let passphrase = self.passphrase.map(|text| Secret::new(text.to_owned()));
        let names: Vec<String> = self.names.iter().map(|&name| name.to_owned()).collect();
        check(&Input {
            cert_pem: &self.cert,
            chain_pem: self.chain.as_deref(),
            key: self.key.as_ref(),
            passphrase: passphrase.as_ref(),
            server_names: &names,
            now: self.now,
            warn: Duration::from_secs(30 * 86_400),
        })
    }

    /// The notes, or the problems, as shown.
    pub(crate) fn said(&self) -> Result<Vec<String>, Vec<String>> {
        match self.run() {
            Ok(bundle) => Ok(bundle.notes.iter().map(ToString::to_string).collect()),
            Err(problems) => Err(problems.iter().map(ToString::to_string).collect()),
        }
    }
}
