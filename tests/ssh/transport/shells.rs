//! Login shells that are not POSIX, start-up files that talk, accounts without a shell.

use crate::common::have;
use crate::common::sshd::Sshd;
use crate::transport::connector;
use certroll::testing::transport::{Become, Launch, StartError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SHELLS: &[(&str, &str)] = &[
    ("u-dash", "dash"),
    ("u-bash", "bash"),
    ("u-zsh", "zsh"),
    ("u-fish", "fish"),
    ("u-tcsh", "tcsh"),
    ("u-mksh", "mksh"),
    ("u-ksh93", "ksh93"),
];

/// A line with everything that shells disagree on, reading what follows from stdin.
const COMMAND: &str =
    r#"sh -c 'printf "@ready\n"; IFS= read -r a; printf "%s|%s\n" "$a" "$((1+1))$(echo x)*"; cat'"#;

#[tokio::test]
async fn any_login_shell_and_any_noise() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let connector = connector();
    for (user, program) in SHELLS {
        if !have(&[program]) {
            continue;
        }
        let session = connector.connect(&sshd.target_with_key(user)).await.unwrap();
        let mut process = session.start(&Launch::new(COMMAND, "@ready")).await.unwrap();
        process.stdin.write_all(b"back\\slash $HOME\nand \x00\xff bytes").await.unwrap();
        process.stdin.shutdown().await.unwrap();
        let mut bytes = Vec::new();
        process.stdout.read_to_end(&mut bytes).await.unwrap();
        assert!(process.exit().await.success(), "{user}");
        let text = String::from_utf8_lossy(&bytes);
        let at = text.find("@ready\n").unwrap_or_else(|| panic!("{user}: {text}"));
        assert_eq!(
            &bytes[at..],
            b"@ready\nback\\slash $HOME|2x*\nand \x00\xff bytes",
            "{user}: {text}"
        );
    }
}

#[tokio::test]
async fn sudo_with_a_password_behind_any_login_shell() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let rules = sshd.dir.join("sudoers");
    let text = std::fs::read_to_string(&rules).unwrap();
    let all = SHELLS.iter().map(|(user, _)| format!("{user} ALL=(ALL:ALL) ALL\n"));
    std::fs::write(&rules, text + &all.collect::<String>()).unwrap();
    let connector = connector();
    for (user, program) in SHELLS {
        if !have(&[program]) {
            continue;
        }
        let session = connector.connect(&sshd.target_with_key(user)).await.unwrap();
        let password = crate::transport::secret(crate::common::sshd::PASSWORD);
        let to = Become { password, ..Become::sudo("root") };
        let command = "sh -c 'echo @ready; id -un; cat'";
        let launch = Launch { become_as: Some(to), ..Launch::new(command, "@ready") };
        let mut process =
            session.start(&launch).await.unwrap_or_else(|error| panic!("{user}: {error}"));
        process.stdin.write_all(b"payload").await.unwrap();
        process.stdin.shutdown().await.unwrap();
        let mut text = String::new();
        process.stdout.read_to_string(&mut text).await.unwrap();
        assert!(text.ends_with("@ready\nroot\npayload"), "{user}: {text}");
    }
}

#[tokio::test]
async fn an_account_that_lets_nobody_in() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let session = connector().connect(&sshd.target_with_key("nobody-in")).await.unwrap();
    let launch = Launch::new("id", "@ready");
    let mut process = session.start(&launch).await.unwrap();
    let error = process.why_not_started().await;
    assert!(matches!(error, StartError::NoLogin { .. }), "{error}");
}
