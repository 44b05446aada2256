//! An embedded fleet, in one process, behind real SSH and real TLS: for the demo and tests.
