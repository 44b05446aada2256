//! `-o json`: one object per line, for programs. `docs/events.md` documents every field.

use super::{Reporter, RunView};
use crate::event::{Event, json};
use std::io::{self, Write};

/// Writes each event as one line, at once.
///
/// A reader that went away (`| head`) shows as [`io::ErrorKind::BrokenPipe`]; the run goes on without it.
pub(crate) struct Json<W> {
    out: W,
}

impl<W: Write> Json<W> {
    /// Lines on `out`.
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Reporter for Json<W> {
    fn on_event(&mut self, event: &Event, _: &RunView) -> io::Result<()> {
        let mut line = json::to_object(event)?.to_string();
        line.push('\n');
        self.out.write_all(line.as_bytes())?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Closed, apply, every_kind, plan, report};
    use super::*;
    use crate::event::Kind;
    use serde_json::Value;
    use std::collections::{BTreeMap, BTreeSet};

    fn lines(events: &[Event]) -> Vec<Value> {
        let text = report(events, Json::new);
        text.lines().map(|line| serde_json::from_str(line).expect("one object per line")).collect()
    }

    /// How many kinds there are; the match makes a new one fail to compile here.
    fn place(kind: &Kind) -> usize {
        match kind {
            Kind::RunStart(_) => 0,
            Kind::PlayStart { .. } => 1,
            Kind::BatchStart { .. } => 2,
            Kind::BatchEnd { .. } => 3,
            Kind::TaskStart { .. } => 4,
            Kind::StepStart { .. } => 5,
            Kind::StepEnd { .. } => 6,
            Kind::VerifyAttempt { .. } => 7,
            Kind::TaskEnd { .. } => 8,
            Kind::CertificateEnd { .. } => 9,
            Kind::PlanHost { .. } => 10,
            Kind::PlanBatch { .. } => 11,
            Kind::HostStatus { .. } => 12,
            Kind::Failure(_) => 13,
            Kind::Note { .. } => 14,
            Kind::Stopping { .. } => 15,
            Kind::HostEnd { .. } => 16,
            Kind::Summary(_) => 17,
            Kind::HostCertificates { .. } => 18,
            Kind::Inputs(_) => 19,
            Kind::TakingBack { .. } => 20,
            Kind::Unknown(_) => unreachable!("never sent"),
        }
    }
    const KINDS: usize = 21;

    #[test]
    fn every_kind_looks_like_this() {
        let events = every_kind();
        let mut first = BTreeMap::new();
        for event in &events {
            // The fullest example of each kind.
            let text = report(std::slice::from_ref(event), Json::new);
            let shown = first.entry(place(&event.kind)).or_insert_with(|| text.clone());
            if matches!(event.kind, Kind::TaskEnd { .. } | Kind::Failure(_))
                && text.matches("null").count() < shown.matches("null").count()
            {
                *shown = text;
            }
        }
        assert_eq!(first.len(), KINDS, "the samples miss a kind");
        let all: String = first
            .into_values()
            .map(|text| {
                let value: Value = serde_json::from_str(&text).unwrap();
                serde_json::to_string_pretty(&value).unwrap() + "\n"
            })
            .collect();
        insta::assert_snapshot!(all);
    }

    #[test]
    fn the_first_line_is_run_start_and_the_last_the_summary() {
        for events in [plan(), apply()] {
            let lines = lines(&events);
            assert_eq!(lines[0]["event"], "run_start");
            assert_eq!(lines[0]["schema"], 1);
            let last = lines.last().unwrap();
            assert_eq!(last["event"], "summary");
            assert!(last["exit_code"].is_number());
            for (seq, line) in lines.iter().enumerate() {
                assert_eq!(line["seq"], seq);
                assert!(line["elapsed_ms"].is_u64());
            }
        }
    }

    #[test]
    fn every_event_is_read_back_as_it_was() {
        for event in every_kind() {
            let text = report(std::slice::from_ref(&event), Json::new);
            let back = json::from_object(serde_json::from_str(&text).unwrap()).unwrap();
            assert_eq!(back, event);
            assert!(!matches!(back.kind, Kind::Unknown(_)), "{text}");
        }
    }

    #[test]
    fn a_closed_pipe_is_told_as_such() {
        let error = Json::new(Closed).on_event(&apply()[0], &RunView::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    /// Names of the fields of `value`, with those of the objects inside as `rows[].file`.
    /// Hosts as keys are `HOST`.
    fn fields(prefix: &str, value: &Value, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(inner) => {
                for (name, value) in inner {
                    let name = if prefix == "hosts." { "HOST" } else { name };
                    let path = format!("{prefix}{name}");
                    fields(&format!("{path}."), value, into);
                    into.insert(path);
                }
            }
            Value::Array(items) => {
                let prefix = format!("{}[].", prefix.trim_end_matches('.'));
                for item in items {
                    fields(&prefix, item, into);
                }
            }
            _ => {}
        }
    }

    fn undocumented(doc: &str, events: &[Event]) -> BTreeSet<String> {
        let mut missing = BTreeSet::new();
        for line in lines(events) {
            let kind = line["event"].as_str().unwrap();
            let Some((_, rest)) = doc.split_once(&format!("\n### `{kind}`\n")) else {
                missing.insert(kind.to_owned());
                continue;
            };
            let section = rest.split("\n### `").next().unwrap();
            let section = section.split("\n## ").next().unwrap();
            let mut names = BTreeSet::new();
            fields("", &line, &mut names);
            for name in names {
                let common = ["event", "seq", "at", "elapsed_ms", "host"].contains(&name.as_str());
                // A certificate looks the same everywhere and has a section of its own.
                let shared = [".now.", ".wanted.", ".certificate."]
                    .iter()
                    .find_map(|inner| name.split_once(inner))
                    .is_some_and(|(_, field)| {
                        let certificate = doc.split("\n## A certificate\n").nth(1);
                        certificate.is_some_and(|text| text.contains(&format!("| `{field}` |")))
                    });
                if !common && !shared && !section.contains(&format!("| `{name}` |")) {
                    missing.insert(format!("{kind}: {name}"));
                }
            }
        }
        missing
    }

    #[test]
    fn every_kind_and_field_is_documented() {
        let doc = include_str!("../../docs/events.md");
        assert_eq!(undocumented(doc, &every_kind()), BTreeSet::new());
        // The control: a page without the word is found wanting.
        let poorer = doc.replace("| `hosts.HOST.ok` |", "| |").replace("### `note`", "### `x`");
        let missing = undocumented(&poorer, &every_kind());
        assert!(missing.contains("summary: hosts.HOST.ok") && missing.contains("note"));
    }
}
