//! Looking for the certificates of one host: readings, handshakes, findings. Changes nothing.

use super::connection::HostConnection;
use super::context::Context;
use super::failure::{self, HostFailure};
use crate::discover::{Answers, Asked, Findings, Questions};
use crate::event::Kind;
use crate::event::found::FoundCertificate;
use crate::host::{HostFacts, Inspection, StateDirs};
use crate::model::text::plural;
use crate::model::{Endpoint, HostName, Step};
use crate::remote;
use crate::services::Profiles;
use crate::verify::{ConnectFailure, Dial, Probe, Refusal, Served, Tcp, ask};
use futures::StreamExt;
use futures::stream;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Handshakes that one host makes at a time.
const AT_A_TIME: usize = 8;
/// For all handshakes of a host: one that answers slowly everywhere must not hold up the run.
const LONGEST: Duration = Duration::from_secs(120);
/// For each handshake.
const PATIENCE: Duration = Duration::from_secs(5);
/// Days left below which `--exit-code` speaks, unless `--expiring` says otherwise: Let's Encrypt's clients renew at 30.
pub(crate) const USUAL_DAYS: i64 = 21;

/// Tells what certificates a host has. Returns one line and whether any of them wants attention.
///
/// # Errors
/// The host cannot be reached or asked.
pub(super) async fn discover(
    context: &Context,
    host: &HostName,
    connection: &HostConnection,
    dirs: Option<StateDirs>,
    profiles: &Profiles,
    expiring: Option<i64>,
) -> Result<String, HostFailure> {
    let read = |request: Inspection| read(host, connection, request);
    let running = context.emitter.step(host, Step::Inspect);
    let questions = Questions::new(profiles, dirs);
    let mut readings = questions.take(&read(questions.first()).await?);
    readings.take(read(readings.second()).await?);
    if let Some(listing) = readings.directories() {
        let listed = read(listing).await?;
        readings.take(read(readings.third(&listed)).await?);
    }
    if let Some(keys) = readings.keys() {
        readings.take(read(keys).await?);
    }
    running.end(plural(readings.services.len(), "service"));
    let findings = Findings::of(&readings);
    let running = context.emitter.step(host, Step::Verify);
    let asked = findings.asked();
    let many = plural(asked.len(), "handshake");
    let answers = stream::iter(asked)
        .map(|asked| async {
            let answer = handshake(&asked, connection).await;
            (asked, answer.map_err(|refusal| refusal.describe()))
        })
        .buffer_unordered(AT_A_TIME)
        .take_until(tokio::time::sleep(LONGEST))
        .collect::<Answers>();
    let answers = answers.await;
    running.end(many);
    for note in findings.notes() {
        context.emitter.warn(Some(host), note);
    }
    let mut certificates = findings.judged(&answers, context.identity.now);
    let days = expiring.unwrap_or(USUAL_DAYS);
    if certificates.iter().any(|one| one.wants_attention(days)) {
        context.ledger().mark_pending(host);
    }
    if expiring.is_some() {
        certificates.retain(|one| one.wants_attention(days));
    }
    let words = summary(&certificates, expiring);
    context.emitter.host(host, Kind::HostCertificates { certificates });
    Ok(words)
}

fn summary(certificates: &[FoundCertificate], expiring: Option<i64>) -> String {
    let many = plural(certificates.len(), "certificate");
    match expiring {
        Some(days) => format!("{many} with less than {days} days left, or with something wrong"),
        None => format!("{many} found"),
    }
}

async fn read(
    host: &HostName,
    connection: &HostConnection,
    request: Inspection,
) -> Result<HostFacts, HostFailure> {
    let process = connection.sh().await.map_err(|error| error.ended("discover"))?;
    remote::inspect(process, &request)
        .await
        .map_err(|error| failure::remote("discover", host, &error, None))
}

/// From the host itself, so that no balancer answers for it; from the controller where the host's server forwards nothing.
async fn handshake(asked: &Asked, connection: &HostConnection) -> Result<Served, Refusal> {
    let local = SocketAddr::new(asked.address, asked.place.port);
    let probe = Probe {
        server_name: asked.server_name.clone(),
        starttls: asked.place.starttls,
        timeout: PATIENCE,
        address: Some(local),
        signature: asked.signature,
        ..Probe::new(Endpoint { host: asked.address.to_string(), port: asked.place.port })
    };
    let through: Arc<dyn Dial> = connection.dialers().host.unwrap_or_else(|| Arc::new(Tcp));
    let answer = ask(&probe, &*through).await;
    let is_refused = |refusal: &Refusal| matches!(refusal, Refusal::Connect(ConnectFailure::Onwards(why)) if why.contains("prohibited"));
    match (answer, connection.address()) {
        (Err(refusal), Some(address)) if is_refused(&refusal) => {
            let endpoint = Endpoint { host: address.to_owned(), port: asked.place.port };
            let probe = Probe { endpoint, address: None, ..probe };
            // The first answer tells the operator more when this fails as well.
            ask(&probe, &Tcp).await.map_err(|_| refusal)
        }
        (answer, _) => answer,
    }
}
