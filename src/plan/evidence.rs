//! What shows on the host itself, where no handshake does, that a service has loaded the files of a change: what it says
//! that it has loaded, or workers that are newer than the change.

use crate::host::{ProcessQuery, TimedCommand, Workers};
use crate::material::Certificate;
use crate::model::text::plural;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// Shorter serial numbers could be anything in what a service says.
const SERIAL_DIGITS: usize = 16;

/// Where to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The service's processes.
    Workers(ProcessQuery),
    /// What it says that it has loaded (`loaded` of its profile).
    Loaded {
        /// Asks it.
        command: TimedCommand,
        /// The new leaves, by each of their [names](leaf_names).
        leaves: Vec<Vec<String>>,
    },
}

/// What a look showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Processes.
    Workers(Workers),
    /// What the service said.
    Told(String),
}

impl Evidence {
    /// Whether a look before the change leaves something to be proven.
    pub(crate) fn could_prove(&self, before: Option<&Seen>) -> bool {
        match (self, before) {
            (Self::Workers(_), Some(Seen::Workers(workers))) => !workers.started.is_empty(),
            (Self::Loaded { leaves, .. }, Some(Seen::Told(text))) => !names_all(text, leaves),
            _ => false,
        }
    }

    /// Whether two looks prove that the files were read between them: what was seen, one line.
    ///
    /// # Errors
    /// Why not, one line.
    pub(crate) fn proven(
        &self,
        before: Option<&Seen>,
        after: Option<&Seen>,
    ) -> Result<String, String> {
        match (self, before, after) {
            (Self::Workers(_), Some(Seen::Workers(before)), Some(Seen::Workers(after))) => {
                newer(before, after)
            }
            (Self::Workers(_), ..) => Err("its processes are not found".to_owned()),
            (Self::Loaded { leaves, .. }, Some(Seen::Told(before)), Some(Seen::Told(after))) => {
                if names_all(before, leaves) {
                    Err("it had loaded the new certificate before".to_owned())
                } else if names_all(after, leaves) {
                    Ok("says that it has loaded the new certificate, and did not before".to_owned())
                } else {
                    Err("it does not say that it has loaded the new certificate".to_owned())
                }
            }
            (Self::Loaded { .. }, ..) => Err("it does not tell what it has loaded".to_owned()),
        }
    }

    /// What has to show after the change.
    pub(crate) fn wanted(&self) -> &'static str {
        match self {
            Self::Workers(_) => "has to have new workers after it",
            Self::Loaded { .. } => "has to say after it that it has loaded the new certificate",
        }
    }

    /// What did not prove it.
    pub(crate) fn subject(&self) -> &'static str {
        match self {
            Self::Workers(_) => "its workers do not prove it",
            Self::Loaded { .. } => "what it has loaded does not prove it",
        }
    }
}

/// By what services call a certificate: SHA-256, SHA-1, and the serial number if that is long enough, in hex.
pub(crate) fn leaf_names(leaf: &Certificate) -> Vec<String> {
    let sha1 = hex::encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &leaf.der));
    let serial = Some(&leaf.serial).filter(|serial| serial.len() >= SERIAL_DIGITS);
    let names = [leaf.fingerprint.to_string(), sha1].into_iter().chain(serial.cloned());
    names.map(|name| plain(&name)).collect()
}

/// Hex as it is compared.
fn plain(hex: &str) -> String {
    hex.trim_start_matches('0').to_ascii_lowercase()
}

/// Whether each of the leaves is named.
fn names_all(text: &str, leaves: &[Vec<String>]) -> bool {
    let words = text.split(|c: char| !c.is_ascii_hexdigit() && c != ':');
    let said: Vec<String> = words.map(|word| plain(&word.replace(':', ""))).collect();
    leaves.iter().all(|names| names.iter().any(|name| said.contains(name)))
}

/// Whether the service's configuration, with the files that it names, was read between two looks at its processes.
fn newer(before: &Workers, after: &Workers) -> Result<String, String> {
    if before.main != after.main {
        return Ok(format!("process {} is newer than the change", after.main.pid));
    }
    let new = after.started.iter().filter(|one| !before.started.contains(one)).count();
    let old = after.started.len() - new;
    // One alone may have been started in place of one that crashed, with what was read long ago.
    if new > 0 && (old == 0 || new >= before.started.len()) {
        let are = if new == 1 { "is" } else { "are" };
        return Ok(format!("{} {are} newer than the change", plural(new, "worker")));
    }
    Err(format!("{} of {} are newer than the change", new, plural(after.started.len(), "worker")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ProcessName;
    use crate::model::CommandLine;

    fn processes(main: u32, started: &[u32]) -> Workers {
        let name = |pid: u32| ProcessName { pid, began: format!("{pid}00") };
        Workers { main: name(main), started: started.iter().map(|pid| name(*pid)).collect() }
    }

    #[test]
    fn workers_are_newer_when_the_reload_replaced_them() {
        let before = processes(1, &[2, 3]);
        let told = |after: Workers| newer(&before, &after);
        assert_eq!(told(processes(1, &[4, 5])).unwrap(), "2 workers are newer than the change");
        // Old ones that still serve those who are connected; fewer than before, without any old one; a restart.
        assert!(told(processes(1, &[2, 3, 4, 5])).is_ok());
        assert!(told(processes(1, &[4])).is_ok());
        assert_eq!(told(processes(9, &[])).unwrap(), "process 9 is newer than the change");
        // Nothing happened; one crashed and was started anew from what the main process had read before.
        assert!(told(processes(1, &[2, 3])).is_err());
        assert_eq!(
            told(processes(1, &[2, 4])).unwrap_err(),
            "1 of 2 workers are newer than the change"
        );
        assert!(told(processes(1, &[])).is_err());
        let by_workers = Evidence::Workers(ProcessQuery::Process("web".to_owned()));
        let seen = Seen::Workers(before);
        assert!(by_workers.proven(None, Some(&seen)).is_err());
        assert!(by_workers.proven(Some(&seen), None).is_err());
    }

    #[test]
    fn a_number_that_another_process_got_is_not_the_same_process() {
        let before = processes(1, &[2]);
        let mut after = before.clone();
        after.started[0].began = "later".to_owned();
        assert!(newer(&before, &after).is_ok());
    }

    #[test]
    fn what_is_loaded_proves_it_only_if_it_was_not_before() {
        let command = CommandLine::Argv(vec!["ask".to_owned()]);
        let command = TimedCommand { command, timeout: std::time::Duration::from_secs(1) };
        let leaves = vec![vec![plain("0AB1C2"), plain("00FFee")]];
        let loaded = Evidence::Loaded { command, leaves };
        let told = |text: &str| Some(Seen::Told(text.to_owned()));
        let proven = |before: &str, after: &str| {
            loaded.proven(told(before).as_ref(), told(after).as_ref()).is_ok()
        };
        for after in ["SHA1: 0A:B1:C2", "{\"serial_number\": \"ffee\"}", "x ab1c2\n"] {
            assert!(proven("SHA1: 01:02", after), "{after}");
            assert!(!proven(after, after), "{after}");
        }
        assert!(!proven("", "0AB1C2D") && !proven("", ""));
        assert!(loaded.proven(None, told("ab1c2").as_ref()).is_err());
        assert!(loaded.could_prove(told("").as_ref()) && !loaded.could_prove(None));
    }
}
