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

/// Opens vault texts with the passwords that the command line names.
///
/// # Errors
/// A password file that cannot be read, a program that fails, no terminal to ask on.
pub(super) fn decrypt(source: &InventorySource) -> Result<Decrypt, Failure> {
    let mut vault = Vault::default();
    let from_environment = std::env::var_os("ANSIBLE_VAULT_PASSWORD_FILE").map(Into::into);
    let given = source.vault_password_files.iter().cloned();
    let files: Vec<std::path::PathBuf> = match source.vault_password_files.is_empty() {
        true => from_environment.into_iter().collect(),
        false => given.collect(),
    };
    for file in &files {
        vault.add(None, password_from(file)?);
    }
    if source.ask_vault_pass {
        let password = prompt::password("Vault password")?;
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
fn password_from(file: &Path) -> Result<Secret<Vec<u8>>, Failure> {
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
        Diagnostic::error(format!("vault password program {}: {error}", file.display()))
    })?;
    if !output.status.success() {
        let problem = format!("vault password program {}: {}", file.display(), output.status);
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
    let login = flags.ask_pass.then(|| prompt::password("SSH password")).transpose()?;
    let becoming = if flags.ask_become_pass {
        let question = if login.is_some() {
            "BECOME password (empty: SSH password)"
        } else {
            "BECOME password"
        };
        let answer = prompt::password(question)?;
        if answer.expose().is_empty() { login.clone() } else { Some(answer) }
    } else {
        None
    };
    Ok(Asked { login, becoming })
}
