//! The dialogues that come before a handshake on a plain-text port.

use crate::model::StartTls;
use crate::verify::dial::Stream;
use crate::verify::probe::{Phase, Probe};
use crate::verify::refusal::Refusal;

/// Talks until the server has agreed to TLS; does nothing for implicit TLS.
pub(super) async fn upgrade(
    _stream: &mut dyn Stream,
    probe: &Probe,
    _phase: &mut Phase,
) -> Result<(), Refusal> {
    match probe.starttls {
        StartTls::None => Ok(()),
        protocol => Err(Refusal::NotOffered { protocol }),
    }
}
