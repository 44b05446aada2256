//! Certificates, chains and keys on the controller: bytes in, checked bundles out. Pure.
