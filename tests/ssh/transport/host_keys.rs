//! Which machine is believed to be the right one. ssh-keygen makes the files, and reads ours.

use super::{connector, secret, whoami};
use crate::common::sshd::{PASSWORD, Sshd, keygen, run};
use certroll::testing::transport::{ConnectError, HostKeyChecking, Target};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A target that knows what `known` says.
fn knowing(sshd: &Sshd, known: &str) -> Target {
    let file = sshd.dir.join("known_now");
    fs::write(&file, known).unwrap();
    Target { known_hosts: vec![file], ..sshd.target_with_key("alice") }
}

async fn assert_in(target: &Target, what: &str) {
    let session = connector().connect(target).await;
    let session = session.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(whoami(&session).await, "alice", "{what}");
}

async fn refusal(target: &Target) -> ConnectError {
    match connector().connect(target).await {
        Err(error) => error,
        Ok(_) => panic!("let in"),
    }
}

fn public(path: &Path) -> String {
    fs::read_to_string(path.with_extension("pub")).unwrap()
}

#[tokio::test]
async fn known_keys() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let ed25519 = sshd.known_line("host_ed25519");
    let stranger = dir.path().join("stranger");
    keygen(&stranger, &["-t", "ed25519", "-N", ""]);
    let stranger = public(&stranger);
    let port = sshd.port;
    let key = ed25519.split_once(' ').unwrap().1;
    for (what, known) in [
        ("RSA alone is asked for", sshd.known_line("host_rsa")),
        ("ECDSA alone is asked for", sshd.known_line("host_ecdsa")),
        ("several keys, the right one last", format!("[127.0.0.1]:{port} {stranger}{ed25519}")),
        ("without the port, as OpenSSH", format!("127.0.0.1 {key}")),
        ("a pattern", format!("*.example.com,[127.0.0.*]:* {key}")),
        ("tabs and carriage returns", ed25519.trim_end().replace(' ', "\t") + "\r\n"),
    ] {
        assert_in(&knowing(&sshd, &known), what).await;
    }
    let aliased = format!("web1.example.com {key}");
    let target =
        Target { host_key_alias: Some("WEB1.example.com".into()), ..knowing(&sshd, &aliased) };
    assert_in(&target, "an alias").await;
    let hashed = knowing(&sshd, &ed25519);
    run(Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&hashed.known_hosts[0]));
    assert!(fs::read_to_string(&hashed.known_hosts[0]).unwrap().starts_with("|1|"));
    assert_in(&hashed, "hashed").await;
    let mut two = knowing(&sshd, "");
    two.known_hosts.push(sshd.dir.join("known_hosts"));
    assert_in(&two, "the second file").await;
}

#[tokio::test]
async fn an_unknown_key_is_refused_and_the_remedy_works() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let target = knowing(&sshd, "other ssh-ed25519 AAAA\n");
    let ConnectError::HostKeyUnknown(unknown) = refusal(&target).await else {
        panic!("not unknown")
    };
    let shown =
        run(Command::new("ssh-keygen").args(["-l", "-f"]).arg(sshd.dir.join("host_ed25519")));
    assert!(shown.contains(&unknown.fingerprint), "{shown} {}", unknown.fingerprint);
    assert!(unknown.remedy.starts_with("ssh-keyscan "), "{}", unknown.remedy);
    run(Command::new("sh").args(["-c", &unknown.remedy]));
    assert_in(&target, "after the remedy").await;

    // Where there is an alias, ssh-keyscan cannot help, and ssh itself has to.
    let aliased = Target { host_key_alias: Some("alias".into()), ..knowing(&sshd, "") };
    let ConnectError::HostKeyUnknown(unknown) = refusal(&aliased).await else {
        panic!("not unknown")
    };
    let answered = format!(
        "{} </dev/null",
        unknown.remedy.replace("StrictHostKeyChecking=ask", "StrictHostKeyChecking=accept-new -i ")
    );
    let key = aliased.identities[0].display().to_string();
    let answered =
        answered.replace("-i  ", &format!("-i {key} ")).replace("ssh -o", "ssh -F none -o");
    run(Command::new("sh").args(["-c", &answered]));
    assert_in(&aliased, "after the remedy").await;
}

