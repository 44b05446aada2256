//! What happens to each host of the demo, and how it must end.

use super::pki::KeyKind;
use crate::model::{FileAction, Outcome, Step};

/// One host of a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostStory {
    /// Its name in the inventory.
    pub name: String,
    /// What it serves.
    pub kind: Kind,
    /// What is odd about it.
    pub scenario: Scenario,
}

/// What a host serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TLS from the first byte.
    Web,
    /// SMTP with STARTTLS.
    Mail,
}

impl Kind {
    /// The inventory's group, and the part of the profile's name after `demo-`.
    pub fn group(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Mail => "mail",
        }
    }
}

/// What is odd about a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Nothing.
    None,
    /// Somebody broke its service's configuration. The service still runs on what it read before.
    BrokenConfiguration,
    /// The new key is of a type that the service cannot use, which only its reload finds out.
    UnusableKey,
    /// The new files are there, but the service was never told.
    Drifted,
    /// Nobody listens on its SSH port.
    Unreachable,
}

impl Scenario {
    /// The kind of the new key.
    pub fn new_key(self) -> KeyKind {
        match self {
            Self::UnusableKey => KeyKind::P384,
            _ => KeyKind::P256,
        }
    }

    /// For people: why the host ends as it does.
    pub fn describe(self) -> &'static str {
        match self {
            Self::None => "all is well",
            Self::BrokenConfiguration => {
                "somebody broke its service's configuration: the check stops it, nothing is touched"
            }
            Self::UnusableKey => {
                "its service cannot use the new key, which only the reload finds out: it is rolled back"
            }
            Self::Drifted => "the new files are there, but the service still serves the old ones",
            Self::Unreachable => "nothing listens on its SSH port",
        }
    }
}

impl HostStory {
    /// A host.
    pub fn new(name: impl Into<String>, kind: Kind, scenario: Scenario) -> Self {
        Self { name: name.into(), kind, scenario }
    }

    /// The name that its certificates are for.
    pub fn server_name(&self) -> String {
        format!("{}.demo.test", self.name)
    }
}

/// The demo's fleet, in inventory order.
pub fn demo() -> Vec<HostStory> {
    let web = |name, scenario| HostStory::new(name, Kind::Web, scenario);
    vec![
        web("edge1", Scenario::None),
        web("edge2", Scenario::None),
        web("edge3", Scenario::None),
        web("edge4", Scenario::BrokenConfiguration),
        web("edge5", Scenario::UnusableKey),
        web("edge6", Scenario::Drifted),
        web("edge7", Scenario::Unreachable),
        HostStory::new("mail1", Kind::Mail, Scenario::None),
    ]
}

/// How one host must end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The host.
    pub host: String,
    /// What the plan says about its certificate file; `None`: the host has no plan.
    pub plan: Option<FileAction>,
    /// How `apply` leaves it.
    pub outcome: Outcome,
    /// Whether the new certificate is served afterwards. The old one is otherwise.
    pub serves_new: bool,
    /// For people.
    pub because: &'static str,
}

/// How each host of a story must end, in its order.
pub fn expected(stories: &[HostStory]) -> Vec<Expected> {
    let ends = |story: &HostStory| {
        let replace = Some(FileAction::Replace);
        let (plan, outcome, serves_new) = match story.scenario {
            Scenario::None => (replace, Outcome::Changed, true),
            Scenario::BrokenConfiguration => (replace, Outcome::Failed(Step::Validate), false),
            Scenario::UnusableKey => (replace, Outcome::RolledBack(Step::Reload), false),
            Scenario::Drifted => (Some(FileAction::ReloadOnly), Outcome::Changed, true),
            Scenario::Unreachable => (None, Outcome::Unreachable, false),
        };
        let (host, because) = (story.name.clone(), story.scenario.describe());
        Expected { host, plan, outcome, serves_new, because }
    };
    stories.iter().map(ends).collect()
}
