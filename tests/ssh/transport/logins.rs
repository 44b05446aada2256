//! Every way in: keys of all kinds and formats, an agent, certificates, passwords, two factors.

use super::{connector, secret, whoami};
use crate::common::have;
use crate::common::sshd::{PASSWORD, Sshd, keygen, run};
use certroll::testing::transport::{
    AgentChoice, ConnectError, Launch, Session, StartError, Target,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

async fn log_in(target: &Target) -> Result<Session, ConnectError> {
    connector().connect(target).await
}

async fn assert_in(target: &Target, what: &str) {
    let session = log_in(target).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(whoami(&session).await, target.user, "{what}");
}

/// What was tried in vain.
async fn refused(target: &Target) -> Vec<String> {
    match log_in(target).await {
        Err(ConnectError::AuthFailed { tried, .. } | ConnectError::NoCredentials { tried, .. }) => {
            tried
        }
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("let in"),
    }
}

#[tokio::test]
async fn keys_of_every_kind_and_format() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    for (name, arguments) in [
        ("ed25519", &["-t", "ed25519"][..]),
        ("ecdsa256", &["-t", "ecdsa", "-b", "256"]),
        ("ecdsa384", &["-t", "ecdsa", "-b", "384"]),
        ("ecdsa521", &["-t", "ecdsa", "-b", "521"]),
        ("rsa", &["-t", "rsa", "-b", "3072"]),
        ("rsa_pem", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ("rsa_pkcs8", &["-t", "rsa", "-b", "2048", "-m", "PKCS8"]),
        ("ecdsa_pem", &["-t", "ecdsa", "-m", "PEM"]),
        ("ecdsa_pkcs8", &["-t", "ecdsa", "-m", "PKCS8"]),
    ] {
        let key = sshd.new_key(name, &[arguments, &["-N", ""]].concat());
        let target = Target { identities: vec![key], ..sshd.target("alice") };
        assert_in(&target, name).await;
    }
}

#[tokio::test]
async fn encrypted_keys_and_their_passphrases() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    for (name, arguments) in [
        ("openssh", &["-t", "ed25519"][..]),
        ("openssh_rsa", &["-t", "rsa", "-b", "2048"]),
        ("openssh_gcm", &["-t", "ed25519", "-Z", "aes256-gcm@openssh.com"]),
        ("pkcs8", &["-t", "rsa", "-b", "2048", "-m", "PKCS8"]),
        ("pem", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
    ] {
        let key = sshd.new_key(name, &[arguments, &["-N", "open sesame"]].concat());
        let target = Target { identities: vec![key], ..sshd.target("alice") };
        let with = |passphrase: &str| Target { passphrase: secret(passphrase), ..target.clone() };
        assert_in(&with("open sesame"), name).await;
        let tried = refused(&with("hunter2")).await;
        assert!(tried[0].ends_with(&format!("{name} (wrong passphrase)")), "{tried:?}");
        let tried = refused(&target).await;
        assert!(tried[0].contains("encrypted, and no passphrase was given"), "{tried:?}");
        assert!(!format!("{tried:?}").contains("hunter2"));
    }
}

/// A real agent, which ends with this value.
struct Agent {
    child: std::process::Child,
    socket: PathBuf,
}

impl Agent {
    fn start(dir: &Path) -> Self {
        let socket = dir.join("agent.sock");
        let mut command = Command::new("ssh-agent");
        let child = command.arg("-D").arg("-a").arg(&socket).stdout(std::process::Stdio::null());
        let child = child.spawn().unwrap();
        // There is a socket before the agent listens on it.
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Self { child, socket }
    }

    fn add(&self, key: &Path) {
        run(Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test]
async fn an_agent_signs() {
    let dir = tempfile::tempdir().unwrap();
    if !have(&["ssh-agent", "ssh-add"]) {
        return;
    }
    let Some(sshd) = Sshd::start(dir.path(), "host", "MaxAuthTries 3") else { return };
    let agent = Agent::start(dir.path());
    let target =
        Target { agent: AgentChoice::Socket(agent.socket.clone()), ..sshd.target("alice") };
    let tried = refused(&target).await;
    assert!(tried.is_empty(), "an empty agent has nothing to try: {tried:?}");
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let key = sshd.new_key(kind, &["-t", kind, "-N", ""]);
        agent.add(&key);
        assert_in(&target, kind).await;
        run(Command::new("ssh-add").arg("-qD").env("SSH_AUTH_SOCK", &agent.socket));
        fs::remove_file(&key).unwrap();
    }
    // Five strangers before the right one: more than the server stands.
    for number in 0..5 {
        let stranger = dir.path().join(format!("stranger{number}"));
        keygen(&stranger, &["-t", "ed25519", "-N", "", "-C", "stranger"]);
        agent.add(&stranger);
    }
    let right = sshd.new_key("right", &["-t", "ed25519", "-N", ""]);
    agent.add(&right);
    let tried = refused(&target).await;
    assert!(tried.iter().any(|text| text.contains("name the right key alone")), "{tried:?}");
    assert!(tried[0].starts_with("agent's key stranger (refused)"), "{tried:?}");
    // The private file is not needed where the public one names the agent's key.
    fs::remove_file(&right).unwrap();
    let named = Target { identities: vec![right], identities_only: true, ..target.clone() };
    assert_in(&named, "the named key of the agent").await;
    let gone = AgentChoice::Socket(dir.path().join("no.sock"));
    let tried = refused(&Target { agent: gone, ..target }).await;
    assert!(tried[0].contains("no.sock"), "{tried:?}");
}

fn sign(authority: &Path, key: &Path, arguments: &[&str]) {
    let public = key.with_extension("pub");
    let mut command = Command::new("ssh-keygen");
    run(command.args(["-q", "-I", "id", "-s"]).arg(authority).args(arguments).arg(public));
}

#[tokio::test]
async fn user_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let trusted = format!("TrustedUserCAKeys {}", dir.path().join("host/user_ca.pub").display());
    let Some(sshd) = Sshd::start(dir.path(), "host", &trusted) else { return };
    let authority = dir.path().join("authority");
    keygen(&authority, &["-t", "ed25519", "-N", ""]);
    fs::copy(authority.with_extension("pub"), sshd.dir.join("user_ca.pub")).unwrap();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let key = dir.path().join(kind);
        keygen(&key, &["-t", kind, "-N", ""]);
        let target = Target { identities: vec![key.clone()], ..sshd.target("alice") };
        let tried = refused(&target).await;
        assert_eq!(tried.len(), 1, "the bare key is nobody's: {tried:?}");

        sign(&authority, &key, &["-n", "alice"]);
        assert_in(&target, kind).await;
        let tried = refused(&Target { user: "free".into(), ..target.clone() }).await;
        assert!(
            tried[0].starts_with("certificate of ") && tried[0].ends_with("(refused)"),
            "{tried:?}"
        );

        // Not beside the key, but named.
        let beside = dir.path().join(format!("{kind}-cert.pub"));
        let elsewhere = dir.path().join(format!("elsewhere-{kind}"));
        fs::rename(&beside, &elsewhere).unwrap();
        assert_in(&Target { certificates: vec![elsewhere], ..target.clone() }, kind).await;

        sign(&authority, &key, &["-n", "alice", "-V", "20200101:20200102"]);
        let tried = refused(&target).await;
        assert!(tried[0].contains("certificate"), "expired: {tried:?}");
        fs::remove_file(&beside).unwrap();

        if have(&["ssh-agent", "ssh-add"]) {
            sign(&authority, &key, &["-n", "alice"]);
            let agent = Agent::start(&tempfile::tempdir_in(dir.path()).unwrap().keep());
            agent.add(&key);
            let agent = AgentChoice::Socket(agent.socket.clone());
            assert_in(&Target { agent, ..sshd.target("alice") }, "the agent's certificate").await;
        }
    }
    let missing = Target { certificates: vec!["/nonexistent".into()], ..sshd.target("alice") };
    let tried = refused(&missing).await;
    assert_eq!(tried, ["certificate /nonexistent (not readable)"]);
}

