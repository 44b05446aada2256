//! ECDSA keys whose number begins with zeros, which OpenSSH's own format leaves out.

use super::{connector, secret, whoami};
use crate::common::sshd::{Sshd, run};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use certroll::testing::transport::Target;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// An EC key of SEC 1, with so many zeros and a number behind them. It names its curve and leaves its public half to be found.
fn sec1(size: u8, curve: &[u8], zeros: u8) -> String {
    let number = [vec![0; zeros.into()], vec![0x55; (size - zeros).into()]].concat();
    let oid = [&[6, curve.len().try_into().unwrap()], curve].concat();
    let version = &[2, 1, 1][..];
    let (octets, named) = (&[4, size], &[0xa0, oid.len().try_into().unwrap()]);
    let fields = [version, octets, &number, named, &oid].concat();
    let der = [&[0x30, fields.len().try_into().unwrap()], &fields[..]].concat();
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----\n", lines.join("\n"))
}

/// Has ssh-keygen write the key anew.
fn rewrite(key: &Path, old: &str, new: &str, more: &[&str]) {
    let passphrases = ["-q", "-p", "-P", old, "-N", new];
    run(Command::new("ssh-keygen").args(passphrases).args(more).arg("-f").arg(key));
}

async fn assert_in(target: &Target, what: &str) {
    let session = connector().connect(target).await;
    let session = session.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(whoami(&session).await, target.user, "{what}");
}

#[tokio::test]
async fn a_number_that_begins_with_zeros_is_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    for (name, size, curve) in [
        ("p256", 32, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7][..]),
        ("p384", 48, &[0x2b, 0x81, 4, 0, 0x22]),
        ("p521", 66, &[0x2b, 0x81, 4, 0, 0x23]),
    ] {
        for zeros in [1, 2] {
            let what = format!("{name} with {zeros} zeros");
            let key = sshd.dir.join(format!("{name}_{zeros}"));
            fs::write(&key, sec1(size, curve, zeros)).unwrap();
            fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
            let public = run(Command::new("ssh-keygen").arg("-y").arg("-f").arg(&key));
            fs::write(key.with_extension("pub"), public).unwrap();
            sshd.authorize(&key);
            let target = Target { identities: vec![key.clone()], ..sshd.target("alice") };
            assert_in(&target, &format!("{what}, SEC 1")).await;

            rewrite(&key, "", "", &[]);
            let text = fs::read_to_string(&key).unwrap();
            let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
            let length = size - zeros;
            let short = [&[0, 0, 0, length][..], &vec![0x55; length.into()]].concat();
            let bytes = STANDARD.decode(body).unwrap();
            let found = bytes.windows(short.len()).any(|window| window == short);
            assert!(found, "{what}: OpenSSH does not leave them out");
            assert_in(&target, &what).await;

            let locked = Target { passphrase: secret("open sesame"), ..target.clone() };
            let mut old = "";
            for cipher in ["aes256-ctr", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"]
            {
                rewrite(&key, old, "open sesame", &["-Z", cipher]);
                old = "open sesame";
                assert_in(&locked, &format!("{what}, {cipher}")).await;
            }
        }
    }
}
