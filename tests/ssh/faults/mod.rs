//! Transactions with hosts that lie, break off, flood, dawdle or fall silent: each gets its outcome and its
//! message, and the host ends all old or all new.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by it; a test has no callers"
)]

mod breaks;
mod lies;
mod silence;
mod site;
