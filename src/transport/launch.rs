//! What to run on a host and as whom: the command line that does it under any login shell, and the
//! dialogue that gives `sudo` or `su` a password.

use super::error::StartError;
use super::process::Process;
use crate::model::Secret;
use rand::Rng;
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
}

/// Another account, and the way there.
#[derive(Clone, Debug)]
pub struct Become {
    /// By which program.
    pub method: Method,
    /// The account.
    pub user: String,
    /// The password that the method asks for: one's own for sudo, the other's for su.
    pub password: Option<Secret<String>>,
    /// Flags in place of the default ones (`-H` for sudo). Those which say whether and how a
    /// password is asked for (`-n`, `-S`, `-p`) are added or left out as needed.
    pub flags: Option<String>,
    /// The program in place of `sudo`, `doas`, `su`.
    pub exe: Option<String>,
}

/// A program that changes users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `sudo`.
    Sudo,
    /// `doas`, without a password only: it reads one from a terminal and nowhere else.
    Doas,
    /// `su`. With a password, only where it reads one from a pipe (util-linux and busybox do).
    Su,
}

impl Method {
    /// The program's usual name.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Sudo => "sudo",
            Self::Doas => "doas",
            Self::Su => "su",
        }
    }
}

impl std::str::FromStr for Method {
    type Err = String;

    /// Ansible's `become_method`, with or without a collection's name in front.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.rsplit('.').next().unwrap_or(text) {
            "sudo" => Ok(Self::Sudo),
            "doas" => Ok(Self::Doas),
            "su" => Ok(Self::Su),
            _ => Err(format!("'{text}' is no become method: use sudo, doas or su")),
        }
    }
}

/// A command line for the login shell, and how to answer what it asks.
#[derive(Debug)]
pub(super) struct Wrapped {
    /// What the login shell is given.
    pub(super) line: String,
    /// What on stderr asks for the password.
    pub(super) prompt: Option<Prompt>,
}

/// How the question for a password is recognised on stderr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Prompt {
    /// Text of our own, random, so that nothing else can look like it.
    Marker(String),
    /// `su` has its own text: a last line that ends in a colon.
    Colon,
}

impl Launch {
    /// A launch without a change of user.
    pub fn new(command: impl Into<String>, ready: &'static str) -> Self {
        Self { command: command.into(), become_as: None, ready }
    }

    pub(super) fn wrap(&self) -> Result<Wrapped, StartError> {
        if self.command.contains(['\n', '\r', '\0']) {
            return Err(StartError::Unquotable { what: "command", text: self.command.clone() });
        }
        match &self.become_as {
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
        let Some((to, password, prompt)) =
            self.become_as.as_ref().and_then(|to| Some((to, to.password.as_ref()?, prompt?)))
        else {
            return Ok(());
        };
        let talk = answer(process, &prompt, password, self.ready);
        match tokio::time::timeout(DIALOGUE_TIMEOUT, talk).await {
            Ok(Talk::Ready) => Ok(()),
            Ok(Talk::AskedAgain) => Err(StartError::WrongPassword {
                program: to.method.program(),
                user: to.user.clone(),
            }),
            Ok(Talk::Ended) => Err(process.why_not_started(self).await),
            Err(_) => Err(StartError::Silent { after: DIALOGUE_TIMEOUT, said: process.said() }),
        }
    }
}

enum Talk {
    Ready,
    AskedAgain,
    Ended,
}

/// Sends the password once, after the prompt and never before: what sudo does not want as a
/// password stays in the pipe, and what follows a wrong one would be eaten as the next guess.
async fn answer(
    process: &mut Process,
    prompt: &Prompt,
    password: &Secret<String>,
    ready: &str,
) -> Talk {
    use tokio::io::AsyncWriteExt;
    let mut changes = process.changes();
    let mut given = false;
    loop {
        let (runs, asked, ended) = process.look(|seen| {
            let runs = seen.stdout_contains(ready.as_bytes(), NOISE_LIMIT);
            (runs, seen.prompts(prompt), seen.ended() || seen.unread() > NOISE_LIMIT)
        });
        if runs {
            return Talk::Ready;
        }
        if ended || (asked > 1 && matches!(prompt, Prompt::Marker(_))) {
            return if asked > 1 { Talk::AskedAgain } else { Talk::Ended };
        }
        if asked == 1 && !given {
            given = true;
            let mut line = Zeroizing::new(Vec::with_capacity(password.expose().len() + 1));
            line.extend_from_slice(password.expose().as_bytes());
            line.push(b'\n');
            if process.stdin.write_all(&line).await.is_err() {
                return Talk::Ended;
            }
        }
        if changes.changed().await.is_err() {
            return Talk::Ended;
        }
    }
}

impl Become {
    /// By sudo, without a password.
    pub fn sudo(user: impl Into<String>) -> Self {
        let user = user.into();
        Self { method: Method::Sudo, user, password: None, flags: None, exe: None }
    }

