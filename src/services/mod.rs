//! Service profiles: what certroll knows about nginx, Postfix and the others, as data.
//!
//! A profile is a YAML file; the built-in ones are embedded, an operator's own lie in `services/`
//! beside the playbook and may extend a built-in one. `docs/services.md` describes the format.
//! Nothing here runs anything: [`choose()`] picks the commands and paths for one kind of host.

mod choose;
mod family;
mod format;
mod keys;
mod profile;
mod registry;
mod show;

pub use choose::{Files, Resolved, ResolvedReload, ResolvedSeal, ResolvedStep, choose};
pub use family::ByFamily;
pub use keys::json_schema;
pub use profile::{
    CertFile, ChainPlace, CommandSpec, Covers, Discover, Discovered, ExitCode, KeyPlace, Layout,
    MakeDir, Modes, Owner, Owners, Paths, Pattern, Profile, Reads, Reload, Running, SealedBoot,
    SelfReload, ValidateStep, VerifyDefault, Via,
};
pub use registry::Profiles;
pub use show::{ListRow, list, show};
