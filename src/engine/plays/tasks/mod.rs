//! What single tasks do on single hosts, all kinds but `certificate`.

pub(super) mod action;
mod command;
mod pause;
mod perform;
mod simple;
mod wait_for;
