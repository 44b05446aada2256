//! `--metrics FILE`: what a run came to, as Prometheus text for node_exporter's textfile collector.
//!
//! The file is replaced in one step when the run is over, so that a collector never reads half of
//! one. `docs/metrics.md` explains every metric.

use super::Reporter;
use super::look::line;
use crate::event::{Event, Kind, Summary};
use crate::model::{HostName, Outcome, Step, Timestamp};
use indexmap::IndexMap;
use prometheus::{Encoder, GaugeVec, Histogram, HistogramOpts, HistogramVec, Opts, Registry};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Bounds in seconds: from one round trip to the longest patience that a playbook asks for.
const BUCKETS: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

/// Every result of a service, in the order of the page.
pub const RESULTS: [&str; 9] = [
    "deployed",
    "unchanged",
    "validation_failed",
    "reload_failed",
    "verify_failed",
    "failed",
    "unreachable",
    "unknown",
    "rolled_back",
];

/// Every outcome of a host, in the order of the page.
const OUTCOMES: [&str; 7] =
    ["changed", "unchanged", "skipped", "failed", "rolled_back", "unreachable", "unknown"];

/// Counts as events come and writes the file at the end.
#[derive(Debug)]
pub struct Metrics {
    path: PathBuf,
    /// When the run began.
    now: Timestamp,
    command: String,
    /// Counts in the order of [`RESULTS`].
    services: IndexMap<String, [u32; RESULTS.len()]>,
    served: IndexMap<(HostName, String), Timestamp>,
    running: IndexMap<HostName, (Step, Duration)>,
    steps: Vec<(Step, Duration)>,
    hosts: IndexMap<HostName, (Duration, Duration)>,
}

impl Metrics {
    /// To `path`; `now` is when the run begins.
    pub fn new(path: impl Into<PathBuf>, now: Timestamp) -> Self {
        Self {
            path: path.into(),
            now,
            command: String::new(),
            services: IndexMap::new(),
            served: IndexMap::new(),
            running: IndexMap::new(),
            steps: Vec::new(),
            hosts: IndexMap::new(),
        }
    }

    fn note(&mut self, host: &HostName, event: &Event) {
        let span = self.hosts.entry(host.clone()).or_insert((event.elapsed, event.elapsed));
        span.1 = event.elapsed;
        match &event.kind {
            Kind::StepStart { step } => {
                self.step_failed(host, event.elapsed);
                self.running.insert(host.clone(), (*step, event.elapsed));
            }
            Kind::StepEnd { step, millis, .. } => {
                self.running.swap_remove(host);
                self.steps.push((*step, Duration::from_millis(*millis)));
            }
            Kind::Failure(_) => self.step_failed(host, event.elapsed),
            Kind::CertificateEnd { services, outcome, .. } => {
                for end in services {
                    let service = line(&end.service);
                    let counts = self.services.entry(service.clone()).or_default();
                    for result in results(*outcome) {
                        let place = RESULTS.iter().position(|name| name == result);
                        place.into_iter().for_each(|place| counts[place] += 1);
                    }
                    if let Some(last) = end.not_after {
                        self.serve(host, service, last);
                    }
                }
            }
            Kind::HostStatus { status, .. } => {
                for served in &status.served {
                    if let Some(certificate) = &served.certificate {
                        let service = line(&served.service);
                        self.serve(host, service, certificate.validity.not_after);
                    }
                }
            }
            _ => {}
        }
    }

    /// How long it took until a step failed counts as well: a time-out is what to look for.
    fn step_failed(&mut self, host: &HostName, now: Duration) {
        if let Some((step, began)) = self.running.swap_remove(host) {
            self.steps.push((step, now.saturating_sub(began)));
        }
    }

    /// Where a service serves several certificates, the one that ends first counts.
    fn serve(&mut self, host: &HostName, service: String, last: Timestamp) {
        let known = self.served.entry((host.clone(), service)).or_insert(last);
        *known = last.min(*known);
    }

    /// The file's text.
    fn text(&self, summary: &Summary, elapsed: Duration) -> Result<Vec<u8>, prometheus::Error> {
        let registry = Registry::new();
        self.add_run(&registry, summary, elapsed)?;
        self.add_services(&registry)?;
        self.add_durations(&registry)?;
        let mut text = Vec::new();
        prometheus::TextEncoder::new().encode(&registry.gather(), &mut text)?;
        Ok(text)
    }

    fn add_run(
        &self,
        registry: &Registry,
        summary: &Summary,
        elapsed: Duration,
    ) -> Result<(), prometheus::Error> {
        let info = gauge(
            registry,
            "certroll_last_run_info",
            "The last run: its verb and certroll's version. Always 1.",
            &["command", "version"],
        )?;
        info.with_label_values(&[self.command.as_str(), env!("CARGO_PKG_VERSION")]).set(1.0);
        let end = self.now.unix() as f64 + elapsed.as_secs_f64().floor();
        for (name, help, value) in [
            ("certroll_last_run_timestamp_seconds", "When the last run ended.", end),
            (
                "certroll_last_run_duration_seconds",
                "How long the last run took.",
                elapsed.as_secs_f64(),
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
            let count = summary.hosts.values().filter(|host| host.outcome == outcome).count();
            hosts.with_label_values(&[outcome]).set(count as f64);
        }
        Ok(())
    }

    fn add_services(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        let services = gauge(
            registry,
            "certroll_last_run_services",
            "Services of the last run by result; rolled_back counts beside the failure's own result.",
            &["service", "result"],
        )?;
        for (service, counts) in &self.services {
            for (result, count) in RESULTS.iter().zip(counts) {
                services.with_label_values(&[service.as_str(), result]).set(f64::from(*count));
            }
        }
        let served = gauge(
            registry,
            "certroll_served_certificate_not_after_timestamp_seconds",
            "Last second of validity of the certificate that the service was last seen to serve.",
            &["host", "service"],
        )?;
        for ((host, service), last) in &self.served {
            let host = line(host.as_str());
            served.with_label_values(&[&host, service]).set(last.unix() as f64);
        }
        Ok(())
    }

    fn add_durations(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        let steps = HistogramVec::new(
            HistogramOpts::new(
                "certroll_last_run_step_duration_seconds",
                "How long the steps of the last run took, failed ones too.",
            )
            .buckets(BUCKETS.to_vec()),
            &["step"],
        )?;
        registry.register(Box::new(steps.clone()))?;
        for (step, took) in &self.steps {
            steps.with_label_values(&[step.name()]).observe(took.as_secs_f64());
        }
        let hosts = Histogram::with_opts(
            HistogramOpts::new(
                "certroll_last_run_host_duration_seconds",
                "How long the hosts of the last run took, waiting for others included.",
            )
            .buckets(BUCKETS.to_vec()),
        )?;
        registry.register(Box::new(hosts.clone()))?;
        for (began, ended) in self.hosts.values() {
            hosts.observe(ended.saturating_sub(*began).as_secs_f64());
        }
        Ok(())
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
    fn on_event(&mut self, event: &Event) -> io::Result<()> {
        if let Some(host) = &event.host {
            self.note(host, event);
        }
        match &event.kind {
            Kind::RunStart { command, .. } => self.command = line(command),
            Kind::Summary(summary) => {
                let text = self.text(summary, event.elapsed).map_err(io::Error::other);
                text.and_then(|text| self.write(&text)).map_err(|error| {
                    let path = self.path.display();
                    io::Error::new(error.kind(), format!("cannot write metrics to {path}: {error}"))
                })?;
            }
            _ => {}
        }
        Ok(())
    }
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
