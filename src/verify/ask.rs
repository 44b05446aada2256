//! A look at a server that may have several certificates for a name, one per kind of key.

use crate::material::Certificate;
use crate::verify::dial::Dial;
use crate::verify::handshake::handshake;
use crate::verify::probe::{Probe, Served, SignatureChoice};
use crate::verify::refusal::Refusal;
use tokio::time::Instant;

/// Makes one handshake, and a second one where the server turns the first down and that may be for the
/// kind of key that `probe` asks for: then whatever it shows without such a wish is the answer, and
/// [`Served::lacks`] says that the kind was not there.
///
/// Both have to be done within `probe.timeout`.
///
/// # Errors
/// As [`handshake`]; after a second handshake its refusal, unless only its time was up.
pub async fn ask(probe: &Probe, dial: &dyn Dial) -> Result<Served, Refusal> {
    let begun = Instant::now();
    let refusal = match handshake(probe, dial).await {
        Err(refusal) if may_lack(probe.signature, &refusal) => refusal,
        ended => return ended,
    };
    let timeout = probe.timeout.saturating_sub(begun.elapsed());
    let anything = Probe { signature: SignatureChoice::Any, timeout, ..probe.clone() };
    match handshake(&anything, dial).await {
        Ok(served) => {
            // An issuer's signature of another kind makes some servers refuse a leaf that they have.
            let lacks = (kind_of(&served) != Some(probe.signature)).then_some(probe.signature);
            Ok(Served { lacks, ..served })
        }
        Err(Refusal::Timeout { .. }) => Err(refusal),
        Err(other) => Err(other),
    }
}

/// A server without a fitting certificate sends an alert (RFC 8446 §4.4.2.2), mostly
/// `handshake_failure`, or signs with what it has although that was not offered.
fn may_lack(asked: SignatureChoice, refusal: &Refusal) -> bool {
    asked != SignatureChoice::Any && matches!(refusal, Refusal::Alert { .. } | Refusal::Tls { .. })
}

fn kind_of(served: &Served) -> Option<SignatureChoice> {
    let leaf = Certificate::from_der(served.chain.first()?)?;
    Some(SignatureChoice::of(&leaf.public_key))
}
