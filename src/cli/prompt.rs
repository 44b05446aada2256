//! Asking the operator: passwords without echo, and yes or no.

use crate::model::Secret;
use anyhow::Context;
use std::io::{IsTerminal, Write};
use zeroize::Zeroize;

/// Asks for a password on the terminal, without echo. `instead`: what to do where there is none.
///
/// # Errors
/// Without a terminal.
pub(super) fn password(prompt: &str, instead: &str) -> anyhow::Result<Secret<String>> {
    // It asks there, wherever standard input leads.
    if std::fs::File::open("/dev/tty").is_err() {
        let what = prompt.to_lowercase();
        anyhow::bail!("cannot ask for the {what}: there is no terminal; {instead}");
    }
    let text = rpassword::prompt_password(format!("{prompt}: "))
        .with_context(|| format!("cannot ask for the {}", prompt.to_lowercase()))?;
    Ok(Secret::new(text))
}

/// Whether a question can be asked at all.
pub(super) fn is_possible() -> bool {
    std::io::stdin().is_terminal()
}

/// Asks a yes/no question on the terminal; anything but `y` or `yes` is no. Without a terminal the
/// answer is no.
pub(super) fn confirm(question: &str) -> bool {
    if !is_possible() {
        return false;
    }
    let mut stderr = std::io::stderr();
    if write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush()).is_err() {
        return false;
    }
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    let yes = read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
    answer.zeroize();
    yes
}

/// Shows a text and waits for a line.
///
/// # Errors
/// Without a terminal: nobody can be asked.
pub(super) fn line(text: &str) -> std::io::Result<String> {
    if !is_possible() {
        return Err(std::io::Error::other("standard input is not a terminal"));
    }
    let mut stderr = std::io::stderr();
    write!(stderr, "{text}: ")?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim_end_matches(['\n', '\r']).to_owned())
}
