//! What to run on a host and as whom: the command line that does it under any login shell, and the
//! dialogue that gives `sudo` or `su` a password.

use super::become_user::Become;
use super::command_line::Wrapped;
use super::error::StartError;
use super::process::Process;
use super::prompt::Prompt;
use crate::model::Secret;
use crate::model::text::printable;
use std::time::Duration;
use zeroize::Zeroizing;

/// For the dialogue with `sudo`: PAM modules delay, ask directories and call phones.
const DIALOGUE_TIMEOUT: Duration = Duration::from_secs(60);

/// What start-up files may say before the program does.
const NOISE_LIMIT: usize = 256 << 10;

/// A program to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// One simple command on one line: a program and its arguments, quoted with single quotes
    /// without `!`, so that every login shell (bash, ksh, zsh, fish, tcsh) reads it alike.
    pub command: String,
    /// Become this user first.
    pub become_as: Option<Become>,
    /// Text on stdout that proves that the program runs, `@certroll1 - boot` for example. Only
    /// needed when a password has to be given; the text stays in stdout for the caller.
    pub ready: &'static str,
    /// The login shell is none of those, and gets the line as it is.
    pub verbatim: bool,
}

impl Launch {
    /// A launch without a change of user.
    pub fn new(command: impl Into<String>, ready: &'static str) -> Self {
        Self { command: command.into(), become_as: None, ready, verbatim: false }
    }

    /// A line for a login shell that is no shell of POSIX's kind.
    pub fn verbatim(line: impl Into<String>) -> Self {
        Self { verbatim: true, ..Self::new(line, "") }
    }

    pub(super) fn wrap(&self) -> Result<Wrapped, StartError> {
        if self.command.contains(['\n', '\r', '\0']) {
            return Err(StartError::Unquotable { what: "command", text: self.command.clone() });
        }
        match &self.become_as {
            None if self.verbatim => Ok(Wrapped { line: self.command.clone(), prompt: None }),
            None => Ok(Wrapped { line: format!("exec {}", self.command), prompt: None }),
            Some(to) => to.wrap(&self.command),
        }
    }

    /// Gives the password if one is needed and waits until the program runs.
    pub(super) async fn converse(
        &self,
        prompt: Option<Prompt>,
        process: &mut Process,
    ) -> Result<(), StartError> {
        let (Some(to), Some(prompt)) = (&self.become_as, prompt) else { return Ok(()) };
        if to.password.is_none() && self.ready.is_empty() {
            return Ok(());
        }
        let (program, user) = (to.method.program(), to.user.clone());
        let talk = answer(process, &prompt, to.password.as_ref(), self.ready);
        match tokio::time::timeout(DIALOGUE_TIMEOUT, talk).await {
            Ok(Talk::Ready) => Ok(()),
            Ok(Talk::AskedAgain) => Err(StartError::WrongPassword { program, user }),
            Ok(Talk::AskedInVain) => Err(StartError::NeedsPassword { program, user }),
            Ok(Talk::AskedMore(question)) => {
                Err(StartError::OtherQuestion { program, question: printable(&question, 200) })
            }
            Ok(Talk::Ended) => Err(process.why_not_started().await),
            Err(_) => Err(StartError::Silent { after: DIALOGUE_TIMEOUT, said: process.said() }),
        }
    }
}

enum Talk {
    Ready,
    /// For the password, which therefore was wrong.
    AskedAgain,
    /// For a password, and there is none.
    AskedInVain,
    /// For something else, after the password.
    AskedMore(Vec<u8>),
    Ended,
}

