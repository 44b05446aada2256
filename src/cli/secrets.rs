//! Vault passwords, and the passwords that are asked for.

use super::args::{ConnectionArgs, InventorySource};
use super::failure::Failure;
use super::prompt;
use crate::load;
use crate::model::Secret;
use crate::source::Diagnostic;
use crate::template::Decrypt;
use crate::vault::{Vault, secret_from_file};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Where a vault password comes from without a terminal.
const VAULT: &str = "use --vault-password-file, or --vault-id LABEL@FILE";

/// Opens vault texts with the passwords that the command line names.
///
/// # Errors
/// A password file that cannot be read, a program that fails, no terminal to ask on.
pub(super) fn decrypt(source: &InventorySource) -> Result<Decrypt, Failure> {
    let mut vault = Vault::default();
    for file in &source.vault_password_files {
        vault.add(None, password_from(file, "vault password")?);
    }
    for id in &source.vault_ids {
        let (label, named) = match id.split_once('@') {
            Some((label, named)) => (Some(label.to_owned()).filter(|l| !l.is_empty()), named),
            None => (None, id.as_str()),
        };
        let password = if matches!(named, "prompt" | "prompt_ask_vault_pass") {
            let question = match &label {
                Some(label) => format!("Vault password ({label})"),
                None => "Vault password".to_owned(),
            };
            Secret::new(prompt::password(&question, VAULT)?.expose().clone().into_bytes())
        } else {
            password_from(Path::new(named), "vault password")?
        };
        vault.add(label, password);
    }
    if source.ask_vault_pass {
        let password = prompt::password("Vault password", VAULT)?;
        vault.add(None, Secret::new(password.expose().clone().into_bytes()));
    }
    Ok(Arc::new(move |text: &str| match vault.decrypt_text(text) {
        Ok(text) => Ok(text.expose().clone()),
        Err(error) => Err(match error.remedy() {
            Some(remedy) => format!("{error}; {remedy}"),
            None => error.to_string(),
        }),
    }))
}

/// The content of a password file, or what it prints when it is a program (Ansible, "Storing and
/// accessing vault passwords").
fn password_from(file: &Path, what: &str) -> Result<Secret<Vec<u8>>, Failure> {
    let password = read_password(file, what)?;
    if password.expose().is_empty() {
        let problem = format!("the {what} file {} holds no password", file.display());
        return Err(Diagnostic::error(problem).help("it is empty, or holds only blanks").into());
    }
    Ok(password)
}

fn read_password(file: &Path, what: &str) -> Result<Secret<Vec<u8>>, Failure> {
    let metadata = std::fs::metadata(file);
    let executable =
        metadata.is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0);
    if !executable {
        let (bytes, _) = load::read_bytes(file)?;
        return Ok(secret_from_file(bytes));
    }
    let program = std::path::absolute(file)?;
    let output = Command::new(&program).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| {
        Diagnostic::error(format!("{what} program {}: {error}", file.display()))
    })?;
    if !output.status.success() {
        let problem = format!("{what} program {}: {}", file.display(), output.status);
        return Err(Diagnostic::error(problem).into());
    }
    Ok(secret_from_file(Secret::new(output.stdout)))
}

/// Passwords asked for with `-k` and `-K`.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// `-k`.
    pub(super) login: Option<Secret<String>>,
    /// `-K`; an empty answer means the login password, as in Ansible.
    pub(super) becoming: Option<Secret<String>>,
}

/// Asks for what the flags say.
///
/// # Errors
/// Without a terminal.
pub(super) fn ask(flags: &ConnectionArgs) -> Result<Asked, Failure> {
    let from_file = |file: &Option<std::path::PathBuf>, what: &str| match file {
        None => Ok(None),
        Some(file) => text(password_from(file, what)?, file).map(Some),
    };
    let login = match flags.ask_pass {
        true => Some(prompt::password("SSH password", "use --connection-password-file")?),
        false => from_file(&flags.connection_password_file, "connection password")?,
    };
    let becoming = if flags.ask_become_pass {
        let question = if login.is_some() {
            "BECOME password (empty: SSH password)"
        } else {
            "BECOME password"
        };
        let answer = prompt::password(question, "use --become-password-file")?;
        if answer.expose().is_empty() { login.clone() } else { Some(answer) }
    } else {
        from_file(&flags.become_password_file, "become password")?
    };
    Ok(Asked { login, becoming })
}

fn text(password: Secret<Vec<u8>>, file: &Path) -> Result<Secret<String>, Failure> {
    match std::str::from_utf8(password.expose()) {
        Ok(text) => Ok(Secret::new(text.to_owned())),
        Err(_) => {
            let problem = format!("the password in {} is not UTF-8", file.display());
            Err(Diagnostic::error(problem).into())
        }
    }
}
