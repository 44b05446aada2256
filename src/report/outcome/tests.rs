use super::super::samples::{apply, every_kind, many, not_restored, plan, report};
use super::*;

fn end(width: Option<u16>) -> End {
    let theme = Theme { color: false, width, ascii: width.is_none() };
    End { theme, failures_shown: false }
}

fn shown(events: &[Event], end: End) -> String {
    report(events, |out| Outcomes::new(out, end))
}

#[test]
fn piped() {
    insta::assert_snapshot!(shown(&apply(), end(None)));
}

#[test]
fn on_80_columns() {
    insta::assert_snapshot!(shown(&apply(), end(Some(80))));
}

#[test]
fn on_120_columns_after_the_failures_were_seen() {
    let end = End { failures_shown: true, ..end(Some(120)) };
    insta::assert_snapshot!(shown(&apply(), end));
}

#[test]
fn on_200_columns() {
    insta::assert_snapshot!(shown(&apply(), end(Some(200))));
}

#[test]
fn a_crowd_shares_a_row() {
    let text = shown(&many(60), end(Some(100)));
    let table = text.split("PLAY RECAP").next().unwrap_or_default();
    insta::assert_snapshot!(table);
    assert_eq!(text.matches("ok=2    changed=1 ").count(), 60);
    assert!(text.ends_with("certroll verify -i hosts.ini renew.yml\n"), "{text}");
}

#[test]
fn ten_thousand_hosts_are_a_page_that_a_person_can_read() {
    let mut events = many(10_000);
    let ends = |event: &Event| matches!(event.kind, Kind::CertificateEnd { .. });
    events.retain(|event| event.host.is_none() || ends(event));
    for event in &mut events {
        if let Kind::Summary(summary) = &mut event.kind {
            for (index, counts) in summary.hosts.values_mut().enumerate() {
                if index % 1000 == 7 {
                    counts.outcome = Outcome::Unreachable;
                    (counts.ok, counts.changed, counts.unreachable) = (0, 0, 1);
                    counts.reason =
                        Some(format!("192.0.2.{}:22: connection refused", index / 1000));
                }
            }
        }
    }
    let text = shown(&events, end(Some(100)));
    assert!(text.lines().count() < 40, "{} lines", text.lines().count());
    for words in [
        "edge008, edge1008 and 8 more hosts",
        "edge001, edge002 and 9988 more hosts",
        "10000 hosts: 10 unreachable, 9990 changed",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[test]
fn no_width_from_60_to_250_breaks_the_layout() {
    for width in [60, 80, 100, 132, 180, 250] {
        let text = shown(&apply(), end(Some(width)));
        let table = text.split("PLAY RECAP").next().unwrap();
        let wide = table.lines().find(|line| line.chars().count() > usize::from(width));
        assert!(wide.is_none_or(|line| line.starts_with("    | ")), "{width}: {wide:?}");
        assert!(table.contains("\nrolled back (verify)\n    edge5  "), "{table}");
    }
}

#[test]
fn a_plan_shows_failures_and_no_recap() {
    insta::assert_snapshot!(shown(&plan(), end(None)));
}

#[test]
fn counts_of_failures_are_coloured() {
    let colored = End { theme: Theme { color: true, ..Theme::PLAIN }, ..end(None) };
    let text = shown(&apply(), colored);
    assert!(text.contains("\u{1b}[31munreachable=1   \u{1b}[0m"), "{text}");
    assert!(text.contains("\u{1b}[1m\u{1b}[37m\u{1b}[41mUNKNOWN: edge6"), "{text}");
}

#[test]
fn the_recap_can_be_read_by_what_reads_ansibles() {
    let text = shown(&apply(), end(None));
    let row = text.lines().find(|row| row.starts_with("edge5 ") && row.contains("ok=")).unwrap();
    assert_eq!(
        row,
        "edge5                      : ok=0    changed=0    unreachable=0    failed=1    \
         skipped=0    rescued=0    ignored=0    rolled_back=1"
    );
}

#[test]
fn what_is_not_restored_is_the_first_of_every_list() {
    let text = shown(&not_restored(), end(Some(200)));
    let ends = text.split("\nNOT RESTORED (verify)\n    edge5 ").nth(1).unwrap();
    let others = ["UNKNOWN (confirm)", "failed (validate)", "unreachable", "changed"];
    assert!(others.iter().all(|other| ends.contains(&format!("\n{other}\n"))), "{text}");
    let recap = text.split("PLAY RECAP").nth(1).unwrap();
    let first = recap.lines().nth(1).unwrap();
    assert!(first.starts_with("edge5 ") && first.ends_with(" not_restored=1"), "{recap}");
    assert!(recap.lines().nth(2).unwrap().starts_with("edge1 "), "{recap}");
    assert!(recap.contains("8 hosts: 1 not restored, 1 unknown, "), "{recap}");
}

#[test]
fn nothing_steers_the_terminal() {
    let mut events = every_kind();
    for event in &mut events {
        match &mut event.kind {
            Kind::Failure(failure) => failure.message.push_str("\u{1b}[2J"),
            Kind::StepEnd { detail, .. } => detail.push_str("\u{1b}]0;x\u{7}"),
            Kind::Summary(summary) => {
                for counts in summary.hosts.values_mut() {
                    counts.reason = Some("\u{9b}2J\u{202e}".into());
                }
            }
            _ => {}
        }
    }
    let text = shown(&events, end(None));
    assert!(!text.contains(|c: char| c.is_control() && c != '\n' || c == '\u{202e}'), "{text:?}");
}

#[test]
fn verbs_that_only_look_say_ok() {
    let mut events = apply();
    if let Kind::RunStart(start) = &mut events[0].kind {
        start.command = "verify".to_owned();
    }
    let text = shown(&events, end(None));
    assert!(
        text.contains("\nok\n    edge2  nginx") && text.contains("1 changed, 1 ok, 1 skipped"),
        "{text}"
    );
}
