//! The only reader of input files.
