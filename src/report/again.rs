//! The command that leads to the same hosts and tasks again, to be copied.

use super::look::line;
use crate::model::HostName;

/// So many names fit a `--limit` that somebody would still copy.
const MOST: usize = 12;

/// What follows the verb, quoted for a shell; nothing secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Again {
    /// Playbooks and flags, but for `--limit`.
    pub words: String,
    /// The value of `--limit`.
    pub limit: Option<String>,
}

impl Again {
    /// All hosts of the command.
    pub(super) fn all(&self) -> String {
        self.limited(self.limit.as_deref())
    }

    /// These hosts of them; all, where they are too many to be named.
    pub(super) fn only(&self, hosts: &[&HostName]) -> String {
        if hosts.len() > MOST {
            return self.all();
        }
        let names: Vec<String> = hosts.iter().map(|host| line(host.as_str())).collect();
        self.limited(Some(&names.join(",")))
    }

    fn limited(&self, limit: Option<&str>) -> String {
        let limit = limit.map(|limit| {
            let quoted = shlex::try_quote(limit).map_or_else(|_| limit.to_owned(), Into::into);
            format!("--limit {}", line(&quoted))
        });
        let words = Some(line(&self.words)).filter(|words| !words.is_empty());
        words.into_iter().chain(limit).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_narrows_or_stays() {
        let names: Vec<HostName> = (0..13).map(|n| HostName::new(format!("e{n}"))).collect();
        let names: Vec<&HostName> = names.iter().collect();
        let again = Again { words: "p.yml -i hosts".into(), limit: Some("web:!e3".into()) };
        assert_eq!(again.all(), "p.yml -i hosts --limit 'web:!e3'");
        assert_eq!(again.only(&names[..2]), "p.yml -i hosts --limit 'e0,e1'");
        assert_eq!(again.only(&names), again.all());
        assert_eq!(Again::default().all(), "");
    }
}
