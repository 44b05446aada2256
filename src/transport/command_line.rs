//! The line that a login shell is given to run a program as somebody else: one that bash, ksh, zsh, fish and
//! tcsh read alike.

use super::become_user::{Become, Method};
use super::error::StartError;
use super::prompt::Prompt;
use rand::Rng;

/// A command line for the login shell, and how to answer what it asks.
#[derive(Debug)]
pub(super) struct Wrapped {
    /// What the login shell is given.
    pub(super) line: String,
    /// What on stderr asks for the password.
    pub(super) prompt: Option<Prompt>,
}

impl Become {
    /// `env LC_ALL=C` in front, so that refusals are in a language that can be told apart.
    pub(super) fn wrap(&self, command: &str) -> Result<Wrapped, StartError> {
        let program = self.exe.as_deref().unwrap_or(self.method.program());
        let mut words =
            vec!["env".to_owned(), "LC_ALL=C".to_owned(), quote("become_exe", program)?];
        let mut prompt = None;
        match self.method {
            Method::Sudo => {
                words.extend(self.kept_flags("-H", "nSp")?);
                if self.password.is_some() {
                    let marker = format!("[certroll {:032x}]", rand::rng().random::<u128>());
                    // Not `-S`: the `env` of uutils takes that for its own, also behind the command.
                    words.extend(["--stdin".into(), "-p".into(), quote("prompt", &marker)?]);
                    prompt = Some(Prompt::Marker(marker));
                } else {
                    words.push("-n".into());
                }
                words.extend(["-u".into(), quote("become_user", &self.user)?]);
                let by_a_shell = words.iter().any(|word| asks_for_a_shell(word));
                words.push(if by_a_shell { without_dollars(command) } else { command.into() });
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
                // It has no flag that forbids to ask, so without a password that is noticed, too.
                prompt = Some(Prompt::Colon);
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
                    if !letters.is_empty()
                        && letters.chars().all(|c| "ABbEHiknPSs".contains(c)) =>
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

/// Whether sudo hands the command to a shell (`-i`, `-s`).
fn asks_for_a_shell(flag: &str) -> bool {
    match flag.strip_prefix('-') {
        Some("-login" | "-shell") => true,
        Some(letters) => {
            letters.chars().all(|c| c.is_ascii_alphabetic()) && letters.contains(['i', 's'])
        }
        None => false,
    }
}

/// The same command without any `$`. sudo puts a backslash in front of every character that the shell in
/// between might take for itself, but for `$` (sudo(8) under `-i`): it would be expanded there.
fn without_dollars(command: &str) -> String {
    let mut encoded = String::new();
    for c in format!("exec {command}").chars() {
        match c {
            '%' => encoded.push_str("%%"),
            c if c.is_ascii_alphanumeric() || " -_=.,:/#@;()<>*".contains(c) => encoded.push(c),
            c => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    encoded.push_str(&format!("\\{byte:03o}"));
                }
            }
        }
    }
    format!(r#"sh -c 'eval "`printf \"{encoded}\"`"'"#)
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
        to.wrap("sh -c 'echo hi'").unwrap().line
    }

    #[test]
    fn sudo_asks_nothing_without_a_password() {
        assert_eq!(line(Become::sudo("root")), "env LC_ALL=C sudo -H -n -u root sh -c 'echo hi'");
    }

    #[test]
    fn sudo_with_a_password_has_a_random_prompt() {
        let to = Become { password: Some("x".to_owned().into()), ..Become::sudo("www-data") };
        let wrapped = to.wrap("id").unwrap();
        let Some(Prompt::Marker(marker)) = wrapped.prompt else { panic!("no marker") };
        assert_eq!(marker.len(), "[certroll ]".len() + 32);
        assert_eq!(
            wrapped.line,
            format!("env LC_ALL=C sudo -H --stdin -p '{marker}' -u www-data id")
        );
    }

    #[test]
    fn flags_about_passwords_are_ours() {
        let with = |flags: &str| line(Become { flags: Some(flags.into()), ..Become::sudo("root") });
        let sudo = |flags: &str| format!("env LC_ALL=C sudo {flags}-n -u root sh -c 'echo hi'");
        assert_eq!(with("-H -S -n"), sudo("-H "));
        assert_eq!(with("-HnS -p 'your word:' --prompt=x"), sudo("-H "));
        assert_eq!(with("-E -g 'a b' --stdin"), sudo("-E -g 'a b' "));
        assert_eq!(with(""), sudo(""));
    }

    /// As sudo passes a command to a shell (`sudo.c`'s and sudo-rs' `escape`), and that shell runs it.
    fn through_a_shell(shell: &str, arguments: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-$".contains(c);
        let escape = |word: String| -> String {
            word.chars().flat_map(|c| (!plain(c)).then_some('\\').into_iter().chain([c])).collect()
        };
        let words: Vec<String> = shlex::split(arguments).unwrap().into_iter().map(escape).collect();
        let escaped = words.join(" ");
        let output = std::process::Command::new(shell).args(["-c", &escaped]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_login_shell_in_between_expands_nothing() {
        let command = "sh -c 'x=5; printf \"%s|\" \"$x\" 100% \"a\\b\" \"$#\" \"$0\"' name";
        let words = without_dollars(command);
        assert!(!words.contains('$'), "{words}");
        assert_eq!(through_a_shell("sh", &words), "5|100%|a\\b|0|name|");
        assert_eq!(through_a_shell("bash", &words), "5|100%|a\\b|0|name|");
        let line = |flags: &str| {
            let to = Become { flags: Some(flags.into()), ..Become::sudo("root") };
            to.wrap("sh -c 'echo $0'").unwrap().line
        };
        for flags in ["-i", "-s", "-Hi", "--login", "-H -S -n -i"] {
            assert!(!line(flags).contains('$'), "{flags}: {}", line(flags));
        }
        assert!(line("-H").contains("$0"));
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
            let error = Become::sudo(user).wrap("id").unwrap_err();
            assert!(matches!(error, StartError::Unquotable { .. }), "{user:?}: {error}");
        }
    }
}
