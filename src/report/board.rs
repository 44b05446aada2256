//! What a person watches while a run goes on: batches as a bar, the hosts at work with step and age, what is waited
//! for, the time left.

use super::run_view::{PlayRun, RunView};
use super::theme::{Theme, cut, line, seconds};
use crate::model::text::plural;
use crate::model::{HostName, Step};
use std::time::Duration;

/// So many hosts at work are shown, the others counted.
const SHOWN: usize = 8;
/// Columns of the bar.
const BAR: usize = 20;
/// Terminals narrower than this have no bar.
const ROOM_FOR_A_BAR: usize = 60;

/// The lines, each narrower than `width`; none when there is nothing to watch. `now`: since the run began.
pub(super) fn lines(view: &RunView, now: Duration, width: usize, theme: &Theme) -> Vec<String> {
    if view.now.task.is_none() && view.now.in_flight.is_empty() {
        return Vec::new();
    }
    let mut all = vec![head(view, now, width, theme)];
    all.extend(task(view));
    let (ready, working): (Vec<_>, Vec<_>) =
        view.now.in_flight.iter().partition(|(_, step, _)| *step == Step::Barrier);
    all.extend(hosts(&working, now));
    if !ready.is_empty() {
        let who = plural(ready.len(), "host");
        all.push(match working.is_empty() {
            true => format!("  {who} ready, waiting for the batch"),
            false => format!("  {who} ready, waiting for these"),
        });
    }
    // The last column stays free: some terminals begin a new row when it is written.
    let room = width.saturating_sub(1);
    all.iter().map(|text| cut(&theme.fit(text), room, theme)).collect()
}

/// `━━━━━╸──── batch 3/8, 150 of 400 hosts, 3 failed, 2m10s, about 4m left`.
fn head(view: &RunView, now: Duration, width: usize, theme: &Theme) -> String {
    let mut parts = Vec::new();
    let mut bar = String::new();
    if let (Some(play), Some(batch)) = (view.plays.last(), view.batch()) {
        if batch.of > 1 {
            parts.push(format!("batch {}/{}", batch.number, batch.of));
        }
        let done = hosts_done(view, play);
        parts.push(format!("{done} of {}", plural(play.hosts, "host")));
        if width >= ROOM_FOR_A_BAR {
            bar = self::bar(done, play.hosts, theme) + " ";
        }
    } else {
        parts.push(format!(
            "{}: {} done",
            view.start.command,
            plural(view.now.ended.len(), "host")
        ));
    }
    let failed = view.hosts.values().filter(|host| !host.failures.is_empty()).count();
    if failed > 0 {
        parts.push(format!("{failed} failed"));
    }
    parts.push(match now.as_secs() {
        secs @ 0..60 => format!("{secs}s"),
        _ => seconds(now),
    });
    parts.extend(left(view, now).map(|left| format!("about {} left", roughly(left))));
    bar + &parts.join(", ")
}

/// Hosts whose batch has ended, and of a play without batches those that have ended its task.
fn hosts_done(view: &RunView, play: &PlayRun) -> usize {
    let ended = play.batches.iter().filter(|batch| batch.ended.is_some());
    let done: usize = ended.map(|batch| batch.hosts.len()).sum();
    if play.batches.len() == 1 && done == 0 { view.now.ended.len() } else { done }
}

fn bar(done: usize, of: usize, theme: &Theme) -> String {
    let (full, rest) = if theme.ascii { ("#", "-") } else { ("━", "─") };
    let cells = (done * BAR).checked_div(of).unwrap_or(0).min(BAR);
    full.repeat(cells) + &rest.repeat(BAR - cells)
}

/// By what the batches before took, the time that the others of the play take.
fn left(view: &RunView, now: Duration) -> Option<Duration> {
    let play = view.plays.last()?;
    let first = play.batches.first()?.began;
    let ended = play.batches.iter().filter(|batch| batch.ended.is_some());
    let done: usize = ended.clone().map(|batch| batch.hosts.len()).sum();
    let last = ended.filter_map(|batch| batch.ended).next_back()?;
    let each = last.saturating_sub(first).checked_div(u32::try_from(done).ok()?)?;
    let rest = u32::try_from(play.hosts.saturating_sub(done)).ok()?;
    (rest > 0).then(|| each.saturating_mul(rest).saturating_sub(now.saturating_sub(last)))
}

/// `40s`, `12m`, `3h20m`: an estimate has no more to say.
fn roughly(time: Duration) -> String {
    match time.as_secs() {
        0..10 => "10s".to_owned(),
        secs @ 10..90 => format!("{}s", secs / 10 * 10),
        secs @ 90..3_600 => format!("{}m", (secs + 30) / 60),
        secs => format!("{}h{:02}m", secs / 3_600, secs / 60 % 60),
    }
}

/// The task under way, with how many hosts of the batch have ended it.
fn task(view: &RunView) -> Option<String> {
    let title = line(view.now.task.as_deref()?);
    let hosts = view.batch().map_or(0, |batch| batch.hosts.len());
    Some(format!("{} of {hosts}: {title}", view.now.ended.len()))
}

