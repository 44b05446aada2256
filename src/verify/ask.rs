//! A look at a server that may have several certificates for a name, one per kind of key.

use crate::material::Certificate;
use crate::verify::dial::Dial;
use crate::verify::handshake::offering;
use crate::verify::offer::Offer;
use crate::verify::otherwise;
use crate::verify::probe::{Phase, Probe, Served, SignatureChoice};
use crate::verify::refusal::Refusal;
use tokio::time::Instant;

/// Makes one handshake as any client would. Where that shows another kind of key than `probe` asks for, a
/// second one offers nothing but that kind, and its certificate is the answer. A server that has none
/// turns it down: then the answer is what it shows to everybody, and [`Served::lacks`] names the kind.
///
/// In this order because servers are at their best with usual clients: some close the connection without a
/// word when they have nothing that fits, and some look at the issuers' signatures too.
///
/// A server that shares no suite or group with [`Offer::Usual`] is asked with [`Offer::Older`], and what it speaks
/// otherwise is found out, before it counts as one without TLS. All of it has to be done within `probe.timeout`.
///
/// # Errors
/// As [`handshake`](crate::verify::handshake()).
pub async fn ask(probe: &Probe, dial: &dyn Dial) -> Result<Served, Refusal> {
    let begun = Instant::now();
    let usual = Probe { signature: SignatureChoice::Any, ..probe.clone() };
    let left = || probe.timeout.saturating_sub(begun.elapsed());
    let (offer, served) = match offering(Offer::Usual, &usual, dial).await {
        Ok(served) => (Offer::Usual, served),
        Err(refusal) if refusal.shares_nothing() => {
            let usual = Probe { timeout: left(), ..usual };
            // What it says to the usual question is what the operator can look up.
            match offering(Offer::Older, &usual, dial).await {
                Ok(served) => (Offer::Older, served),
                Err(_) => {
                    let usual = Probe { timeout: left(), ..usual };
                    return Err(match otherwise::speaks(&usual, dial).await {
                        Some(speaks) => Refusal::Unverifiable { speaks },
                        None => refusal,
                    });
                }
            }
        }
        Err(refusal) => return Err(refusal),
    };
    let asked = probe.signature;
    if asked == SignatureChoice::Any || kind_of(&served).is_none_or(|kind| kind == asked) {
        return Ok(served);
    }
    match offering(offer, &Probe { timeout: left(), ..probe.clone() }, dial).await {
        Err(refusal) if means_none(&refusal) => Ok(Served { lacks: Some(asked), ..served }),
        Err(Refusal::Timeout { phase, .. }) => {
            Err(Refusal::Timeout { phase, after: probe.timeout })
        }
        ended => ended,
    }
}

/// A server without a fitting certificate sends an alert (RFC 8446 §4.4.2.2), mostly `handshake_failure`,
/// or just closes, or signs with what it has although that was not offered.
fn means_none(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Alert { .. } | Refusal::Tls { .. } | Refusal::Closed { phase: Phase::Tls }
    )
}

/// `None` when the certificate cannot be read.
fn kind_of(served: &Served) -> Option<SignatureChoice> {
    let leaf = Certificate::from_der(served.chain.first()?)?;
    Some(SignatureChoice::of(&leaf.public_key))
}
