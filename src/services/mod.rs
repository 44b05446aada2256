//! Service profiles: what certroll knows about nginx, Postfix and the others, as data.
//!
//! A profile is a YAML file; the built-in ones are embedded, an operator's own lie in `services/`
//! beside the playbook and may extend a built-in one. `docs/services.md` describes the format.
//! Nothing here runs anything: [`choose()`] picks the commands and paths for one kind of host.

mod choose;
mod family;
mod format;
mod keys;
mod pattern;
mod profile;
mod registry;
mod show;

pub use choose::{Files, ResolvedReload, choose};
pub(crate) use choose::{Resolved, ResolvedSeal, ResolvedStep};
pub use family::ByFamily;
pub use keys::json_schema;
pub(crate) use profile::{
    AsUser, CertFile, ChainPlace, Discover, Discovered, InContainer, MakeDir, Owner, Running,
    SelfReload, VerifyDefault, Via,
};
pub use profile::{CommandSpec, Covers, ExitCode, KeyPlace, Owners, Paths, Profile, Reads, Reload};
pub use registry::Profiles;
pub(crate) use registry::of_store;
pub(crate) use show::ListRow;
pub use show::{list, show};
