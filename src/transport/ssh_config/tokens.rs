//! `%` tokens and `${VARIABLES}` in values.

use super::controller::Controller;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// What the tokens stand for.
#[derive(Clone, Copy, Debug)]
pub(in crate::transport) struct Tokens<'a> {
    pub(in crate::transport) controller: &'a Controller,
    /// `%n`: the host as it was asked for.
    pub(in crate::transport) original: &'a str,
    /// `%h`: the host to connect to.
    pub(in crate::transport) host: &'a str,
    /// `%k`: the alias for host keys, or the host as asked for.
    pub(in crate::transport) alias: &'a str,
    /// `%p`.
    pub(in crate::transport) port: u16,
    /// `%r`: the user to log in as.
    pub(in crate::transport) user: &'a str,
    /// `%j`: the jump hosts as written.
    pub(in crate::transport) jump: &'a str,
}

impl Tokens<'_> {
    /// Replaces the tokens.
    ///
    /// # Errors
    /// A token that does not exist.
    pub(in crate::transport) fn expand(&self, text: &str) -> Result<String, String> {
        percent(text, |token| {
            Some(match token {
                'C' => self.connection_hash(),
                'j' => self.jump.to_owned(),
                'd' => self.controller.home.display().to_string(),
                'h' => self.host.to_owned(),
                'i' => self.controller.uid.clone(),
                'k' => self.alias.to_owned(),
                'L' => self.controller.hostname.split('.').next().unwrap_or_default().to_owned(),
                'l' => self.controller.hostname.clone(),
                'n' => self.original.to_owned(),
                'p' => self.port.to_string(),
                'r' => self.user.to_owned(),
                'u' => self.controller.user.clone(),
                _ => return None,
            })
        })
    }

    /// `%C`: SHA-1 of `%l%h%p%r%j` in hex.
    fn connection_hash(&self) -> String {
        let Self { controller, host, port, user, jump, .. } = self;
        let text = format!("{}{host}{port}{user}{jump}", controller.hostname);
        hex::encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
    }

    /// Replaces tokens and variables in `User` (OpenSSH 10), of which `%r` and `%C` cannot be a part.
    ///
    /// # Errors
    /// As [`expand`](Self::expand); a variable that is not set.
    pub(in crate::transport) fn expand_user(&self, text: &str) -> Result<String, String> {
        if let Some(token) = ["%r", "%C"].into_iter().find(|token| text.contains(token)) {
            return Err(format!("'{token}' in User '{text}' would be made of itself"));
        }
        variables(text, |piece| self.expand(piece))
    }

    /// Replaces the tokens in a command that a shell runs. Names of hosts and users come from inventories, and nobody
    /// knows within which quotes the author put them: those that a shell would not take as one plain word are
    /// refused, as OpenSSH does.
    ///
    /// # Errors
    /// As [`expand`](Self::expand); such a name.
    pub(in crate::transport) fn expand_command(&self, text: &str) -> Result<String, String> {
        for (token, what, name) in [
            ("%h", "host", self.host),
            ("%n", "host", self.original),
            ("%k", "host", self.alias),
            ("%r", "user", self.user),
        ] {
            if text.contains(token) && !is_plain_word(name) {
                return Err(format!(
                    "the {what} '{}' cannot stand in the command '{text}': a shell would read more than a name",
                    crate::model::text::printable(name.as_bytes(), 255)
                ));
            }
        }
        self.expand(text)
    }

    /// Replaces `~`, tokens and environment variables: what OpenSSH does for most file names.
    ///
    /// # Errors
    /// As [`expand`](Self::expand); a variable that is not set.
    pub(in crate::transport) fn expand_path(
        &self,
        text: &str,
    ) -> Result<std::path::PathBuf, String> {
        let path = self.controller.expand_tilde(text);
        let path = path.to_str().ok_or("the home directory's name is not UTF-8")?;
        Ok(variables(path, |piece| self.expand(piece))?.into())
    }
}

fn is_plain_word(name: &str) -> bool {
    let special =
        |c: char| c.is_whitespace() || c.is_control() || "'`\"$\\;&<>|(){}*?[]!#~^".contains(c);
    !name.is_empty() && !name.starts_with('-') && !name.contains(special)
}

/// `HostName` knows `%h` (and `%%`) alone.
pub(super) fn expand_host_name(text: &str, original: &str) -> Result<String, String> {
    percent(text, |token| (token == 'h').then(|| original.to_owned()))
}

/// `~`, variables and those tokens that are the same for every host, in the name of an included file (OpenSSH 10),
/// which is read before it is known for whom.
pub(super) fn expand_include(text: &str, controller: &Controller) -> Result<String, String> {
    let same = |token| {
        Some(match token {
            'd' => controller.home.display().to_string(),
            'i' => controller.uid.clone(),
            'L' => controller.hostname.split('.').next().unwrap_or_default().to_owned(),
            'l' => controller.hostname.clone(),
            'u' => controller.user.clone(),
            _ => return None,
        })
    };
    variables(text, |piece| percent(piece, same))
}

fn percent(text: &str, value: impl Fn(char) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            expanded.push(c);
            continue;
        }
        match chars.next() {
            Some('%') => expanded.push('%'),
            Some(token) => expanded.push_str(
                &value(token).ok_or_else(|| format!("'%{token}' in '{text}' is no token here"))?,
            ),
            None => return Err(format!("'{text}' ends in a lone %: write %%")),
        }
    }
    Ok(expanded)
}

/// Values of variables are not searched for tokens.
fn variables(
    text: &str,
    expand: impl Fn(&str) -> Result<String, String>,
) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) =
            after.split_once('}').ok_or_else(|| format!("'${{' in '{text}' is not closed"))?;
        let value = std::env::var(name)
            .map_err(|_| format!("the environment variable {name} in '{text}' is not set"))?;
        expanded.push_str(&expand(before)?);
        expanded.push_str(&value);
        rest = after;
    }
    expanded.push_str(&expand(rest)?);
    Ok(expanded)
}
