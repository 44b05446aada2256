//! What Ansible knows and certroll does not: modules, keywords, kinds of `meta`. Each with what to do instead, or
//! why not. Data only; nobody who writes a well-known name is answered with "did you mean".

mod keywords;
mod modules;
mod remedies;

use keywords::{META, PLAY, TASK};
use modules::MODULES;
use remedies::find;

/// Why a key of a play is not there.
pub(super) fn in_a_play(key: &str) -> Option<&'static str> {
    find(PLAY, key)
}

/// Why a module, or a keyword of a task, is not there. A collection's name may stand before it.
pub(super) fn in_a_task(key: &str) -> Option<&'static str> {
    let short = key.rsplit('.').next().unwrap_or(key);
    let own = ["ansible.builtin.", "ansible.legacy."].iter().any(|prefix| key.starts_with(prefix));
    match find(MODULES, short) {
        Some(remedy) => Some(remedy),
        None if key.contains('.') && !own => Some(COLLECTION),
        None if key.starts_with("with_") => Some("use `loop:` with `query('NAME', …)` or a filter"),
        None => find(TASK, short),
    }
}

/// Why a kind of `meta` is not there.
pub(super) fn meta(word: &str) -> Option<&'static str> {
    find(META, word)
}

const COLLECTION: &str = "certroll runs no modules of collections: leave this task to Ansible, before or after \
                          the rollout, or write it as a `command`";

#[cfg(test)]
mod tests {
    use super::modules::{FILES, ISSUING};
    use super::*;

    #[test]
    fn no_name_has_two_remedies() {
        for groups in [PLAY, META, MODULES, TASK] {
            let mut names: Vec<_> = groups.iter().flat_map(|(names, _)| names.iter()).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all);
        }
        assert!(MODULES.iter().map(|(names, _)| names.len()).sum::<usize>() > 200);
    }

    #[test]
    fn a_collections_module_is_told_apart_from_a_slip() {
        assert_eq!(in_a_task("ansible.builtin.blockinfile"), Some(FILES));
        assert_eq!(in_a_task("community.crypto.x509_certificate"), Some(ISSUING));
        assert_eq!(in_a_task("acme.tools.thing"), Some(COLLECTION));
        assert_eq!(in_a_task("ansible.builtin.coyp"), None);
        assert_eq!(in_a_task("comand"), None);
    }
}
