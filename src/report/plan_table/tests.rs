use super::super::samples::{plan, report};
use super::*;

fn shown(width: Option<u16>, diff: bool) -> String {
    let theme = Theme { color: false, width, ascii: width.is_none() };
    report(&plan(), |out| PlanTable::new(out, theme, diff))
}

#[test]
fn piped() {
    insta::assert_snapshot!(shown(None, false));
}

#[test]
fn on_80_columns() {
    insta::assert_snapshot!(shown(Some(80), false));
}

#[test]
fn on_120_columns_with_diff() {
    insta::assert_snapshot!(shown(Some(120), true));
}

#[test]
fn on_200_columns() {
    insta::assert_snapshot!(shown(Some(200), false));
}

#[test]
fn no_line_is_wider_than_the_terminal_unless_it_is_prose() {
    for width in [60, 80, 100, 120, 160, 200] {
        let text = shown(Some(width), false);
        let tables = text.lines().skip_while(|line| !line.contains('─'));
        for line in tables.take_while(|line| !line.starts_with("nginx on ")) {
            let columns = unicode_width::UnicodeWidthStr::width(line);
            assert!(columns <= usize::from(width), "{columns} > {width}: {line}");
        }
    }
}

#[test]
fn what_hosts_say_cannot_steer_the_terminal() {
    let mut events = plan();
    for event in &mut events {
        if let Kind::PlanHost { task, .. } = &mut event.kind {
            let rows = &mut task.rows;
            rows[0].notes.push("evil \u{1b}]0;title\u{7} \u{9b}2J\nnext".into());
            rows[0].action = FileAction::Blocked("\u{1b}[2J".into());
        }
    }
    let text = report(&events, |out| PlanTable::new(out, Theme::PLAIN, true));
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    assert!(text.contains("evil ]0;title 2J next"), "{text}");
}