#[tokio::test]
async fn a_changed_key_is_refused_and_the_remedy_works() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let stranger = dir.path().join("stranger");
    keygen(&stranger, &["-t", "ed25519", "-N", ""]);
    let known = format!("# note\n[127.0.0.1]:{} {}", sshd.port, public(&stranger));
    for checking in [HostKeyChecking::Strict, HostKeyChecking::AcceptNew] {
        let target = Target { host_key_checking: checking, ..knowing(&sshd, &known) };
        let ConnectError::HostKeyChanged(changed) = refusal(&target).await else {
            panic!("not changed")
        };
        assert_eq!((changed.known.len(), changed.known[0].1), (1, 2), "the line is named");
        run(Command::new("sh").args(["-c", &changed.remedy]));
        let left = fs::read_to_string(&target.known_hosts[0]).unwrap();
        assert_eq!(left, "# note\n");
    }
    // A stranger's RSA key: the algorithm is asked for, and what comes is another key.
    let rsa = dir.path().join("rsa");
    keygen(&rsa, &["-t", "rsa", "-b", "2048", "-N", ""]);
    let known = format!("[127.0.0.1]:{} {}", sshd.port, public(&rsa));
    let error = refusal(&knowing(&sshd, &known)).await;
    assert!(matches!(error, ConnectError::HostKeyChanged(_)), "{error}");
}

#[tokio::test]
async fn trust_on_first_use() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let file = dir.path().join("new/known_hosts");
    let first = Target {
        host_key_checking: HostKeyChecking::AcceptNew,
        known_hosts: vec![file.clone()],
        ..sshd.target_with_key("alice")
    };
    assert_in(&first, "unknown").await;
    let written = fs::read_to_string(&file).unwrap();
    assert_eq!(written.trim(), sshd.known_line("host_ed25519").rsplit_once(' ').unwrap().0);
    let strict = Target { host_key_checking: HostKeyChecking::Strict, ..first.clone() };
    assert_in(&strict, "known now").await;
    assert_in(&first, "known now").await;
    assert_eq!(fs::read_to_string(&file).unwrap(), written, "it is added once");

    // Hashed, behind a line without an end; ssh-keygen finds it.
    fs::write(&file, "# no newline").unwrap();
    let hashing = Target { hash_known_hosts: true, ..first };
    assert_in(&hashing, "unknown again").await;
    let written = fs::read_to_string(&file).unwrap();
    assert!(written.starts_with("# no newline\n|1|"), "{written}");
    let name = format!("[127.0.0.1]:{}", sshd.port);
    let found = run(Command::new("ssh-keygen").args(["-F", &name, "-f"]).arg(&file));
    assert!(found.contains("found: line 2"), "{found}");
    assert_in(&strict, "known by its hash").await;
}

#[tokio::test]
async fn any_key_will_do_but_no_password_goes_to_a_changed_one() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let stranger = dir.path().join("stranger");
    keygen(&stranger, &["-t", "ed25519", "-N", ""]);
    let changed = format!("[127.0.0.1]:{} {}", sshd.port, public(&stranger));
    let off = |known: &str| Target {
        host_key_checking: HostKeyChecking::DangerOff,
        ..knowing(&sshd, known)
    };
    assert_in(&off(""), "unknown").await;
    assert_in(&off(&changed), "changed, by key").await;
    let by_password =
        |known: &str| Target { identities: vec![], password: secret(PASSWORD), ..off(known) };
    assert_in(&by_password(""), "unknown, by password").await;
    let error = refusal(&by_password(&changed)).await.to_string();
    assert!(error.contains("password (withheld"), "{error}");
    assert!(!sshd.log().contains("Failed password"), "{}", sshd.log());
}

