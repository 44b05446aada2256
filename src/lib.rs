//! certroll rolls TLS certificates out to fleets over SSH.
//!
//! A host ends all new and verified, or all old: never in between. `docs/architecture.md` tells
//! how the parts fit together; modules import only from layers below their own, which
//! `tests/pure/layers.rs` checks.

pub mod cli;
pub mod clock;
pub mod engine;
pub mod event;
pub mod host;
pub mod inputs;
pub mod inventory;
pub mod journal;
pub mod lab;
pub mod load;
pub mod material;
pub mod model;
pub mod plan;
pub mod playbook;
pub mod remote;
pub mod report;
pub mod services;
pub mod source;
pub mod template;
pub mod transport;
pub mod vault;
pub mod verify;
