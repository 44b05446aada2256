//! Exit codes. `docs/exit-codes.md` explains each to operators.

/// All well.
pub const OK: u8 = 0;
/// The run could not go on: usage, playbook, inventory, vault, material.
pub const USAGE: u8 = 1;
/// Some host failed; rolled back counts as failed.
pub const FAILED: u8 = 2;
/// `plan --exit-code`: changes are pending.
pub const PENDING: u8 = 3;
/// Some host was unreachable and none failed.
pub const UNREACHABLE: u8 = 4;
/// Some hosts failed and some were unreachable.
pub const FAILED_AND_UNREACHABLE: u8 = 6;
/// Interrupted by the operator.
pub const INTERRUPTED: u8 = 130;
