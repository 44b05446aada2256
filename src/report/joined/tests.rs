use super::super::samples::apply;
use super::*;
use crate::model::Shard;

fn host(name: &str) -> HostName {
    HostName::new(name)
}

/// A run of one shard that begins `after` seconds and deals with these hosts.
fn part(shard: Option<(u64, u64)>, after: i64, hosts: &[(&str, Outcome)]) -> Part {
    let start = RunStart {
        command: "apply".into(),
        playbooks: vec!["renew.yml".into()],
        shard: shard.map(|(index, of)| Shard::new(index, of).unwrap()),
        recorded: true,
        rerun: crate::event::Rerun {
            argv: ["renew.yml", "--shard", "1/3", "-b"].map(str::to_owned).into(),
            ..Default::default()
        },
        ..RunStart::default()
    };
    let names: Vec<HostName> = hosts.iter().map(|(name, _)| host(name)).collect();
    let summary = |outcome| HostSummary { outcome, ..HostSummary::default() };
    let ends = hosts.iter().map(|(name, outcome)| (host(name), summary(*outcome)));
    let play = Kind::PlayStart { play: "web".into(), hosts: names.len(), names, seed: None };
    let end = Summary { hosts: ends.collect(), exit_code: 0, ..Summary::default() };
    let kinds = [Kind::RunStart(Box::new(start)), play, Kind::Summary(end)];
    let events = (0..).zip(kinds).map(|(seq, kind)| Event {
        seq,
        moment: Timestamp::from_unix(1_795_478_400 + after),
        elapsed: Duration::from_secs(seq),
        host: None,
        kind,
    });
    Part { source: format!("after-{after}.json"), events: events.collect() }
}

fn cut_off(mut part: Part) -> Part {
    part.events.pop();
    part
}

fn outcomes(joined: &Joined) -> Vec<(&str, Outcome)> {
    joined.summary.hosts.iter().map(|(host, end)| (host.as_str(), end.outcome)).collect()
}

fn notes(joined: &Joined) -> Vec<&str> {
    let notes = joined.events.iter().filter_map(|event| match &event.kind {
        Kind::Note { message, .. } => Some(message.as_str()),
        _ => None,
    });
    notes.collect()
}

#[test]
fn shards_and_their_canary_are_one_run() {
    let joined = join(vec![
        part(Some((2, 2)), 60, &[("c", Outcome::Unreachable)]),
        part(Some((1, 2)), 50, &[("a", Outcome::Unchanged), ("b", Outcome::Changed)]),
        part(None, 0, &[("a", Outcome::Changed)]),
    ])
    .unwrap();
    let expected = [("a", Outcome::Changed), ("b", Outcome::Changed), ("c", Outcome::Unreachable)];
    assert_eq!(outcomes(&joined), expected);
    assert_eq!((joined.missing.len(), joined.cut_off.len(), notes(&joined).len()), (0, 0, 0));

    let mut view = RunView::default();
    joined.events.iter().for_each(|event| view.take(event));
    let plays: Vec<&str> = view.plays.iter().map(|play| play.name.as_str()).collect();
    assert_eq!(plays, ["web (after-0.json)", "web (shard 1/2)", "web (shard 2/2)"]);
    assert_eq!(view.elapsed, Duration::from_secs(61), "the last event of the last shard");
    // What to type next is for the fleet, by names: there is no record of all of it.
    assert_eq!((view.start.recorded, view.start.shard), (false, None));
    assert_eq!(view.start.rerun.argv, ["renew.yml", "-b"]);
    assert!(joined.events.iter().map(|event| event.seq).eq(0..joined.events.len() as u64));
}

#[test]
fn a_shard_that_is_not_there_and_one_that_was_cut_off_are_told() {
    let joined = join(vec![
        part(Some((1, 3)), 0, &[("a", Outcome::Changed)]),
        cut_off(part(Some((3, 3)), 0, &[("b", Outcome::Changed)])),
    ])
    .unwrap();
    assert_eq!((&joined.missing, joined.cut_off.len()), (&vec![2], 1));
    assert_eq!(outcomes(&joined), [("a", Outcome::Changed), ("b", Outcome::Skipped)]);
    let [missing, cut] = notes(&joined)[..] else { panic!("{joined:?}") };
    assert!(missing.contains("shard 2 is missing") && cut.contains("shard 3/3 was cut off"));
}

