//! What a server really serves, seen by a TLS handshake.
