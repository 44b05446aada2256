//! Files that hold the certificate and its key, of which the key stays: what such a file will be only its host can say, for
//! its key does not leave it.

use super::desired::FileWant;
use crate::host::{CommandResult, InspectCommand, KeyOrder, TimedCommand};
use crate::model::{CommandLine, Fingerprint};
use std::time::Duration;

/// For a few lines of a small file.
const PATIENCE: Duration = Duration::from_secs(20);

/// The key's lines as `stage_key` of the host's program takes them.
const KEY_LINES: &str = "/^-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/ { k = 1 } k { print } /^-----END [A-Z0-9 ]*PRIVATE KEY-----/ { k = 0 }";

/// Asks for the digest of the file with the new certificates and the key that is in it.
pub(super) fn question(file: &FileWant) -> Option<InspectCommand> {
    let own = file.own_key?;
    let path = shlex::bytes::try_quote(file.path.as_bytes()).ok()?;
    let path = String::from_utf8_lossy(&path).into_owned();
    // Certificates are public, and so are the words of a command.
    let certificates = String::from_utf8_lossy(file.content.expose()).into_owned();
    let certificates = format!("printf %s '{certificates}'");
    let key = format!("awk '{KEY_LINES}' {path}");
    let (first, last) = match own.place {
        KeyOrder::First => (key, certificates),
        KeyOrder::Last => (certificates, key),
    };
    let text = format!(
        "# the digest of the new certificates with the key of {path}\n\
         digest() {{ sha256sum 2>/dev/null || shasum -a 256 2>/dev/null || sha256 -q 2>/dev/null || openssl dgst -sha256 -r; }}\n\
         {{ {first} && {last}; }} | digest"
    );
    let command = TimedCommand { command: CommandLine::Shell(text), timeout: PATIENCE };
    Some(InspectCommand {
        command,
        only_if_running: None,
        in_container: None,
        for_user_of: None,
        unless_mounts: false,
    })
}

/// Takes the host's answer.
pub(super) fn answer(file: &mut FileWant, result: &CommandResult) {
    let text = String::from_utf8_lossy(&result.stdout);
    let told = text.split_whitespace().next().and_then(|word| word.parse::<Fingerprint>().ok());
    if let (Some(digest), true, Some(own)) = (told, result.success(), &mut file.own_key) {
        own.is_told = true;
        file.digest = Some(digest);
    }
}
