//! The command line: arguments, the calls behind each verb, errors and exit codes.

pub mod exit;
