//! sudo and su, with passwords right, wrong, missing and superfluous; and each refusal by name.

use super::{connector, secret};
use crate::common::sshd::{PASSWORD, Sshd};
use certroll::testing::host::Inspection;
use certroll::testing::remote;
use certroll::testing::transport::{Become, Launch, Method, Process, Session, StartError};
use std::os::unix::fs::PermissionsExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn launch(to: Become) -> Launch {
    Launch { become_as: Some(to), ..Launch::new("sh -c 'echo @ready; id -un; cat'", "@ready") }
}

fn by(method: Method, password: Option<&str>) -> Become {
    Become { method, password: password.and_then(secret), ..Become::sudo("root") }
}

async fn session(sshd: &Sshd, user: &str) -> Session {
    connector().connect(&sshd.target_with_key(user)).await.unwrap()
}

/// Started or not: what a caller that waits for the ready line learns.
async fn start(session: &Session, launch: &Launch) -> Result<Process, StartError> {
    let mut process = session.start(launch).await?;
    let mut seen = Vec::new();
    while !seen.ends_with(b"@ready\n") {
        let mut byte = [0];
        if process.stdout.read(&mut byte).await.unwrap() == 0 {
            return Err(process.why_not_started().await);
        }
        seen.push(byte[0]);
    }
    Ok(process)
}

async fn assert_becomes(session: &Session, to: Become) {
    let user = to.user.clone();
    let method = to.method;
    let mut process = start(session, &launch(to))
        .await
        .unwrap_or_else(|error| panic!("{method:?} {user}: {error}"));
    process.stdin.write_all(b"what follows").await.unwrap();
    process.stdin.shutdown().await.unwrap();
    let mut text = String::new();
    process.stdout.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, format!("{user}\nwhat follows"), "no password in it");
    assert!(process.exit().await.success());
}

async fn refusal(session: &Session, to: Become) -> StartError {
    match start(session, &launch(to)).await {
        Err(error) => error,
        Ok(_) => panic!("it runs"),
    }
}

#[tokio::test]
async fn sudo() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let free = session(&sshd, "free").await;
    assert_becomes(&free, by(Method::Sudo, None)).await;
    assert_becomes(&free, by(Method::Sudo, Some("not needed"))).await;
    assert_becomes(&free, Become::sudo("barred")).await;
    let with_flags = Become { flags: Some("-H -S -n -E".into()), ..Become::sudo("root") };
    assert_becomes(&free, with_flags).await;

    let alice = session(&sshd, "alice").await;
    assert_becomes(&alice, by(Method::Sudo, Some(PASSWORD))).await;
    let error = refusal(&alice, by(Method::Sudo, Some("wrong"))).await;
    assert!(matches!(error, StartError::WrongPassword { program: "sudo", .. }), "{error}");
    let error = refusal(&alice, by(Method::Sudo, None)).await;
    assert!(matches!(error, StartError::NeedsPassword { program: "sudo", .. }), "{error}");

    let barred = session(&sshd, "barred").await;
    let error = refusal(&barred, by(Method::Sudo, Some(PASSWORD))).await;
    assert!(matches!(error, StartError::NotAllowed { .. }), "{error}");
    let error = refusal(&free, Become::sudo("no-such-user")).await;
    assert!(matches!(error, StartError::UnknownUser { .. }), "{error}");
    let tty = session(&sshd, "tty").await;
    let error = refusal(&tty, by(Method::Sudo, None)).await;
    assert!(matches!(error, StartError::TtyRequired { .. }), "{error}");
    let missing = Become { exe: Some("/opt/no/sudo".into()), ..Become::sudo("root") };
    let error = refusal(&free, missing).await;
    assert!(matches!(error, StartError::BecomeMissing { .. }), "{error}");
    // PAM shuts out the account that asks.
    let shadow = sshd.dir.join("shadow");
    let before = std::fs::read_to_string(&shadow).unwrap();
    let expired = |line: &str| match line.strip_suffix(":7:::") {
        Some(begin) if line.starts_with("free:") => format!("{begin}:7::1:\n"),
        _ => format!("{line}\n"),
    };
    std::fs::write(&shadow, before.lines().map(expired).collect::<String>()).unwrap();
    let error = refusal(&free, by(Method::Sudo, None)).await;
    assert!(matches!(error, StartError::NotAllowed { .. }), "{error}");
    assert!(error.to_string().contains("account"), "{error}");
    std::fs::write(&shadow, before).unwrap();
    // It trusts no such file.
    let open = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(sshd.dir.join("sudoers"), open).unwrap();
    let error = refusal(&free, by(Method::Sudo, None)).await;
    assert!(matches!(error, StartError::BecomeBroken { .. }), "{error}");
    assert!(error.to_string().contains("/etc/sudoers is world writable"), "{error}");
}

#[tokio::test]
async fn su_and_doas() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let alice = session(&sshd, "alice").await;
    assert_becomes(&alice, by(Method::Su, Some(PASSWORD))).await;
    let error = refusal(&alice, by(Method::Su, Some("wrong"))).await;
    assert!(matches!(error, StartError::WrongPassword { program: "su", .. }), "{error}");
    let error = refusal(&alice, by(Method::Doas, Some(PASSWORD))).await;
    assert!(matches!(error, StartError::DoasPassword { .. }), "{error}");
    let missing = Become { exe: Some("/opt/no/doas".into()), ..by(Method::Doas, None) };
    let error = refusal(&alice, missing).await;
    assert!(matches!(error, StartError::BecomeMissing { .. }), "{error}");
}

#[tokio::test]
async fn passwords_are_in_no_argument_and_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let alice = session(&sshd, "alice").await;
    let listing =
        "sh -c 'echo @ready; cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr \"\\0\" \"\\n\"'";
    let to = by(Method::Sudo, Some(PASSWORD));
    let launch = Launch { become_as: Some(to), ..Launch::new(listing, "@ready") };
    let mut process = start(&alice, &launch).await.unwrap();
    let mut text = String::new();
    process.stdout.read_to_string(&mut text).await.unwrap();
    assert!(text.contains("[certroll "), "the control: sudo's arguments are in the list");
    for text in [text, sshd.log()] {
        assert!(!text.contains(PASSWORD), "{text}");
    }
}

/// Whatever is sent over sudo's standard input would be in its log then.
#[tokio::test]
async fn a_sudo_that_records_its_input_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let sudoers = sshd.dir.join("sudoers");
    let rules = std::fs::read_to_string(&sudoers).unwrap();
    let free = session(&sshd, "free").await;
    for (recorded, noticed) in
        [("", false), ("log_output", false), ("log_input", true), ("log_stdin", true)]
    {
        let log = sshd.dir.join(format!("iolog{recorded}"));
        let defaults = match recorded {
            "" => String::new(),
            _ => format!("Defaults {recorded}, iolog_dir={}\n", log.display()),
        };
        // In place, as the server sees this very file.
        std::fs::write(&sudoers, format!("{defaults}{rules}")).unwrap();
        let to = Some(by(Method::Sudo, None));
        let process = free.start(&remote::launch(to)).await.unwrap();
        let asked = remote::inspect_in(process.into(), &Inspection::default()).await;
        let (facts, shell) = asked.unwrap_or_else(|error| panic!("{recorded}: {error}"));
        assert_eq!((facts.user.as_str(), facts.input_log), ("root", noticed), "{recorded}");
        drop(shell);
    }
}
