//! Death at every step of the program on the host: the points come from the program itself, which calls
//! a function `step` between every two actions.
//!
//! Each run is left at one point, in one way, under one shell. What the next contact (or the guard, or the
//! program itself) then leaves must be all old or all new: bytes, owners, modes, times and inodes, no
//! litter, the lock free, and the service told to load what is there.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod boot;
mod crash;
mod endings;
mod gate;
mod imports;
mod leavings;
mod many;
mod points;
mod scene;
mod stragglers;
