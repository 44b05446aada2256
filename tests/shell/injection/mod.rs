//! Nothing that a user, an inventory or a profile wrote as a value is ever run: it is refused before
//! anything is connected to, or it arrives as it was written.
//!
//! The real binary runs the real programs on this machine (`ansible_connection: local`), under every shell
//! that is installed. Hostile texts name a program, `canary`, in all the ways in which a shell would run
//! it; `record` writes down its arguments.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by it; a test has no callers"
)]

mod control;
mod fixed;
mod place;
mod random;
