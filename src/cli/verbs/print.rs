//! Text on standard output.

use crate::cli::failure::Failure;
use crate::engine::exit;
use std::io::{self, Write};

/// Writes it whole and returns the exit code.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn print(bytes: &[u8]) -> Result<u8, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // A reader that went away had what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit::OK),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(exit::OK),
    }
}
