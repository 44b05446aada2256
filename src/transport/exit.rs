//! How a program ended.

use std::fmt;

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code. Absent after a signal, and when the peer told none: the result is unknown.
    pub code: Option<i32>,
    /// The signal that ended it, without `SIG`.
    pub signal: Option<String>,
    /// The peer closed the channel. False: the connection was lost, the program may still run.
    pub closed_cleanly: bool,
}

impl Exit {
    /// Ended by itself with code 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, &self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => write!(f, "signal {signal}"),
            (None, None) if self.closed_cleanly => f.write_str("no exit code"),
            (None, None) => f.write_str("lost connection"),
        }
    }
}