/// One line per host at work, those longest in their step first.
fn hosts(working: &[(&HostName, Step, Duration)], now: Duration) -> Vec<String> {
    let shown = if working.len() == SHOWN + 1 { SHOWN + 1 } else { SHOWN.min(working.len()) };
    let widest = working[..shown].iter().map(|(host, ..)| host.as_str().len()).max();
    let widest = widest.unwrap_or(0).min(24);
    let mut lines: Vec<String> = working[..shown]
        .iter()
        .map(|(host, step, since)| {
            let age = now.saturating_sub(*since).as_secs();
            format!("  {:<widest$}  {age:>4}s  {}", line(host.as_str()), doing(*step))
        })
        .collect();
    if working.len() > shown {
        lines.push(format!("  … and {} more at work", working.len() - shown));
    }
    lines
}

/// A step as something that goes on.
pub(super) fn doing(step: Step) -> &'static str {
    match step {
        Step::Check => "checking the material",
        Step::Connect => "connecting",
        Step::Inspect => "reading",
        Step::Task => "running",
        Step::Lock => "waiting for the host's lock",
        Step::Recover => "recovering an interrupted run",
        Step::Stage => "staging",
        Step::Validate => "validating",
        Step::Barrier => "ready, waiting for the batch",
        Step::Commit => "switching",
        Step::Reload => "reloading",
        Step::Verify => "verifying",
        Step::Checks => "running the checks",
        Step::Confirm => "confirming",
        Step::Rollback => "ROLLING BACK",
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Script, apply, many, names};
    use super::*;
    use crate::event::{Event, Kind};

    const THEME: Theme = Theme { color: false, width: Some(80), ascii: true };

    fn view(events: &[Event]) -> RunView {
        let mut view = RunView::default();
        events.iter().for_each(|event| view.take(event));
        view
    }

    fn shown(events: &[Event], later: u64, width: usize) -> String {
        let view = view(events);
        let lines = lines(&view, view.elapsed + Duration::from_secs(later), width, &THEME);
        assert!(lines.iter().all(|line| line.chars().count() < width), "{lines:#?}");
        lines.join("\n")
    }

    fn until_edge003_ended() -> Vec<Event> {
        let mut events = many(20);
        let end = events.iter().position(|event| {
            matches!(event.kind, Kind::CertificateEnd { .. })
                && event.host.as_ref().is_some_and(|host| host.as_str() == "edge003")
        });
        events.truncate(end.unwrap() + 1);
        events
    }

    #[test]
    fn the_longest_waiting_are_shown_and_their_age_grows_without_events() {
        insta::assert_snapshot!(shown(&until_edge003_ended(), 12, 80));
    }

    #[test]
    fn forty_columns_are_enough() {
        insta::assert_snapshot!(shown(&until_edge003_ended(), 0, 40));
    }

    #[test]
    fn batches_are_a_bar_and_what_came_before_tells_the_time_left() {
        let mut script = Script::default();
        let of_play: Vec<String> = (1..=8).map(|n| format!("edge{n}")).collect();
        script.run(Kind::PlayStart {
            play: "p".into(),
            hosts: 8,
            names: of_play.iter().map(HostName::new).collect(),
            seed: None,
        });
        for (batch, hosts) in of_play.chunks(2).take(2).enumerate() {
            let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
            let (batch, hosts) = (batch + 1, names(&hosts));
            script.run(Kind::BatchStart { batch, batches: 4, hosts: hosts.clone() });
            script.run(Kind::TaskStart { task: "t".into(), place: None });
            for host in &hosts {
                script.host(host.as_str(), Kind::StepStart { step: Step::Barrier });
            }
            if batch == 1 {
                script.run(Kind::BatchEnd { batch, failed: 0 });
            }
        }
        let mut events = script.end();
        // The first batch took a minute.
        events.iter_mut().skip(5).for_each(|event| event.elapsed += Duration::from_secs(60));
        insta::assert_snapshot!(shown(&events, 20, 80));
    }

    #[test]
    fn stragglers_are_named_and_those_that_wait_for_them_counted() {
        let mut script = Script::default();
        let hosts = names(&["a", "b", "c"]);
        script.run(Kind::BatchStart { batch: 1, batches: 1, hosts });
        script.run(Kind::TaskStart { task: "t".into(), place: None });
        script.host("a", Kind::StepStart { step: Step::Barrier });
        script.host("b", Kind::StepStart { step: Step::Validate });
        script.host("c", Kind::StepStart { step: Step::Barrier });
        let text = shown(&script.end(), 5, 80);
        assert!(
            text.ends_with("  b     5s  validating\n  2 hosts ready, waiting for these"),
            "{text}"
        );
    }

    #[test]
    fn a_host_that_is_out_counts_as_ended_in_later_tasks() {
        let mut script = Script::default();
        let hosts = names(&["a", "b"]);
        script.run(Kind::BatchStart { batch: 1, batches: 1, hosts });
        let mut events = script.end();
        events.extend(apply().into_iter().filter(|event| matches!(event.kind, Kind::Failure(_))));
        events.last_mut().unwrap().host = Some("a".into());
        let mut script = Script::default();
        script.run(Kind::TaskStart { task: "next".into(), place: None });
        events.extend(script.end());
        let text = shown(&events, 0, 80);
        assert!(text.ends_with("1 of 2: next"), "{text}");
    }

    #[test]
    fn estimates_are_short() {
        let shown = [3, 47, 95, 1_234, 12_000].map(|secs| roughly(Duration::from_secs(secs)));
        assert_eq!(shown, ["10s", "40s", "2m", "21m", "3h20m"]);
    }
}
