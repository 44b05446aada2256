//! The forms, on samples; what hosts say cannot break out of any of them.

use super::super::samples::{apply, many, not_restored, plan};
use super::*;
use std::time::Duration;

fn shown(form: Form, events: &[Event]) -> String {
    let mut view = RunView::default();
    events.iter().for_each(|event| view.take(event));
    render(form, &view, events, &Heading::default()).unwrap()
}

#[test]
fn the_ending_decides() {
    let of = |name: &str| Form::of(Path::new(name));
    assert_eq!(of("a/run.html"), Some(Form::Html));
    assert_eq!(of("run.md"), Some(Form::Markdown));
    assert_eq!(of("run.json"), Some(Form::Json));
    assert_eq!(of("run.xml"), Some(Form::Junit));
    assert_eq!((of("run.txt"), of("run")), (None, None));
}

#[test]
fn a_run_for_a_ticket() {
    insta::assert_snapshot!(shown(Form::Markdown, &apply()));
}

#[test]
fn what_is_not_restored_is_the_first_host_in_every_form() {
    let events = not_restored();
    let text = shown(Form::Markdown, &events);
    assert!(text.contains("**8 hosts**, 1 not restored, 1 unknown, "), "{text}");
    let hosts = text.split("## Hosts").nth(1).unwrap();
    let first = |before: &str, row: &str| hosts.find(before) < hosts.find(row);
    assert!(hosts.contains("| edge5 | not restored (verify) | "), "{text}");
    assert!(first("| edge5 |", "| edge1 |") && first("| edge1 |", "| edge2 |"), "{text}");
    let (html, junit) = (shown(Form::Html, &events), shown(Form::Junit, &events));
    let place = |text: &str, words: &str| text.find(words).unwrap_or_else(|| panic!("{text}"));
    assert!(
        place(&html, "<strong>edge5</strong>") < place(&html, "<strong>edge1</strong>"),
        "{html}"
    );
    assert!(place(&junit, "name=\"edge5\"") < place(&junit, "name=\"edge1\""), "{junit}");
    assert!(html.contains(">not restored (verify)<"), "{html}");
    assert!(junit.contains("type=\"not restored (verify)\""), "{junit}");
    let all: Value = serde_json::from_str(&shown(Form::Json, &events)).unwrap();
    assert_eq!(all["summary"]["hosts"]["edge5"]["outcome"], "not_restored");
}

#[test]
fn a_plan_for_a_ticket() {
    insta::assert_snapshot!(shown(Form::Markdown, &plan()));
}

#[test]
fn hosts_are_cases_for_a_ci_system() {
    insta::assert_snapshot!(shown(Form::Junit, &apply()));
}

#[test]
fn json_is_one_object_with_all_events() {
    let events = apply();
    let all: Value = serde_json::from_str(&shown(Form::Json, &events)).unwrap();
    assert_eq!(all["events"].as_array().unwrap().len(), events.len());
    assert_eq!(all["summary"]["exit_code"], 6);
    assert_eq!(all["run"]["run"], "5d1f0a4c9be2d713");
}

/// Every text of every event replaced by one that tries to break out.
fn hostile(events: &[Event], text: &str) -> Vec<Event> {
    const KEPT: [&str; 14] = [
        "event",
        "at",
        "action",
        "outcome",
        "step",
        "result",
        "level",
        "reason",
        "guarantee",
        "fingerprint",
        "not_before",
        "not_after",
        "endpoint",
        "stopped",
    ];
    fn change(value: &mut Value, text: &str) {
        match value {
            Value::String(old) if old.len() == 64 => {}
            Value::String(old) => text.clone_into(old),
            Value::Array(list) => list.iter_mut().for_each(|one| change(one, text)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    if !KEPT.contains(&name.as_str()) || value.is_object() || value.is_array() {
                        change(value, text);
                    }
                }
            }
            _ => {}
        }
    }
    let changed = events.iter().map(|event| {
        let mut object = serde_json::to_value(&event.kind).unwrap();
        change(&mut object, text);
        let kind = serde_json::from_value(object).unwrap();
        assert!(!matches!(kind, Kind::Unknown(_)));
        let elapsed = event.elapsed + Duration::ZERO;
        Event { kind, elapsed, ..event.clone() }
    });
    changed.collect()
}

#[test]
fn what_hosts_say_cannot_break_out() {
    let text = "x</td></details><script>alert(1)</script>\"'|<img src=q onerror=z>]]>";
    let events = hostile(&apply(), text);
    let html = shown(Form::Html, &events);
    // The control: the text is there.
    assert!(html.contains("&lt;script&gt;alert(1)"), "{html}");
    assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("x</td>"));
    let plain = shown(Form::Html, &apply());
    for tag in ["<details", "</details>", "<table>", "</td>", "<li>"] {
        let count = |page: &str| page.matches(tag).count();
        assert!(count(&html) <= count(&plain) + 40, "{tag}");
    }
    assert_eq!(html.matches("<details").count(), html.matches("</details>").count());
    let markdown = shown(Form::Markdown, &events);
    assert!(markdown.contains("&lt;script") && !markdown.contains("<script"));
    let cells = markdown.lines().filter(|line| line.starts_with("| x"));
    assert!(cells.clone().count() > 0);
    let xml = shown(Form::Junit, &events);
    assert!(!xml.contains("<script") && !xml.contains("]]>"), "{xml}");
}

#[test]
fn two_thousand_hosts_are_a_page() {
    let html = shown(Form::Html, &many(2_000));
    assert_eq!(html.matches("<details").count(), 2_000);
    assert!(html.len() < 20_000_000, "{} bytes", html.len());
}

#[test]
fn a_report_that_cannot_be_written_names_its_file() {
    let path = PathBuf::from("/proc/nowhere/report.html");
    let mut document = Document::to(&path).unwrap();
    let (mut view, mut told) = (RunView::default(), None);
    for event in apply() {
        view.take(&event);
        told = document.on_event(&event, &view).err().or(told);
    }
    assert!(told.unwrap().to_string().starts_with("the report /proc/nowhere/report.html"));
}
