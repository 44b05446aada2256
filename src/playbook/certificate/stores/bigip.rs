//! `bigip:`, an entry of a client-ssl profile in place of files on the host.

use crate::model::RemotePath;
use crate::playbook::certificate::store::ClientSslProfile;
use crate::playbook::certificate::task::Dest;
use crate::playbook::values::Values;
use crate::source::{Node, Value};

/// Renders the mapping of `bigip:`.
pub(super) fn profile(given: &Node, values: &mut Values<'_>) -> Option<ClientSslProfile> {
    let entry = |key| given.entry(key).filter(|node| node.value != Value::Null);
    let mut name = |key: &'static str, full: bool| {
        let node = entry(key)?;
        let text = values.text(Some(node))?;
        if is_name(&text, full) {
            return Some(text);
        }
        let help = match full {
            true => "the full name, as in /Common/www-clientssl; letters, digits and . _ - ~ @ :",
            false => "letters, digits and . _ - ~ @ :",
        };
        values.wrong(node, format!("'{text}' is no {key} that certroll could name there"), help);
        None
    };
    let (profile, entry_name) = (name("profile", true), name("entry", false));
    let group = entry("sync_group").and_then(|_| {
        let with_folder =
            entry("sync_group").and_then(Node::as_str).is_some_and(|text| text.starts_with('/'));
        name("sync_group", with_folder)
    });
    if entry("profile").is_none() {
        values.wrong(given, "'bigip' needs 'profile'", "bigip: {profile: /Common/www-clientssl}");
    }
    Some(ClientSslProfile { profile: profile?, entry: entry_name, sync_group: group })
}

/// A name that stands in a command of tmsh as it is: `full` ones say their folder.
fn is_name(text: &str, full: bool) -> bool {
    let part = |part: &str| {
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._-~@:".contains(&byte);
        !part.is_empty() && part.bytes().all(safe) && !part.starts_with('-')
    };
    // The objects of a change have longer names.
    let fits = !text.is_empty() && text.len() <= 200;
    match text.strip_prefix('/') {
        Some(rest) => full && fits && rest.contains('/') && rest.split('/').all(part),
        None => !full && fits && part(text),
    }
}

/// Where the pair is in the plan: `/PARTITION/PROFILE/cert` and `key`, below the entry where the task names it.
pub(super) fn dest(profile: &ClientSslProfile) -> Dest {
    let entry = profile.entry.as_ref().map(|entry| format!("/{entry}")).unwrap_or_default();
    let path = |part: &str| RemotePath::new(format!("{}{entry}/{part}", profile.profile)).ok();
    Dest { cert: path("cert"), key: path("key"), ..Dest::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_commands_as_they_are() {
        for name in ["/Common/www-clientssl", "/Common/app.app/www", "/P/a~b@c:1"] {
            assert!(is_name(name, true), "{name}");
        }
        for name in [
            "www",
            "/www",
            "/Common/",
            "/Common//x",
            "/Common/a b",
            "/Common/-x",
            "/Common/x;y",
            "/Common/{",
        ] {
            assert!(!is_name(name, true), "{name}");
        }
        assert!(
            is_name("default", false) && !is_name("/Common/x", false) && !is_name("a b", false)
        );
    }
}