#[tokio::test]
async fn passwords_by_keyboard_interactive() {
    let dir = tempfile::tempdir().unwrap();
    let options = "PasswordAuthentication no\nKbdInteractiveAuthentication yes";
    let Some(sshd) = Sshd::start(dir.path(), "host", options) else { return };
    let with = |password| Target { password: secret(password), ..sshd.target("alice") };
    assert_in(&with(PASSWORD), "PAM asks").await;
    let tried = refused(&with("wrong")).await;
    assert_eq!(tried, ["keyboard-interactive (refused)"]);
}

#[tokio::test]
async fn passwords_where_nothing_else_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let options = "PubkeyAuthentication no\nKbdInteractiveAuthentication no";
    let Some(sshd) = Sshd::start(dir.path(), "host", options) else { return };
    let target = Target { password: secret(PASSWORD), ..sshd.target_with_key("alice") };
    assert_in(&target, "after a key that is not even looked at").await;
    let error = log_in(&sshd.target_with_key("alice")).await.unwrap_err().to_string();
    assert!(error.ends_with("it would take password"), "{error}");
}

#[tokio::test]
async fn two_factors() {
    let dir = tempfile::tempdir().unwrap();
    let options = "AuthenticationMethods publickey,password publickey,publickey";
    let Some(sshd) = Sshd::start(dir.path(), "host", options) else { return };
    let one = sshd.target_with_key("alice");
    let tried = refused(&one).await;
    assert!(
        tried.iter().any(|text| text.contains("accepted, but the server requires another method")),
        "{tried:?}"
    );
    let both = Target { password: secret(PASSWORD), ..one.clone() };
    assert_in(&both, "key and password").await;
    let mut two = one;
    two.identities.push(sshd.new_key("second", &["-t", "ecdsa", "-N", ""]));
    assert_in(&two, "two keys").await;
}