#[tokio::test]
async fn revoked_keys() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let known = sshd.known_line("host_ed25519");
    let revoked = format!("{known}@revoked * {}", known.split_once(' ').unwrap().1);
    for checking in [HostKeyChecking::Strict, HostKeyChecking::AcceptNew] {
        let target = Target { host_key_checking: checking, ..knowing(&sshd, &revoked) };
        let error = refusal(&target).await;
        assert!(matches!(error, ConnectError::HostKeyRevoked { line: 2, .. }), "{error}");
    }
}

#[tokio::test]
async fn host_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let certificate = dir.path().join("host/host_ed25519-cert.pub");
    let authority = dir.path().join("authority");
    keygen(&authority, &["-t", "ed25519", "-N", ""]);
    fs::create_dir(dir.path().join("host")).unwrap();
    let key = dir.path().join("host/host_ed25519");
    keygen(&key, &["-t", "ed25519", "-N", "", "-C", "host"]);
    let sign = |arguments: &[&str]| {
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-h", "-I", "id", "-s"]).arg(&authority).args(arguments);
        run(command.arg(key.with_extension("pub")));
    };
    sign(&["-n", "127.0.0.1,web*.example.com"]);
    let options = format!("HostCertificate {}", certificate.display());
    let Some(sshd) = Sshd::start(dir.path(), "host", &options) else { return };
    let by_authority =
        format!("@cert-authority [127.0.0.1]:{},*.example.com {}", sshd.port, public(&authority));
    assert_in(&knowing(&sshd, &by_authority), "by its authority").await;
    let alias =
        |name: &str| Target { host_key_alias: Some(name.into()), ..knowing(&sshd, &by_authority) };
    assert_in(&alias("web7.example.com"), "the certificate has a pattern").await;
    let error = refusal(&alias("db.example.com")).await.to_string();
    assert!(
        error.contains("it is for 127.0.0.1, web*.example.com, not for db.example.com"),
        "{error}"
    );

    let plain = sshd.known_line("host_ed25519");
    assert_in(&knowing(&sshd, &plain), "by the key alone, without an authority").await;
    let revoked = format!("{by_authority}@revoked * {}", public(&authority));
    let error = refusal(&knowing(&sshd, &revoked)).await;
    assert!(matches!(error, ConnectError::HostKeyRevoked { .. }), "the authority's: {error}");
    let stranger = dir.path().join("stranger");
    keygen(&stranger, &["-t", "ed25519", "-N", ""]);
    let other = format!("@cert-authority * {}", public(&stranger));
    let error = refusal(&knowing(&sshd, &other)).await;
    assert!(matches!(error, ConnectError::HostKeyUnknown(_)), "another authority: {error}");
}

#[tokio::test]
async fn host_certificates_that_are_not_good() {
    let dir = tempfile::tempdir().unwrap();
    let authority = dir.path().join("authority");
    keygen(&authority, &["-t", "ed25519", "-N", ""]);
    for (name, arguments, word) in [
        (
            "expired",
            &["-h", "-n", "127.0.0.1", "-V", "20200101:20200102"][..],
            "it expired at 2020-01-02",
        ),
        ("early", &["-h", "-n", "127.0.0.1", "-V", "20990101:20990102"], "not valid before 2099"),
        ("user", &["-n", "127.0.0.1"], "it is a user certificate"),
    ] {
        let place: PathBuf = dir.path().join(name);
        fs::create_dir(&place).unwrap();
        let key = place.join("host_ed25519");
        keygen(&key, &["-t", "ed25519", "-N", "", "-C", "host"]);
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-I", "id", "-s"]).arg(&authority).args(arguments);
        run(command.arg(key.with_extension("pub")));
        let options = format!("HostCertificate {}", place.join("host_ed25519-cert.pub").display());
        let Some(sshd) = Sshd::start(dir.path(), name, &options) else { return };
        let known = format!("@cert-authority * {}", public(&authority));
        let error = refusal(&knowing(&sshd, &known)).await;
        // sshd does not even show a certificate of the wrong kind.
        let unknown = name == "user" && matches!(error, ConnectError::HostKeyUnknown(_));
        assert!(unknown || error.to_string().contains(word), "{name}: {error}");
    }
}
