//! An event as one JSON object, and back: the form of `-o json` and of a run's record.
//!
//! `docs/events.md` documents every field.

use super::{Event, Kind};
use crate::model::text::printable;
use crate::model::{HostName, Timestamp};
use serde::Deserialize;
use serde_json::{Error, Map, Value};
use std::time::Duration;

/// Texts longer than this lose their beginning; senders keep far below.
const LONGEST_TEXT: usize = 64 * 1024;

/// `event`, `seq`, `at`, `elapsed_ms`, `host` where there is one, and the fields of its kind. Nothing in it
/// steers a terminal, even when `jq -r` undoes the escapes.
///
/// # Errors
/// None that events have: their keys are texts.
pub(crate) fn to_object(event: &Event) -> Result<Value, Error> {
    let mut fields = match serde_json::to_value(&event.kind)? {
        Value::Object(fields) => fields,
        other => Map::from_iter([("event".to_owned(), other)]),
    };
    let mut line = Map::new();
    line.insert("event".into(), fields.shift_remove("event").unwrap_or_default());
    line.insert("seq".into(), event.seq.into());
    line.insert("at".into(), serde_json::to_value(event.moment)?);
    let elapsed = u64::try_from(event.elapsed.as_millis()).unwrap_or(u64::MAX);
    line.insert("elapsed_ms".into(), elapsed.into());
    if let Some(host) = &event.host {
        line.insert("host".into(), host.as_str().into());
    }
    line.extend(fields);
    let mut line = Value::Object(line);
    clean(&mut line);
    Ok(line)
}

/// Reads what [`to_object`] wrote, by this version or another: a kind that is not known here is kept as
/// it was.
///
/// # Errors
/// It is no event at all: no object, or without `event`, `seq` and `elapsed_ms`.
pub(crate) fn from_object(value: Value) -> Result<Event, Error> {
    #[derive(Deserialize)]
    struct Line {
        seq: u64,
        at: Option<Timestamp>,
        elapsed_ms: u64,
        host: Option<HostName>,
        #[serde(flatten)]
        kind: Kind,
    }
    let Line { seq, at, elapsed_ms, host, kind } = serde_json::from_value(value)?;
    if let Kind::Unknown(fields) = &kind
        && !fields.get("event").is_some_and(Value::is_string)
    {
        return Err(serde::de::Error::missing_field("event"));
    }
    let moment = at.unwrap_or(Timestamp::from_unix(0));
    Ok(Event { seq, moment, elapsed: Duration::from_millis(elapsed_ms), host, kind })
}

/// JSON escapes C0 characters but not C1 and bidirectional ones.
fn clean(value: &mut Value) {
    match value {
        Value::String(text) => {
            if text.chars().any(|c| !c.is_ascii() || c.is_ascii_control()) {
                *text = printable(text.as_bytes(), LONGEST_TEXT);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(clean),
        Value::Object(fields) => fields.values_mut().for_each(clean),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NoteLevel, RunStart};
    use super::*;
    use serde_json::json;

    fn event(kind: Kind) -> Event {
        let moment = Timestamp::from_unix(1_795_478_400);
        Event { seq: 3, moment, elapsed: Duration::from_millis(1_234), host: None, kind }
    }

    #[test]
    fn an_event_comes_back_as_it_was() {
        let start = RunStart { command: "apply".into(), run: "5d1f".into(), ..RunStart::default() };
        let message = "careful".to_owned();
        for kind in
            [Kind::RunStart(Box::new(start)), Kind::Note { level: NoteLevel::Warning, message }]
        {
            let event = event(kind);
            let object = to_object(&event).unwrap();
            assert_eq!(object["at"], "2026-11-24T00:00:00Z");
            assert_eq!(from_object(object).unwrap(), event);
        }
    }

    #[test]
    fn what_another_version_wrote_is_kept() {
        let line = json!({"event": "weather", "seq": 3, "at": "2026-11-24T00:00:00Z",
            "elapsed_ms": 1, "host": "h", "sky": {"blue": true}});
        let event = from_object(line.clone()).unwrap();
        assert!(matches!(&event.kind, Kind::Unknown(fields) if fields["sky"]["blue"] == true));
        assert_eq!(to_object(&event).unwrap(), line);
        // A field more is no harm, and a field that came later is not missed.
        let older = json!({"event": "task_start", "seq": 1, "elapsed_ms": 1, "task": "t", "x": 1});
        let kind = from_object(older).unwrap().kind;
        assert_eq!(kind, Kind::TaskStart { task: "t".into(), place: None });
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for line in [json!({}), json!([]), json!({"seq": 1, "elapsed_ms": 2, "event": 7})] {
            assert!(from_object(line.clone()).is_err(), "{line}");
        }
    }

    #[test]
    fn escapes_do_not_survive_even_decoding() {
        let message = "a\u{1b}[2J\u{9b}1m\u{202e}b".to_owned();
        let object = to_object(&event(Kind::Note { level: NoteLevel::Info, message })).unwrap();
        assert_eq!(object["message"], "a[2J1mb");
    }
}
