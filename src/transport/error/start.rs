//! Why a program does not run on a host that is connected.

use super::seconds;
use crate::model::text::printable;
use crate::transport::become_user::{Attempt, Method};
use crate::transport::exit::Exit;
use std::time::Duration;

/// Why a program does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The session is gone.
    #[error("the connection to {host} was lost")]
    Lost {
        /// The host.
        host: String,
    },
    /// No channel.
    #[error("{host} opens no session channel: {reason}")]
    Channel {
        /// The host.
        host: String,
        /// The server's reason.
        reason: String,
    },
    /// Text that not every login shell would read alike.
    #[error("{what} {text:?} cannot be quoted for every login shell")]
    Unquotable {
        /// `command`, `become_user`, `become_flags`, `become_exe`.
        what: &'static str,
        /// The text.
        text: String,
    },
    /// sudo or su did not like the password.
    #[error(
        "{program} refused the become password (for user {user}): check ansible_become_password or -K"
    )]
    WrongPassword {
        /// `sudo`, `su`.
        program: &'static str,
        /// The account to become.
        user: String,
    },
    /// sudo, su or doas wants a password and has none.
    #[error(
        "{program} needs a password to become {user}: give one with -K or ansible_become_password, \
         or allow it without (NOPASSWD, nopass)"
    )]
    NeedsPassword {
        /// The program.
        program: &'static str,
        /// The account to become.
        user: String,
    },
    /// doas reads passwords from a terminal only.
    #[error(
        "doas takes a password from a terminal only: permit nopass for {user} in doas.conf, or \
         become by sudo"
    )]
    DoasPassword {
        /// The account to become.
        user: String,
    },
    /// The account may not become the other.
    #[error("{program} does not allow this login to become {user}: {said}")]
    NotAllowed {
        /// The program.
        program: &'static str,
        /// The account to become.
        user: String,
        /// Its words.
        said: String,
    },
    /// `requiretty` or a su that insists on a terminal.
    #[error(
        "{program} insists on a terminal, which would corrupt the transfer: remove requiretty from \
         its configuration, or use another become method"
    )]
    TtyRequired {
        /// The program.
        program: &'static str,
    },
    /// The become program is not installed.
    #[error("{program} is not installed on the host: install it, or choose another become method")]
    BecomeMissing {
        /// The program as called.
        program: String,
    },
    /// It is there and works for nobody: its configuration is not what it asks for, it is not setuid, …
    #[error("{program} does not work on the host: {said}")]
    BecomeBroken {
        /// The program.
        program: &'static str,
        /// Its words.
        said: String,
    },
    /// The account to become does not exist.
    #[error("there is no user {user} on the host")]
    UnknownUser {
        /// The account to become.
        user: String,
    },
    /// It knows no such flag.
    #[error("{program} does not take these become_flags: {said}")]
    BadFlags {
        /// The program.
        program: &'static str,
        /// Its words.
        said: String,
    },
    /// It asked for the password, took it, and asks for more.
    #[error("{program} asks for more than a password, which certroll cannot answer: {question}")]
    OtherQuestion {
        /// The program.
        program: &'static str,
        /// Its question, printable.
        question: String,
    },
    /// `-i` asks for the login shell of an account that has none.
    #[error(
        "user {user} has no usable login shell on the host, which {program} -i asks for: {said}; \
         leave -i out of become_flags"
    )]
    NoLoginAs {
        /// The program.
        program: &'static str,
        /// The account to become.
        user: String,
        /// The shell's words.
        said: String,
    },
    /// The login shell lets nobody in (`nologin`, `false`).
    #[error("this account has no usable login shell on the host: {said}")]
    NoLogin {
        /// Its words.
        said: String,
    },
    /// Whoever logs in would have to change the password first.
    #[error("the password of this account has expired, log in by hand and change it: {said}")]
    PasswordExpired {
        /// The words of sshd.
        said: String,
    },
    /// It ended in another way before it was ready.
    #[error("the program did not start ({}){}", end(*.code, .signal), after_colon(.said))]
    Ended {
        /// Exit code.
        code: Option<i32>,
        /// Signal.
        signal: Option<String>,
        /// What was said, printable, its end.
        said: String,
    },
    /// Neither ready nor ended nor a question.
    #[error("the program gave no sign of life for {}{}", seconds(*.after), after_colon(&printable(.said, 500)))]
    Silent {
        /// The limit.
        after: Duration,
        /// What was said instead, untrusted.
        said: Vec<u8>,
    },
    /// A local program.
    #[error("cannot run a program on the controller")]
    Local(#[source] std::io::Error),
}

/// What `nologin` says.
const NOLOGIN: &[&str] = &["account is currently not available", "account is not available"];