    /// `env LC_ALL=C` in front, so that refusals are in a language that can be told apart.
    fn wrap(&self, command: &str) -> Result<Wrapped, StartError> {
        let program = self.exe.as_deref().unwrap_or(self.method.program());
        let mut words =
            vec!["env".to_owned(), "LC_ALL=C".to_owned(), quote("become_exe", program)?];
        let mut prompt = None;
        match self.method {
            Method::Sudo => {
                words.extend(self.kept_flags("-H", "nSp")?);
                if self.password.is_some() {
                    let marker = format!("[certroll {:032x}]", rand::rng().random::<u128>());
                    words.extend(["-S".into(), "-p".into(), quote("prompt", &marker)?]);
                    prompt = Some(Prompt::Marker(marker));
                } else {
                    words.push("-n".into());
                }
                words.extend(["-u".into(), quote("become_user", &self.user)?, command.into()]);
            }
            Method::Doas => {
                if self.password.is_some() {
                    return Err(StartError::DoasPassword { user: self.user.clone() });
                }
                words.extend(self.kept_flags("", "n")?);
                words.extend(["-n".into(), "-u".into(), quote("become_user", &self.user)?]);
                words.push(command.into());
            }
            Method::Su => {
                words.extend(self.kept_flags("", "")?);
                words.extend(["-s".into(), "/bin/sh".into(), "-c".into(), quote_command(command)?]);
                words.push(quote("become_user", &self.user)?);
                prompt = self.password.is_some().then_some(Prompt::Colon);
            }
        }
        Ok(Wrapped { line: words.join(" "), prompt })
    }

    /// The operator's flags or the default ones, without those single letters that are ours.
    fn kept_flags(&self, default: &str, ours: &str) -> Result<Vec<String>, StartError> {
        let text = self.flags.as_deref().unwrap_or(default);
        let bad = || StartError::Unquotable { what: "become_flags", text: text.to_owned() };
        let mut kept = Vec::new();
        let mut words = shlex::split(text).ok_or_else(bad)?.into_iter();
        while let Some(word) = words.next() {
            match word.strip_prefix('-') {
                Some("-non-interactive" | "-stdin") if !ours.is_empty() => {}
                Some("-prompt") if ours.contains('p') => drop(words.next()),
                Some(long) if long.starts_with("-prompt=") && ours.contains('p') => {}
                Some("p") if ours.contains('p') => drop(words.next()),
                Some(letters)
                    if !letters.is_empty() && letters.chars().all(|c| "ABbEHknPSs".contains(c)) =>
                {
                    let rest: String = letters.chars().filter(|c| !ours.contains(*c)).collect();
                    if !rest.is_empty() {
                        kept.push(format!("-{rest}"));
                    }
                }
                _ => kept.push(quote("become_flags", &word)?),
            }
        }
        Ok(kept)
    }
}

/// One word in a way that sh, csh and fish all read alike.
fn quote(what: &'static str, word: &str) -> Result<String, StartError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=,:@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Ok(word.to_owned());
    }
    // csh expands `!` within quotes too, and fish reads `\'` and `\\` within them.
    if word.is_empty() || word.contains(|c: char| c.is_control() || "'\\!".contains(c)) {
        return Err(StartError::Unquotable { what, text: word.to_owned() });
    }
    Ok(format!("'{word}'"))
}

/// A whole command as one word: its own single quotes leave the quotes and come back.
fn quote_command(command: &str) -> Result<String, StartError> {
    if command.contains('!') || command.contains("\\\\") || command.contains("\\'") {
        return Err(StartError::Unquotable { what: "command", text: command.to_owned() });
    }
    Ok(format!("'{}'", command.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(to: Become) -> String {
        let launch = Launch { command: "sh -c 'echo hi'".into(), become_as: Some(to), ready: "hi" };
        launch.wrap().unwrap().line
    }

    #[test]
    fn a_plain_launch_replaces_the_login_shell() {
        let wrapped = Launch::new("sh -c 'echo hi'", "hi").wrap().unwrap();
        assert_eq!(wrapped.line, "exec sh -c 'echo hi'");
        assert_eq!(wrapped.prompt, None);
    }

    #[test]
    fn sudo_asks_nothing_without_a_password() {
        assert_eq!(line(Become::sudo("root")), "env LC_ALL=C sudo -H -n -u root sh -c 'echo hi'");
    }

    #[test]
    fn sudo_with_a_password_has_a_random_prompt() {
        let to = Become { password: Some("x".to_owned().into()), ..Become::sudo("www-data") };
        let launch = Launch { command: "id".into(), become_as: Some(to), ready: "" };
        let wrapped = launch.wrap().unwrap();
        let Some(Prompt::Marker(marker)) = wrapped.prompt else { panic!("no marker") };
        assert_eq!(marker.len(), "[certroll ]".len() + 32);
        assert_eq!(wrapped.line, format!("env LC_ALL=C sudo -H -S -p '{marker}' -u www-data id"));
    }

    #[test]
    fn flags_about_passwords_are_ours() {
        let with = |flags: &str| line(Become { flags: Some(flags.into()), ..Become::sudo("root") });
        let sudo = |flags: &str| format!("env LC_ALL=C sudo {flags}-n -u root sh -c 'echo hi'");
        assert_eq!(with("-H -S -n"), sudo("-H "));
        assert_eq!(with("-HnS -p 'your word:' --prompt=x"), sudo("-H "));
        assert_eq!(with("-i -g 'a b' --stdin"), sudo("-i -g 'a b' "));
        assert_eq!(with(""), sudo(""));
    }

    #[test]
    fn su_and_doas() {
        let to = |method| Become { method, ..Become::sudo("root") };
        assert_eq!(
            line(to(Method::Su)),
            r"env LC_ALL=C su -s /bin/sh -c 'sh -c '\''echo hi'\''' root"
        );
        assert_eq!(line(to(Method::Doas)), "env LC_ALL=C doas -n -u root sh -c 'echo hi'");
    }

    #[test]
    fn what_no_shell_could_read_is_refused() {
        for user in ["", "a'b", "a!b", "a\\b", "a\nb"] {
            let launch =
                Launch { command: "id".into(), become_as: Some(Become::sudo(user)), ready: "" };
            let error = launch.wrap().unwrap_err();
            assert!(matches!(error, StartError::Unquotable { .. }), "{user:?}: {error}");
        }
        assert!(Launch::new("a\nb", "").wrap().is_err());
    }
}
