//! What the programs answer. Everything in it is the machine's word: texts become printable where they are shown, and what
//! does not fit is no answer.

use super::thumbprint::{Thumbprint, optional};
use crate::model::text::printable;
use serde::Deserialize;

/// The outer form of each answer.
#[derive(Debug, Deserialize)]
pub(super) struct Outer<T> {
    ok: Option<T>,
    error: Option<String>,
    #[serde(default)]
    why: Option<String>,
}

/// Why a program did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Whoever is logged in is no administrator; who that is.
    Role(String),
    /// Another program ran for too long beside it.
    Busy,
    /// A change is under way, or was left; whose.
    Held(String),
    /// It is not as it was looked at any more.
    Stale,
    /// There is no such change any more.
    Gone,
    /// There is not exactly one such binding, setting or listener.
    Use,
    /// The certificate came in without a key that can be used, or not at all.
    Pfx(String),
    /// It failed after the switch, and everything was undone.
    Undone(String),
    /// It failed.
    Failed(String),
}

impl<T> Outer<T> {
    /// What it says; `None`: neither one thing nor the other.
    pub(super) fn read(self) -> Option<Result<T, Refused>> {
        if let Some(value) = self.ok {
            return Some(Ok(value));
        }
        let why = shown(&self.why.unwrap_or_default());
        Some(Err(match self.error?.as_str() {
            "role" => Refused::Role(why),
            "busy" => Refused::Busy,
            "held" => Refused::Held(why),
            "stale" => Refused::Stale,
            "gone" => Refused::Gone,
            "use" => Refused::Use,
            "pfx" => Refused::Pfx(why),
            "undone" => Refused::Undone(why),
            _ => Refused::Failed(why),
        }))
    }
}

fn shown(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    printable(text.as_bytes(), 600)
}

/// The reference: what it names, and the rest of it, which stays.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Use {
    /// `None`: nothing.
    #[serde(default, deserialize_with = "optional")]
    pub thumbprint: Option<Thumbprint>,
    /// The store that it is looked for in.
    #[serde(default)]
    pub store: Option<String>,
    /// `sslFlags` of a binding: 1 is SNI, 2 the central store; the others are kept.
    #[serde(default)]
    pub flags: i64,
    /// All its other attributes in one text.
    #[serde(default)]
    pub rest: Option<String>,
}

/// A change that was begun and not ended.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Journal {
    /// Which.
    pub id: String,
    /// Whose.
    #[serde(default)]
    pub by: String,
    /// When its run has surely ended, by the machine's clock.
    pub until: i64,
    /// The certificate that it brought.
    pub new: Use,
}

/// Another binding for HTTPS.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Other {
    /// `IP:port:host`.
    pub binding: String,
    /// Where it stands in the configuration of IIS, with the site's name.
    #[serde(default)]
    pub owner: String,
    /// As [`Use::flags`].
    #[serde(default)]
    pub flags: i64,
}

/// What is there.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Seen {
    /// Who is logged in.
    #[serde(default)]
    pub user: String,
    /// The build of Windows.
    #[serde(default)]
    pub build: u32,
    /// The version of PowerShell.
    #[serde(default)]
    pub shell: String,
    /// `None`: there is not exactly one such reference.
    #[serde(rename = "use")]
    pub used: Option<Use>,
    /// Why there is none.
    #[serde(default)]
    pub missing: Option<String>,
    /// The certificate that is named now, as base64 of its DER; empty: it is not in its store.
    #[serde(default)]
    pub leaf: String,
    /// Its key is there.
    #[serde(default)]
    pub key: bool,
    /// SIDs that may open that key.
    #[serde(default)]
    pub readers: Vec<String>,
    /// The wanted certificate is in its store already,
    #[serde(default)]
    pub new: bool,
    /// with its key.
    #[serde(default, rename = "newKey")]
    pub new_key: bool,
    /// Which of the wanted intermediates are there.
    #[serde(default)]
    pub chain: Vec<String>,
    /// Every binding for HTTPS.
    #[serde(default)]
    pub others: Vec<Other>,
    /// The table of http.sys as printed.
    #[serde(default)]
    pub http: String,
    /// A change that was begun and not ended.
    #[serde(default)]
    pub journal: Option<Journal>,
    /// Seconds since 1970 by the machine's clock.
    pub clock: i64,
}

impl Seen {
    /// Why there is no such reference, in the machine's words.
    pub(crate) fn why_missing(&self) -> String {
        shown(self.missing.as_deref().unwrap_or_default())
    }
}

/// A certificate was imported.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Begun {
    /// SIDs that may open its key.
    #[serde(default)]
    pub readers: Vec<String>,
    /// It was not there before.
    pub made: bool,
}

/// Nothing but that it was done.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Done {
    /// Always true: its presence is the answer.
    pub done: bool,
}

/// How an undo ended.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Undone {
    /// `nothing` was left to undo; the reference went `back`, had `never` moved, or names yet an `other` certificate.
    pub words: String,
    /// The new certificate stays in its store, because something uses it.
    #[serde(default)]
    pub left: bool,
    /// Whose change it was.
    #[serde(default)]
    pub by: String,
}
