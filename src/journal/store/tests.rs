use super::*;
use crate::event::{Event, Kind, Summary};
use std::io::Write;

const NOON: i64 = 1_795_521_600;

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path().join("certroll/runs"));
    (directory, store)
}

fn event(seq: u64, kind: Kind) -> Event {
    let moment = Timestamp::from_unix(NOON);
    Event { seq, moment, elapsed: Duration::from_millis(40 * seq), host: None, kind }
}

fn begin(store: &Store, run: &str, moment: i64) -> Record {
    let start =
        RunStart { run: run.to_owned(), command: "apply".to_owned(), ..RunStart::default() };
    let mut record = store.begin(&start, Duration::from_secs(moment.unsigned_abs())).unwrap();
    record.take(&event(0, Kind::RunStart(Box::new(start)))).unwrap();
    record
}

fn end(mut record: Record) {
    record.take(&event(1, Kind::Summary(Summary::default()))).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_record_is_for_its_owner_alone() {
    let (_keep, store) = store();
    end(begin(&store, "aa01", NOON));
    assert_eq!(mode(store.directory()), 0o700);
    assert_eq!(mode(store.directory().parent().unwrap()), 0o700);
    let listed = store.list().unwrap();
    assert_eq!(mode(&listed[0].path), 0o600);
    let name = listed[0].path.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("20261124T120000.") && name.ends_with("Z-aa01.jsonl"), "{name}");
    fs::set_permissions(store.directory(), fs::Permissions::from_mode(0o755)).unwrap();
    end(begin(&store, "aa02", NOON));
    assert_eq!(mode(store.directory()), 0o700);
}

#[test]
fn a_run_that_goes_on_is_told_from_one_that_was_killed() {
    let (_keep, store) = store();
    let running = begin(&store, "aa01", NOON);
    drop(begin(&store, "bb02", NOON + 1));
    end(begin(&store, "cc03", NOON + 2));
    let states = |store: &Store| -> Vec<State> {
        store.list().unwrap().iter().map(|one| one.state).collect()
    };
    assert_eq!(states(&store), [State::Running, State::Killed, State::Ended]);
    drop(running);
    assert_eq!(states(&store)[0], State::Killed);
}

#[test]
fn a_torn_line_hides_nothing_else() {
    let (_keep, store) = store();
    let record = begin(&store, "aa01", NOON);
    drop(record);
    let path = store.list().unwrap()[0].path.clone();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"event\":\"task_st").unwrap();
    let listed = store.find("aa", |_| true).unwrap();
    assert_eq!((listed.state, listed.last.seq), (State::Killed, 0));
    let reading = store.read(&listed).unwrap();
    assert_eq!((reading.events.len(), reading.unreadable), (1, 1));
}

#[test]
fn a_summary_longer_than_a_step_is_found_from_the_end() {
    let (_keep, store) = store();
    let mut record = begin(&store, "aa01", NOON);
    let hosts = (0..5_000).map(|n| (format!("h{n}").as_str().into(), Default::default())).collect();
    record.take(&event(1, Kind::Summary(Summary { hosts, ..Summary::default() }))).unwrap();
    let listed = store.list().unwrap();
    assert!(matches!(&listed[0].last.kind, Kind::Summary(summary) if summary.hosts.len() == 5_000));
}

#[test]
fn runs_are_found_by_the_beginning_of_their_name() {
    let (_keep, store) = store();
    ["aa01", "aa02", "bb03"].iter().zip(0..).for_each(|(run, n)| end(begin(&store, run, NOON + n)));
    assert_eq!(store.find("b", |_| true).unwrap().start.run, "bb03");
    assert_eq!(store.find("last", |start| start.run != "bb03").unwrap().start.run, "aa02");
    let several = store.find("aa", |_| true).unwrap_err().to_string();
    assert_eq!(several, "'aa' may be each of these runs: aa01, aa02");
    for name in ["c", ""] {
        let error = store.find(name, |_| true).unwrap_err().to_string();
        assert!(error.starts_with("no run '"), "{error}");
    }
}

#[test]
fn the_oldest_go_and_one_that_goes_on_stays() {
    let (_keep, store) = store();
    let running = begin(&store, "aa01", NOON);
    for n in 2..8 {
        end(begin(&store, &format!("bb0{n}"), NOON + n));
    }
    let names = |store: &Store| -> Vec<String> {
        store.list().unwrap().into_iter().map(|one| one.start.run).collect()
    };
    assert_eq!(store.prune(4, Timestamp::from_unix(0)).unwrap(), 2);
    assert_eq!(names(&store), ["aa01", "bb04", "bb05", "bb06", "bb07"]);
    assert_eq!(store.prune(100, Timestamp::from_unix(NOON + 6)).unwrap(), 2);
    assert_eq!(names(&store), ["aa01", "bb06", "bb07"]);
    drop(running);
    fs::write(store.directory().join("notes.txt"), "mine").unwrap();
    assert_eq!(store.prune(0, Timestamp::from_unix(0)).unwrap(), 3);
    assert_eq!(fs::read_dir(store.directory()).unwrap().count(), 1, "foreign files stay");
}

#[test]
fn what_cannot_be_written_is_an_error_and_no_panic() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    let store = Store::at(directory.path().join("file/runs"));
    assert!(store.begin(&RunStart::default(), Duration::ZERO).is_err());
    assert!(Store::at("/nonexistent/runs").list().unwrap().is_empty());
}

#[test]
fn the_usual_place_follows_the_xdg_rules() {
    let with = |pairs: &[(&str, &str)]| {
        let find = |name: &str| {
            pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        Store::usual(find).map(|store| store.directory().display().to_string())
    };
    let state = ("XDG_STATE_HOME", "/s");
    assert_eq!(with(&[state, ("HOME", "/h")]).as_deref(), Some("/s/certroll/runs"));
    let home = Some("/h/.local/state/certroll/runs");
    assert_eq!(with(&[("HOME", "/h")]).as_deref(), home);
    assert_eq!(with(&[("XDG_STATE_HOME", "rel"), ("HOME", "/h")]).as_deref(), home);
    assert_eq!(with(&[]), None);
}
