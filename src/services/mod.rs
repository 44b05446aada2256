//! Service profiles: what each service reads, checks, reloads and serves, as data.
