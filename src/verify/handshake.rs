//! One connection, one dialogue, one handshake.

use crate::model::{Fingerprint, StartTls};
use crate::verify::dial::{Dial, Onwards, Resolving, Stream};
use crate::verify::offer::Offer;
use crate::verify::probe::{Phase, Probe, Served};
use crate::verify::recorder::Recorder;
use crate::verify::refusal::{ConnectFailure, OLD_VERSIONS, Refusal, shown};
use crate::verify::starttls;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, Error as TlsError, PeerIncompatible};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout};

/// Bytes of the server's first words in the TLS phase that are kept for the case that they are not TLS.
const HEARD: usize = 256;
/// Patience with a server that does not even take our goodbye.
const GOODBYE: Duration = Duration::from_millis(50);

/// Makes one handshake in a fresh session (no resumption, no tickets, no early data) and reports
/// what was served. The certificate may be any; the server's proof that it holds the key is checked.
///
/// Dropping the future closes the connection.
///
/// # Errors
/// A [`Refusal`] when no certificate, or no proof of its key, was seen within `probe.timeout`.
pub async fn handshake(probe: &Probe, dial: &dyn Dial) -> Result<Served, Refusal> {
    offering(Offer::Usual, probe, dial).await
}

/// A [`handshake`] that offers this.
pub(super) async fn offering(
    offer: Offer,
    probe: &Probe,
    dial: &dyn Dial,
) -> Result<Served, Refusal> {
    let mut progress = Progress { phase: Phase::Connect, heard: Vec::new() };
    match timeout(probe.timeout, attempt(offer, probe, dial, &mut progress)).await {
        Ok(ended) => ended,
        Err(_) if progress.heard_plain_text() => Err(progress.plain_text(probe.starttls)),
        Err(_) => Err(Refusal::Timeout { phase: progress.phase, after: probe.timeout }),
    }
}

/// How far a try has come; outlives the try when its time is up.
struct Progress {
    phase: Phase,
    /// The first bytes that the server sent in the TLS phase.
    heard: Vec<u8>,
}

impl Progress {
    /// A TLS record starts with its type, 20 to 24, and the major version 3 (RFC 8446 §5.1).
    fn heard_plain_text(&self) -> bool {
        match self.heard.as_slice() {
            [] => false,
            [kind] => !(20..=24).contains(kind),
            [kind, major, ..] => !(20..=24).contains(kind) || *major != 3,
        }
    }

    fn plain_text(&self, starttls: StartTls) -> Refusal {
        let seen = shown(&self.heard);
        match starttls {
            StartTls::None => Refusal::PlainText { seen },
            _ => Refusal::Injected { seen },
        }
    }
}

async fn attempt(
    offer: Offer,
    probe: &Probe,
    dial: &dyn Dial,
    progress: &mut Progress,
) -> Result<Served, Refusal> {
    let name = sni(probe)?;
    let host = match probe.address {
        Some(address) => address.ip().to_string(),
        None => probe.endpoint.host.clone(),
    };
    let port = probe.address.map_or(probe.endpoint.port, |address| address.port());
    let mut stream = dial.dial(&host, port).await.map_err(|error| not_connected(&host, &error))?;
    let address = stream.peer().or(probe.address);
    starttls::upgrade(&mut *stream, probe, &mut progress.phase).await?;

    progress.phase = Phase::Tls;
    let started = Instant::now();
    let recorder = Arc::new(Recorder::new(offer.provider(probe.signature), probe.signature));
    let config = config(offer, &recorder)?;
    let tap = Tap { stream, heard: &mut progress.heard };
    let ended = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tap).await;
    let handshake_time = started.elapsed();
    let (protocol, cipher) = match ended {
        Ok(mut tls) => {
            let (_, session) = tls.get_ref();
            let protocol = session.protocol_version().and_then(|version| version.as_str());
            let suite = session.negotiated_cipher_suite().map(|suite| suite.suite());
            let cipher = suite.and_then(|suite| suite.as_str()).unwrap_or("unknown");
            let named =
                (protocol.unwrap_or("unknown").replace("TLSv1_", "TLSv1."), cipher.to_owned());
            // The verdict stands; a server that does not take the close_notify changes nothing.
            timeout(GOODBYE, tls.shutdown()).await.ok();
            named
        }
        Err(error) => match broke_off(offer, &recorder) {
            Some(protocol) => (protocol.to_owned(), "unknown".to_owned()),
            None => return Err(no_tls(&error, probe, progress, &recorder)),
        },
    };
    let mut recording = recorder.recording();
    let chain = std::mem::take(&mut recording.chain);
    let leaf = chain
        .first()
        .map(|der| Fingerprint::of(der))
        .ok_or_else(|| Refusal::Tls { message: "the server sent no certificate".to_owned() })?;
    Ok(Served {
        leaf,
        chain,
        protocol,
        cipher,
        older_only: offer == Offer::Older,
        address,
        ocsp_stapled: recording.ocsp_stapled,
        wants_client_certificate: recording.wants_client_certificate,
        lacks: None,
        handshake_time,
    })
}