/// Sends the password once, after the prompt and never before: what sudo does not want as a
/// password stays in the pipe, and what follows a wrong one would be eaten as the next guess.
async fn answer(
    process: &mut Process,
    prompt: &Prompt,
    password: Option<&Secret<String>>,
    ready: &str,
) -> Talk {
    use tokio::io::AsyncWriteExt;
    let mut changes = process.changes();
    let mut asked: Option<Vec<u8>> = None;
    loop {
        let (runs, stderr, ended) = process.look(|seen| {
            let runs = seen.stdout_contains(ready.as_bytes(), NOISE_LIMIT);
            (runs, seen.stderr(), seen.ended() || seen.unread() > NOISE_LIMIT)
        });
        if runs {
            return Talk::Ready;
        }
        match (&asked, prompt.question(&stderr)) {
            (None, Some(question)) => {
                process.redact(prompt.shown(question));
                let Some(password) = password else { return Talk::AskedInVain };
                asked = Some(stderr.clone());
                let mut line = Zeroizing::new(Vec::with_capacity(password.expose().len() + 1));
                line.extend_from_slice(password.expose().as_bytes());
                line.push(b'\n');
                if process.stdin.write_all(&line).await.is_err() {
                    return Talk::Ended;
                }
            }
            (Some(before), Some(question)) if stderr.len() > before.len() => {
                // What was said since, in which the same question is another one.
                let since = &stderr[before.len()..];
                if prompt.question(since).is_some() {
                    let same = prompt.question(before) == Some(question);
                    let question = question.to_vec();
                    return if same { Talk::AskedAgain } else { Talk::AskedMore(question) };
                }
            }
            _ => {}
        }
        if ended || changes.changed().await.is_err() {
            return Talk::Ended;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::become_user::Method;
    use crate::transport::local;

    #[test]
    fn a_plain_launch_replaces_the_login_shell() {
        let wrapped = Launch::new("sh -c 'echo hi'", "hi").wrap().unwrap();
        assert_eq!(wrapped.line, "exec sh -c 'echo hi'");
        assert_eq!(wrapped.prompt, None);
        assert!(Launch::new("a\nb", "").wrap().is_err());
        assert_eq!(Launch::verbatim("tool -x").wrap().unwrap().line, "tool -x");
    }

    /// What comes of a fake `su`: a script that is called as su is.
    async fn with_fake_su(script: &str, password: Option<&str>) -> Result<Process, StartError> {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("su");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let to = Become {
            method: Method::Su,
            password: password.map(|text| text.to_owned().into()),
            exe: Some(path.display().to_string()),
            ..Become::sudo("root")
        };
        let launch = Launch { become_as: Some(to), ..Launch::new("sh -c 'echo @ready'", "@ready") };
        local::start(&launch).await
    }

    const ASK: &str = "printf '[su: authenticate] Password: ' >&2; read -r word || exit 1";

    #[tokio::test]
    async fn the_question_asked_again_is_a_wrong_password_at_once() {
        // As su-rs 0.2.15 talks; it would ask a third time.
        let again =
            format!("{ASK}; echo 'su: Authentication failed, try again.' >&2; {ASK}; {ASK}");
        let error = with_fake_su(&again, Some("wrong")).await.unwrap_err();
        assert!(matches!(error, StartError::WrongPassword { program: "su", .. }), "{error}");
    }

    #[tokio::test]
    async fn another_question_is_told_and_not_answered() {
        let more = format!("{ASK}; printf 'Verification code: ' >&2; read -r code; echo \"$code\"");
        let error = with_fake_su(&more, Some("right")).await.unwrap_err().to_string();
        assert!(error.contains("Verification code:"), "{error}");
        assert!(!error.contains("right"), "{error}");
    }

    #[tokio::test]
    async fn without_a_password_nothing_is_given_to_guess_with() {
        let error = with_fake_su(ASK, None).await.unwrap_err();
        assert!(matches!(error, StartError::NeedsPassword { program: "su", .. }), "{error}");
        let mut process = with_fake_su("exec sh -c 'echo @ready'", None).await.unwrap();
        assert!(process.exit().await.success());
    }

    #[tokio::test]
    async fn what_was_asked_is_not_in_the_error() {
        let refused = format!("{ASK}; echo 'su: no' >&2; exit 1");
        let error = with_fake_su(&refused, Some("right")).await.unwrap_err().to_string();
        assert!(error.contains("su: no") && !error.contains("authenticate"), "{error}");
    }
}
