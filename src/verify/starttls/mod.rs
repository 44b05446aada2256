//! The dialogues that come before a handshake on a plain-text port: one file per family.
//!
//! Each says no more than it must, sends nothing after the request for TLS until the consent is
//! complete, and never pipelines. Input is bounded, in lines and in all; the time is bounded by
//! the caller. Whatever the server sends in plain text behind its consent is an injection: it is
//! reported, and neither read as a reply nor handed to TLS (CVE-2011-0411, CVE-2021-23222).

mod dialogue;
mod ftp;
mod imap;
mod ldap;
mod mysql;
mod pop3;
mod postgres;
mod sieve;
mod smtp;
mod xml;
mod xmpp;

use crate::model::StartTls;
use crate::verify::dial::Stream;
use crate::verify::probe::{Phase, Probe};
use crate::verify::refusal::Refusal;
use dialogue::Dialogue;

/// Talks until the server has agreed to TLS; does nothing for implicit TLS. `phase` follows the
/// dialogue, so that a caller whose time is up knows where it stood.
pub(super) async fn upgrade(
    stream: &mut dyn Stream,
    probe: &Probe,
    phase: &mut Phase,
) -> Result<(), Refusal> {
    let mut dialogue = Dialogue::new(stream, probe.starttls, phase);
    match probe.starttls {
        StartTls::None => return Ok(()),
        StartTls::Smtp => smtp::upgrade(&mut dialogue, "EHLO").await?,
        StartTls::Lmtp => smtp::upgrade(&mut dialogue, "LHLO").await?,
        StartTls::Imap => imap::upgrade(&mut dialogue).await?,
        StartTls::Pop3 => pop3::upgrade(&mut dialogue).await?,
        StartTls::Sieve => sieve::upgrade(&mut dialogue).await?,
        StartTls::Ldap => ldap::upgrade(&mut dialogue).await?,
        StartTls::Ftp => ftp::upgrade(&mut dialogue).await?,
        StartTls::Postgres => postgres::upgrade(&mut dialogue).await?,
        StartTls::Mysql => mysql::upgrade(&mut dialogue).await?,
        StartTls::Xmpp => xmpp::upgrade(&mut dialogue, probe).await?,
    }
    dialogue.end()
}
