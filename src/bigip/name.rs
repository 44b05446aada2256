//! Names of objects.

use crate::model::Timestamp;

/// Whether a name is one that can stand in a command as it is: tmsh has quoting rules of its own, and nothing is made
/// to depend on them.
pub(crate) fn is_name(text: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:~@".contains(&byte);
    !text.is_empty() && text.len() <= 255 && text.bytes().all(safe) && !text.starts_with('-')
}

/// The objects of one change, each with the moment in its name: nothing that is in use is ever replaced in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dated {
    /// The certificate.
    pub cert: String,
    /// Its key.
    pub key: String,
    /// Its intermediates.
    pub chain: String,
}

impl Dated {
    /// Those of a profile, by its full name.
    pub(crate) fn of(profile: &str, moment: Timestamp) -> Self {
        let moment: String = moment.to_string().chars().filter(char::is_ascii_digit).collect();
        let named = |ending: &str| format!("{profile}_{moment}{ending}");
        Self { cert: named(".crt"), key: named(".key"), chain: named("_chain.crt") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_commands_as_they_are() {
        for name in ["/Common/www-clientssl", "a.b_c", "/P/app.app/x~y"] {
            assert!(is_name(name), "{name}");
        }
        for name in
            ["", "-q", "a b", "a;b", "a{", "a}", "$a", "`a`", "a'b", "a\"b", "a\nb", "*.x", "é"]
        {
            assert!(!is_name(name), "{name}");
        }
        assert!(!is_name(&"a".repeat(256)));
    }

    #[test]
    fn objects_have_the_moment_in_their_names() {
        let made = Dated::of("/Common/www", Timestamp::from_unix(1_785_412_800));
        assert_eq!(made.cert, "/Common/www_20260730120000.crt");
        assert_eq!(made.key, "/Common/www_20260730120000.key");
        assert_eq!(made.chain, "/Common/www_20260730120000_chain.crt");
    }
}
