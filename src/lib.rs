//! certroll rolls TLS certificates out to fleets over SSH.
//!
//! A host ends all new and verified, or all old: never in between. `docs/architecture.md` tells
//! how the parts fit together; modules import only from layers below their own, which
//! `tests/pure/layers/` checks.

mod bigip;
pub mod cli;
mod clock;
mod discover;
mod engine;
mod event;
mod host;
mod inputs;
mod inventory;
mod journal;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod lab;
mod load;
mod material;
mod model;
mod plan;
mod playbook;
mod remote;
mod report;
mod services;
mod source;
mod template;
#[doc(hidden)]
pub mod testing;
mod transport;
mod vault;
mod verify;
mod windows;
