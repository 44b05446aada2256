//! SSH sessions that run commands. Moves bytes and knows nothing of certificates.
