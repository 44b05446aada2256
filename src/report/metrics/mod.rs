//! `--metrics FILE`: what a run came to, as Prometheus text for node_exporter's textfile collector.
//!
//! The file is replaced in one step when the run is over, so that a collector never reads half of
//! one. `docs/metrics.md` explains every metric.

use super::theme::line;
use super::{Reporter, RunView};
use crate::event::{Event, Kind, Summary};
use crate::model::{HostName, Outcome, Step, Timestamp};
use indexmap::IndexMap;
use prometheus::{Encoder, GaugeVec, Histogram, HistogramOpts, HistogramVec, Opts, Registry};
use std::io::{self, Write};
use std::path::PathBuf;

/// Bounds in seconds: from one round trip to the longest patience that a playbook asks for.
const BUCKETS: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

/// Every result of a service, in the order of the page.
pub(crate) const RESULTS: [&str; 10] = [
    "deployed",
    "unchanged",
    "validation_failed",
    "reload_failed",
    "verify_failed",
    "failed",
    "unreachable",
    "unknown",
    "not_restored",
    "rolled_back",
];

/// Every outcome of a host, in the order of the page.
const OUTCOMES: [&str; 8] = [
    "changed",
    "unchanged",
    "skipped",
    "failed",
    "rolled_back",
    "not_restored",
    "unreachable",
    "unknown",
];

/// Writes the file when the run has ended.
#[derive(Debug)]
pub(crate) struct Metrics {
    path: PathBuf,
}

impl Metrics {
    /// To `path`.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Writes beside the file and renames. The collector runs as another user, so all may read.
    fn write(&self, text: &[u8]) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => ".".as_ref(),
        };
        // Collectors read `*.prom` only; this name does not end so.
        let mut file = tempfile::Builder::new()
            .prefix(".certroll-metrics-")
            .permissions(std::fs::Permissions::from_mode(0o644))
            .tempfile_in(directory)?;
        file.write_all(text)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }
}

impl Reporter for Metrics {
    fn on_event(&mut self, event: &Event, view: &RunView) -> io::Result<()> {
        let Kind::Summary(summary) = &event.kind else { return Ok(()) };
        let text = text(view, summary).map_err(io::Error::other);
        text.and_then(|text| self.write(&text)).map_err(|error| {
            let path = self.path.display();
            io::Error::new(error.kind(), format!("cannot write metrics to {path}: {error}"))
        })
    }
}

/// The file's text.
///
/// # Errors
/// None that a program without a mistake has: names and labels are constants.
pub(crate) fn text(view: &RunView, summary: &Summary) -> Result<Vec<u8>, prometheus::Error> {
    let registry = Registry::new();
    add_run(view, summary, &registry)?;
    add_services(view, &registry)?;
    add_found(view, &registry)?;
    add_durations(view, &registry)?;
    let mut text = Vec::new();
    prometheus::TextEncoder::new().encode(&registry.gather(), &mut text)?;
    Ok(text)
}

fn add_run(
    view: &RunView,
    summary: &Summary,
    registry: &Registry,
) -> Result<(), prometheus::Error> {
    let info = gauge(
        registry,
        "certroll_last_run_info",
        "The last run: its verb and certroll's version. Always 1.",
        &["command", "version"],
    )?;
    let command = line(&view.start.command);
    info.with_label_values(&[command.as_str(), env!("CARGO_PKG_VERSION")]).set(1.0);
    let end = view.moment.map(Timestamp::unix).unwrap_or_default();
    for (name, help, value) in [
        ("certroll_last_run_timestamp_seconds", "When the last run ended.", end as f64),
        (
            "certroll_last_run_duration_seconds",
            "How long the last run took.",
            view.elapsed.as_secs_f64(),
        ),
        (
            "certroll_last_run_exit_code",
            "Exit code of the last run; 0 is good.",
            f64::from(summary.exit_code),
        ),
    ] {
        gauge(registry, name, help, &[])?.with_label_values::<&str>(&[]).set(value);
    }
    let hosts = gauge(
        registry,
        "certroll_last_run_hosts",
        "Hosts of the last run by outcome.",
        &["outcome"],
    )?;
    for outcome in OUTCOMES {
        let count = summary.hosts.values().filter(|host| host.outcome.name() == outcome).count();
        hosts.with_label_values(&[outcome]).set(count as f64);
    }
    Ok(())
}

fn add_services(view: &RunView, registry: &Registry) -> Result<(), prometheus::Error> {
    let gauges = gauge(
        registry,
        "certroll_last_run_services",
        "Services of the last run by result; rolled_back counts beside the failure's own result.",
        &["service", "result"],
    )?;
    for (service, counts) in services(view) {
        for (result, count) in RESULTS.iter().zip(counts) {
            gauges.with_label_values(&[service.as_str(), result]).set(f64::from(count));
        }
    }
    let gauges = gauge(
        registry,
        "certroll_served_certificate_not_after_timestamp_seconds",
        "Last second of validity of the certificate that the service was last seen to serve.",
        &["host", "service"],
    )?;
    for ((host, service), last) in served(view) {
        let host = line(host.as_str());
        gauges.with_label_values(&[&host, &service]).set(last.unix() as f64);
    }
    Ok(())
}

