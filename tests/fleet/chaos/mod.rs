//! Real servers in trouble: controllers that are killed, frozen or interrupted, links that swallow
//! packets, hosts that lose power, other writers and other controllers, all in the middle of rollouts
//! of nginx and postfix over sshd and sudo.
//!
//! Afterwards every service of every host serves what its files say, which is one generation whole,
//! the right one where the controller had told it; nothing is left behind, and the next run needs no
//! help. What is served is asked of openssl, on the host itself.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by it; a test has no callers"
)]

mod clashes;
pub mod ground;
mod interrupts;
mod resume;
mod strikes;
mod trouble;