/// What sudo says of an account that PAM shuts out, before it asks for its password all the same.
const SHUT_OUT: &[&str] = &[
    "account validation failure",
    "Account or password is expired",
    "Account expired",
    "Password expired",
];

impl StartError {
    /// Reads the refusal out of what was said. The texts are those of sudo 1.8–1.9, sudo-rs,
    /// OpenDoas, util-linux and nologin in the C locale.
    pub(in crate::transport) fn from_end(
        attempt: Option<&Attempt>,
        exit: Option<&Exit>,
        said: &[u8],
    ) -> Self {
        let text = printable(said, 4096);
        let code = exit.and_then(|exit| exit.code);
        let signal = exit.and_then(|exit| exit.signal.clone());
        let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
        if let Some(to) = attempt {
            let program = to.method.program();
            let user = to.user.clone();
            let exe = to.program.as_str();
            let line = || line_of(&text, program);
            if code == Some(127)
                && has(&[
                    &format!("env: '{exe}'"),
                    &format!("env: \u{2018}{exe}"),
                    &format!("{exe}: "),
                ])
                && has(&["No such file", "not found"])
            {
                return Self::BecomeMissing { program: exe.to_owned() };
            }
            // The last two are sudo-rs' and su-rs'.
            let not_found = text.contains("user '") && text.contains("' not found");
            if not_found
                || has(&["unknown user", "does not exist", "no passwd entry", "user not found"])
            {
                return Self::UnknownUser { user };
            }
            if has(&["invalid option", "unrecognized option", "unknown option"]) {
                let said = text.lines().find(|line| line.contains("option")).unwrap_or_default();
                return Self::BadFlags { program, said: said.trim().to_owned() };
            }
            if has(&["must have a tty", "must be run from a terminal", "a tty is required"]) {
                return Self::TtyRequired { program };
            }
            if has(&["Sorry, try again", "incorrect password attempt", "ncorrect authentication"])
                || (to.with_password
                    && has(&[
                        "Authentication failure",
                        "incorrect password",
                        "Authentication failed",
                    ]))
            {
                return Self::WrongPassword { program, user };
            }
            if to.by_login_shell && has(NOLOGIN) {
                return Self::NoLoginAs { program, user, said: line_of(&text, "account") };
            }
            if let Some(mark) = SHUT_OUT.iter().find(|mark| text.contains(**mark)) {
                return Self::NotAllowed { program, user, said: line_of(&text, mark) };
            }
            if has(&[
                "not in the sudoers",
                "is not allowed to",
                "may not run sudo",
                "I'm sorry",
                "Permission denied",
                "Operation not permitted",
            ]) {
                return Self::NotAllowed { program, user, said: line() };
            }
            if has(&[
                "password is required",
                "terminal is required",
                "Authentication required",
                "interactive authentication is required",
                "Authentication failure",
                "Authentication token manipulation",
                "Password: ",
            ]) {
                return if to.method == Method::Doas && to.with_password {
                    Self::DoasPassword { user }
                } else {
                    Self::NeedsPassword { program, user }
                };
            }
            // Its own words are the last ones, so nothing was run.
            let own =
                |line: &&str| line.strip_prefix(program).is_some_and(|rest| rest.starts_with(": "));
            let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
            let warns = |line: &&str| line.contains("unable to resolve host");
            if code.is_some_and(|code| code != 0)
                && lines().next_back().is_some_and(|line| own(&line) && !warns(&line))
            {
                let said: Vec<_> = lines().filter(|line| own(line) && !warns(line)).collect();
                return Self::BecomeBroken { program, said: tail(&said.join("; ")) };
            }
        }
        if has(NOLOGIN) {
            return Self::NoLogin { said: line_of(&text, "account") };
        }
        if has(&["Password change required"]) {
            return Self::PasswordExpired { said: line_of(&text, "Password change required") };
        }
        Self::Ended { code, signal, said: tail(&text) }
    }
}

/// The last line with `word` in it, else the last one.
fn line_of(text: &str, word: &str) -> String {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines()
        .rfind(|line| line.contains(word))
        .or_else(|| lines().next_back())
        .unwrap_or_default()
        .to_owned()
}

fn tail(text: &str) -> String {
    let text = text.trim();
    let from = text.len().saturating_sub(500);
    text.char_indices().find(|(at, _)| *at >= from).map_or("", |(at, _)| &text[at..]).to_owned()
}

fn end(code: Option<i32>, signal: &Option<String>) -> String {
    match (code, signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit code".into(),
    }
}

fn after_colon(said: &str) -> String {
    let said = said.trim();
    if said.is_empty() { String::new() } else { format!(": {said}") }
}
