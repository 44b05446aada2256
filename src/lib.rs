//! certroll rolls TLS certificates out to fleets over SSH.
//!
//! A host ends all new and verified, or all old: never in between. `docs/architecture.md` tells
//! how the parts fit together; modules import only from layers below their own, which
//! `tests/layers.rs` checks.

pub mod clock;
pub mod event;
pub mod model;
pub mod source;