#[tokio::test]
async fn nothing_to_try_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let error = log_in(&sshd.target("alice")).await.unwrap_err().to_string();
    assert!(error.ends_with("as alice: there is no key, agent or password to try"), "{error}");
    assert!(!sshd.log().contains("certroll_"), "nobody knocks for nothing: {}", sshd.log());
    let missing = Target { identities: vec!["/nonexistent/key".into()], ..sshd.target("alice") };
    let tried = refused(&missing).await;
    assert_eq!(tried, ["key /nonexistent/key (no such file)"]);
}

#[tokio::test]
async fn methods_are_tried_in_the_order_given_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let target = Target {
        password: secret("wrong"),
        methods: vec!["publickey".into()],
        ..sshd.target("alice")
    };
    assert!(refused(&target).await.is_empty(), "the password is not for use");
    let both = Target {
        methods: vec!["password".into(), "publickey".into()],
        password: secret("wrong"),
        ..sshd.target_with_key("alice")
    };
    assert_in(&both, "the key after the password").await;
    assert!(sshd.log().contains("Failed password for alice"), "{}", sshd.log());
}

/// The key is right and the account is shut out. With PAM, sshd says so in a banner and hangs up.
#[tokio::test]
async fn an_account_that_has_expired_or_its_password() {
    let dir = tempfile::tempdir().unwrap();
    let banner = dir.path().join("banner");
    fs::write(&banner, "Nobody is watched.\n").unwrap();
    let options = format!("Banner {}", banner.display());
    let Some(sshd) = Sshd::start(dir.path(), "host", &options) else { return };
    let target = sshd.target_with_key("alice");
    assert_in(&target, "the control").await;
    let shadow = sshd.dir.join("shadow");
    let before = fs::read_to_string(&shadow).unwrap();
    let dated = |change: u32, end: &str| {
        let dated = |line: &str| match line.strip_suffix(":19000:0:99999:7:::") {
            Some(begin) if line.starts_with("alice:") => {
                format!("{begin}:{change}:0:99999:7::{end}:\n")
            }
            _ => format!("{line}\n"),
        };
        // In place, as the server sees this very file.
        fs::write(&shadow, before.lines().map(dated).collect::<String>()).unwrap();
    };
    dated(19_000, "1");
    let tried = refused(&target).await;
    let last = tried.last().unwrap();
    assert!(last.starts_with("then the server closed the connection and said \""), "{tried:?}");
    assert!(last.contains("expired") && !last.contains("watched"), "{tried:?}");
    assert!(!last.contains("name the right key"), "{tried:?}");

    dated(0, "");
    let session = log_in(&target).await.unwrap();
    let mut process = session.start(&Launch::new("id", "@ready")).await.unwrap();
    let error = process.why_not_started().await;
    assert!(matches!(error, StartError::PasswordExpired { .. }), "{error}");
}