fn sni(probe: &Probe) -> Result<ServerName<'static>, Refusal> {
    // A trailing dot is legal in DNS and never sent in SNI (RFC 6066 §3).
    let name = probe.name().trim_end_matches('.');
    ServerName::try_from(name.to_owned()).map_err(|_| Refusal::Tls {
        message: format!("'{}' cannot be sent as a server name", shown(name.as_bytes())),
    })
}

fn config(offer: Offer, recorder: &Arc<Recorder>) -> Result<ClientConfig, Refusal> {
    let mut config = ClientConfig::builder_with_provider(recorder.provider())
        .with_protocol_versions(offer.versions())
        .map_err(|error| Refusal::Tls { message: error.to_string() })?
        .dangerous()
        .with_custom_certificate_verifier(recorder.clone())
        .with_client_cert_resolver(recorder.clone());
    // A resumed session shows no certificate.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// In TLS 1.2 a server that insists on a client certificate ends the handshake, but only after it
/// has shown its own and signed with its key: that is all that is asked for here. With suites that are not
/// spoken here it is the same.
fn broke_off(offer: Offer, recorder: &Recorder) -> Option<&'static str> {
    let recording = recorder.recording();
    recording.proven.filter(|_| recording.wants_client_certificate || offer == Offer::Older)
}

/// What an error of a [`Dial`] means.
pub(crate) fn not_connected(host: &str, error: &io::Error) -> Refusal {
    let inner = error.get_ref();
    if let Some(resolving) = inner.and_then(|inner| inner.downcast_ref::<Resolving>()) {
        return Refusal::Resolve { host: host.to_owned(), message: shown(resolving.0.as_bytes()) };
    }
    if let Some(onwards) = inner.and_then(|inner| inner.downcast_ref::<Onwards>()) {
        return Refusal::Connect(ConnectFailure::Onwards(shown(onwards.0.as_bytes())));
    }
    Refusal::Connect(match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectFailure::Refused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => ConnectFailure::Reset,
        io::ErrorKind::TimedOut => ConnectFailure::TimedOut,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            ConnectFailure::Unreachable
        }
        _ => ConnectFailure::Other(shown(error.to_string().as_bytes())),
    })
}

fn no_tls(error: &io::Error, probe: &Probe, progress: &Progress, recorder: &Recorder) -> Refusal {
    if progress.heard_plain_text() {
        return progress.plain_text(probe.starttls);
    }
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Refusal::Closed { phase: Phase::Tls },
            _ => Refusal::Tls { message: shown(error.to_string().as_bytes()) },
        };
    };
    let recording = recorder.recording();
    match tls {
        TlsError::AlertReceived(alert) => Refusal::Alert { name: alert_name(*alert) },
        TlsError::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => Refusal::Tls { message: OLD_VERSIONS.to_owned() },
        _ if recording.bad_signature => match recording.chain.first() {
            Some(der) => Refusal::BadSignature { leaf: Fingerprint::of(der) },
            None => Refusal::Tls { message: tls.to_string() },
        },
        TlsError::General(message) => Refusal::Tls { message: message.clone() },
        other => Refusal::Tls { message: shown(other.to_string().as_bytes()) },
    }
}

/// `HandshakeFailure` → `handshake_failure`, the spelling of the IANA registry.
fn alert_name(alert: AlertDescription) -> String {
    if alert == AlertDescription::UnrecognisedName {
        return "unrecognized_name".to_owned();
    }
    let mut name = String::new();
    for c in format!("{alert:?}").chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// Passes everything through and keeps the first bytes that come in.
struct Tap<'a> {
    stream: Box<dyn Stream>,
    heard: &'a mut Vec<u8>,
}

impl AsyncRead for Tap<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let tap = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut tap.stream).poll_read(context, buffer);
        let new = &buffer.filled()[before..];
        let missing = HEARD.saturating_sub(tap.heard.len());
        tap.heard.extend_from_slice(&new[..new.len().min(missing)]);
        polled
    }
}

impl AsyncWrite for Tap<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_have_their_registered_names() {
        for (alert, name) in [
            (AlertDescription::HandshakeFailure, "handshake_failure"),
            (AlertDescription::ProtocolVersion, "protocol_version"),
            (AlertDescription::UnrecognisedName, "unrecognized_name"),
            (AlertDescription::InternalError, "internal_error"),
        ] {
            assert_eq!(alert_name(alert), name);
        }
    }
}
