//! The library, and the program on plain files: nothing but this crate is needed.

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod docs;
mod examples;
mod layers;
mod model;
mod plan;
mod playbook_schema;
mod service_pages;
mod services;
mod verify;
mod verify_hostile;