/// What `discover` found. Two files of a service on a host may have one certificate, two certificates have two files:
/// the file tells them apart, or else the port.
fn add_found(view: &RunView, registry: &Registry) -> Result<(), prometheus::Error> {
    let gauges = gauge(
        registry,
        "certroll_found_certificate_not_after_timestamp_seconds",
        "Last second of validity of a certificate that discover found.",
        &["host", "service", "file", "state"],
    )?;
    for (host, run) in &view.hosts {
        for found in &run.found {
            let Some(certificate) = &found.certificate else { continue };
            let port = found.endpoints.first().map(|seen| seen.endpoint.to_string());
            let file = found.file.clone().or(port).unwrap_or_default();
            let state = serde_json::json!(found.state);
            let labels = [
                line(host.as_str()),
                line(found.service.as_deref().unwrap_or_default()),
                line(&file),
                state.as_str().unwrap_or_default().to_owned(),
            ];
            let last = certificate.validity.not_after.unix() as f64;
            gauges.with_label_values(&labels).set(last);
        }
    }
    Ok(())
}

/// Counts in the order of [`RESULTS`], by service.
fn services(view: &RunView) -> IndexMap<String, [u32; RESULTS.len()]> {
    let mut services: IndexMap<String, [u32; RESULTS.len()]> = IndexMap::new();
    for end in view.hosts.values().flat_map(|host| &host.certificates) {
        for service in &end.services {
            let counts = services.entry(line(&service.service)).or_default();
            for result in results(end.outcome) {
                let place = RESULTS.iter().position(|name| name == result);
                place.into_iter().for_each(|place| counts[place] += 1);
            }
        }
    }
    services
}

/// The dates of what is served. Where a service serves several certificates, the one that ends first
/// counts.
fn served(view: &RunView) -> IndexMap<(&HostName, String), Timestamp> {
    let mut served: IndexMap<(&HostName, String), Timestamp> = IndexMap::new();
    for (host, run) in &view.hosts {
        let ends = run.certificates.iter().flat_map(|end| &end.services);
        let ends = ends.filter_map(|end| Some((&end.service, end.not_after?)));
        let looks = run.status.iter().flat_map(|(_, status)| &status.served);
        let looks = looks.filter_map(|look| {
            Some((&look.service, look.certificate.as_ref()?.validity.not_after))
        });
        for (service, last) in ends.chain(looks) {
            let known = served.entry((host, line(service))).or_insert(last);
            *known = last.min(*known);
        }
    }
    served
}

fn add_durations(view: &RunView, registry: &Registry) -> Result<(), prometheus::Error> {
    let steps = HistogramVec::new(
        HistogramOpts::new(
            "certroll_last_run_step_duration_seconds",
            "How long the steps of the last run took, failed ones too.",
        )
        .buckets(BUCKETS.to_vec()),
        &["step"],
    )?;
    registry.register(Box::new(steps.clone()))?;
    let hosts = Histogram::with_opts(
        HistogramOpts::new(
            "certroll_last_run_host_duration_seconds",
            "How long the hosts of the last run took, waiting for others included.",
        )
        .buckets(BUCKETS.to_vec()),
    )?;
    registry.register(Box::new(hosts.clone()))?;
    for host in view.hosts.values() {
        for run in &host.steps {
            if let Some(took) = run.took {
                steps.with_label_values(&[run.step.name()]).observe(took.as_secs_f64());
            }
        }
        hosts.observe(host.took().as_secs_f64());
    }
    Ok(())
}

fn gauge(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<GaugeVec, prometheus::Error> {
    let gauge = GaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

/// What a service's end counts as.
fn results(outcome: Outcome) -> &'static [&'static str] {
    match outcome {
        Outcome::Changed => &["deployed"],
        Outcome::Unchanged => &["unchanged"],
        Outcome::Skipped => &[],
        Outcome::Unreachable => &["unreachable"],
        Outcome::Unknown(_) => &["unknown"],
        Outcome::NotRestored(_) => &["not_restored"],
        Outcome::Failed(Step::Validate) => &["validation_failed"],
        Outcome::Failed(Step::Reload) => &["reload_failed"],
        Outcome::Failed(Step::Verify | Step::Checks) => &["verify_failed"],
        Outcome::Failed(_) => &["failed"],
        Outcome::RolledBack(Step::Validate) => &["validation_failed", "rolled_back"],
        Outcome::RolledBack(Step::Reload) => &["reload_failed", "rolled_back"],
        Outcome::RolledBack(Step::Verify | Step::Checks) => &["verify_failed", "rolled_back"],
        Outcome::RolledBack(_) => &["failed", "rolled_back"],
    }
}

#[cfg(test)]
mod tests;