#[test]
fn a_shard_that_was_submitted_again_counts_as_its_last_run_says() {
    let again = part(Some((1, 1)), 90, &[("a", Outcome::Unchanged), ("b", Outcome::Changed)]);
    let joined = join(vec![
        again,
        cut_off(part(Some((1, 1)), 0, &[("a", Outcome::Changed), ("b", Outcome::Changed)])),
    ])
    .unwrap();
    assert_eq!((joined.missing.len(), joined.cut_off.len(), notes(&joined).len()), (0, 0, 0));
    assert_eq!(outcomes(&joined), [("a", Outcome::Unchanged), ("b", Outcome::Changed)]);
}

#[test]
fn what_is_no_part_of_it_is_refused() {
    let nothing = Part { source: "empty.json".into(), events: Vec::new() };
    assert_eq!(join(vec![nothing]).unwrap_err(), JoinError::NoRun("empty.json".into()));
    let [two, three] = [(1, 2), (1, 3)].map(|shard| part(Some(shard), shard.1 as i64, &[]));
    let words = join(vec![two, three]).unwrap_err().to_string();
    assert!(words.contains("--shard K/3") && words.contains("--shard K/2"), "{words}");
    let mut plan = part(None, 5, &[]);
    if let Kind::RunStart(start) = &mut plan.events[0].kind {
        start.command = "plan".into();
    }
    let words = join(vec![part(Some((1, 1)), 0, &[]), plan]).unwrap_err().to_string();
    assert!(words.contains("`plan renew.yml`"), "{words}");
}

/// What a run was made of: a digest of a text for each file.
fn made_of(mut part: Part, sources: &[(&str, &str)]) -> Part {
    let source = |(file, text): &(&str, &str)| crate::event::run::Source {
        file: (*file).to_owned(),
        sha256: Fingerprint::of(text.as_bytes()),
    };
    let inputs =
        RunInputs { sources: sources.iter().map(source).collect(), ..RunInputs::default() };
    let event = Event { kind: Kind::Inputs(Box::new(inputs)), ..part.events[0].clone() };
    part.events.insert(1, event);
    part
}

#[test]
fn another_text_is_told_and_a_profile_that_a_shard_does_not_need_is_not() {
    let both = [("renew.yml", "1"), ("the profile of nginx", "1")];
    let shards = |third: &[(&str, &str)]| {
        let canary = made_of(part(None, 0, &[("a", Outcome::Changed)]), &both[..1]);
        let first = made_of(part(Some((1, 3)), 1, &[("a", Outcome::Unchanged)]), &both);
        let empty = made_of(part(Some((2, 3)), 2, &[]), &both[..1]);
        let third = made_of(part(Some((3, 3)), 3, &[("c", Outcome::Changed)]), third);
        join(vec![canary, first, empty, third]).unwrap()
    };
    assert_eq!(notes(&shards(&both)), Vec::<&str>::new());
    let other = shards(&[("renew.yml", "1"), ("the profile of nginx", "2")]);
    let told = notes(&other);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("shard 3/3 was made of other playbooks or profiles"), "{told:?}");
}

/// What is proposed next is for the fleet: a canary was for one host of it.
#[test]
fn the_canarys_limit_is_not_that_of_all() {
    let mut canary = part(None, 0, &[("a", Outcome::Changed)]);
    if let Kind::RunStart(start) = &mut canary.events[0].kind {
        start.rerun.limit = Some("a".into());
    }
    let joined = join(vec![canary, part(Some((1, 1)), 5, &[("b", Outcome::Changed)])]).unwrap();
    let mut view = RunView::default();
    joined.events.iter().for_each(|event| view.take(event));
    assert_eq!((view.start.rerun.limit.as_deref(), view.start.shard), (None, None));
}

#[test]
fn a_whole_run_stays_what_it_was() {
    let events = apply();
    let mut view = RunView::default();
    events.iter().for_each(|event| view.take(event));
    let joined = join(vec![Part { source: "a".into(), events }]).unwrap();
    let told = view.summary.unwrap();
    assert_eq!((joined.summary.hosts, joined.codes), (told.hosts, vec![told.exit_code]));
}
