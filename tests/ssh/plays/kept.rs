//! What the controller keeps of plans and runs: no key in any of it; a full disk; two runs at once.

use crate::plays::site::{CERTIFICATE, Ran, Site, ended};
use certroll::testing::lab::story::Scenario;
use std::fs;
use std::path::{Path, PathBuf};

const PROGRAM: &str = env!("CARGO_BIN_EXE_certroll");
const HOSTS: [&str; 2] = ["-i", "inventory.ini"];
const NO_CONFIG: [&str; 2] = ["--ssh-config", "none"];

fn head() -> &'static str {
    "  serial: 1\n"
}

fn run_of(ran: &Ran) -> String {
    ran.events()[0]["run"].as_str().expect("a run").to_owned()
}

/// The first host is changed; the second cannot be, until [`mend`].
async fn half_done() -> (Site, Ran) {
    let site = Site::new(&[Scenario::None, Scenario::BrokenConfiguration]).await;
    let reports = ["a.html", "a.md", "a.json", "a.xml"].map(|name| ["--report", name]).concat();
    let ran = site.play("apply", head(), CERTIFICATE, &[&["-D"][..], &reports].concat()).await;
    assert_eq!(ran.outcomes(), "edge1=changed edge2=failed", "{ran}");
    (site, ran)
}

fn mend(site: &Site) {
    let settings = site.file("edge2", "service.conf");
    let text = fs::read_to_string(&settings).expect("settings");
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("max_")).collect();
    fs::write(settings, lines.join("\n")).expect("writable");
}

fn files_below(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let entries = fs::read_dir(place).expect("a directory");
    entries.flat_map(|entry| files_below(&entry.expect("an entry").path())).collect()
}

/// The lines of every key that the hosts get or had.
fn key_lines(site: &Site) -> Vec<String> {
    let mut lines = Vec::new();
    for host in ["edge1", "edge2"] {
        let new = site.lab.directory().join("certs").join(host).join("privkey.pem");
        for file in [new, site.file(host, "tls/key.pem")] {
            let text = fs::read_to_string(file).expect("a key");
            let body = text.lines().filter(|line| !line.starts_with("-----"));
            lines.extend(body.filter(|line| line.len() >= 16).map(str::to_owned));
        }
    }
    assert!(lines.len() >= 8, "{}", lines.len());
    lines
}

fn holders<'p>(marks: &[String], files: &'p [PathBuf]) -> Vec<&'p PathBuf> {
    let holds = |file: &&PathBuf| {
        let bytes = fs::read(file).expect("readable");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        marks.iter().any(|mark| text.contains(mark.as_str()))
    };
    files.iter().filter(holds).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_in_a_plan_a_record_or_a_report() {
    let site = Site::new(&[Scenario::None, Scenario::None]).await;
    let marks_before = key_lines(&site);
    let plan = site.play("plan", head(), CERTIFICATE, &["-D", "--out", "plan.json"]).await;
    assert_eq!(plan.code, 0, "{plan}");
    let mut said = vec![plan];
    for format in ["html", "markdown", "json", "junit"] {
        said.push(site.certroll(&["show", "plan.json", "--format", format]).await);
    }
    let reports = ["a.html", "a.md", "a.json", "a.xml"].map(|name| ["--report", name]).concat();
    let apply = site.play("apply", head(), CERTIFICATE, &[&["-D"][..], &reports].concat()).await;
    assert_eq!(apply.outcomes(), "edge1=changed edge2=changed", "{apply}");
    let run = run_of(&apply);
    let resumed = ["apply", "--resume", &run, "-o", "json", "--report", "b.html"];
    let resumed = site.certroll(&resumed).await;
    assert_eq!(resumed.outcomes(), "edge1=unchanged edge2=unchanged", "{resumed}");
    let back =
        ["rollback", "--run", &run, "-o", "json", "--report", "c.html", "--report", "c.json"];
    let back = site.certroll(&back).await;
    assert_eq!((back.code, site.serves_new("edge1")), (0, false), "{back}");
    said.extend([apply, resumed, back]);
    for format in ["html", "markdown", "json", "junit"] {
        said.push(site.certroll(&["history", "show", &run, "--format", format]).await);
    }
    for (number, ran) in said.iter().enumerate() {
        let text = format!("{}\n{}", ran.stdout, ran.stderr);
        fs::write(site.state().join(format!("said-{number}")), text).expect("writable");
    }
    let mut files = files_below(&site.state());
    for name in ["plan.json", "a.html", "a.md", "a.json", "a.xml", "b.html", "c.html", "c.json"] {
        files.push(site.lab.directory().join(name));
    }
    let records = files.iter().filter(|file| file.extension().is_some_and(|end| end == "jsonl"));
    assert_eq!(records.count(), 3, "{files:?}");
    let marks = [marks_before, key_lines(&site)].concat();
    assert_eq!(holders(&marks, &files), Vec::<&PathBuf>::new());

    // The search finds what is there: a host's name in all of them but lists of events that have none, and a line of a
    // key where it was planted.
    let named = holders(&["edge1".to_owned()], &files);
    assert!(named.len() >= 20, "{named:?}");
    let planted = site.lab.directory().join("a.json");
    let text = fs::read_to_string(&planted).expect("a report");
    fs::write(&planted, format!("{text}{}", marks[3])).expect("writable");
    assert_eq!(holders(&marks, &files), [&planted]);
}

/// A limit on the size of files stands for a full disk: the first write beyond it fails. What is printed goes into a
/// pipe, and is not concerned.
async fn on_a_full_disk(site: &Site, arguments: &[&str]) -> Ran {
    // POSIX, ulimit: blocks of 512 bytes. The ignored signal stays ignored in what is executed.
    let script = "trap '' XFSZ; ulimit -f 4; exec \"$@\"";
    let arguments = [&["-c", script, "sh", PROGRAM][..], arguments].concat();
    ended(site.program("sh", &arguments, &[]).spawn().expect("a shell")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_the_plan_or_the_record_and_no_host() {
    let (site, ran) = half_done().await;
    let run = run_of(&ran);
    let plan = [&["plan", "play.yml", "--out", "plan.json"][..], &HOSTS, &NO_CONFIG].concat();
    let plan = on_a_full_disk(&site, &plan).await;
    assert_ne!(plan.code, 0, "{plan}");
    assert!(plan.stderr.contains("the plan plan.json cannot be written: "), "{plan}");
    let left = fs::read_dir(site.lab.directory()).expect("the directory");
    let left = left.filter(|entry| {
        let name = entry.as_ref().expect("an entry").file_name();
        name.to_string_lossy().contains("plan")
    });
    assert_eq!(left.count(), 0, "nothing is left of it");

    mend(&site);
    let warning = "the record of this run is incomplete: ";
    let resumed = on_a_full_disk(&site, &["apply", "--resume", &run, "-o", "json"]).await;
    assert_eq!(resumed.code, 0, "{resumed}");
    assert_eq!(resumed.outcomes(), "edge1=unchanged edge2=changed", "{resumed}");
    assert_eq!(resumed.stderr.matches(warning).count(), 1, "{resumed}");
    assert!(site.serves_new("edge1") && site.serves_new("edge2"));

    let back = on_a_full_disk(&site, &["rollback", "--run", &run, "-o", "json"]).await;
    assert_eq!((back.code, back.outcomes().as_str()), (0, "edge1=changed"), "{back}");
    assert_eq!(back.stderr.matches(warning).count(), 1, "{back}");
    assert!(!site.serves_new("edge1") && site.serves_new("edge2"));

    let status =
        [&["status", "play.yml", "--report", "held.html"][..], &HOSTS, &NO_CONFIG].concat();
    let status = on_a_full_disk(&site, &status).await;
    assert_ne!(status.code, 0, "{status}");
    assert!(status.stderr.contains("held.html cannot be written: "), "{status}");
    assert!(!site.lab.directory().join("held.html").exists());
}

/// Runs the same twice at once; the one that changed the second host.
async fn at_once(site: &Site, verb: &[&str], run: &str) -> Ran {
    let arguments = [verb, &[run, "-o", "json"]].concat();
    let (one, other) = tokio::join!(site.certroll(&arguments), site.certroll(&arguments));
    assert_eq!((one.code, other.code), (0, 0), "{one} {other}");
    let outcome = |ran: &Ran| ran.summary()["hosts"]["edge2"]["outcome"].clone();
    let mut outcomes = [outcome(&one), outcome(&other)].map(|word| word.to_string());
    outcomes.sort();
    assert_eq!(outcomes, ["\"changed\"", "\"unchanged\""], "{one} {other}");
    if outcome(&one) == "changed" { one } else { other }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_go_on_or_back_at_once_one_does_it_and_the_other_finds_it_done() {
    let (site, ran) = half_done().await;
    mend(&site);
    let resumed = at_once(&site, &["apply", "--resume"], &run_of(&ran)).await;
    assert!(site.serves_new("edge1") && site.serves_new("edge2"));
    at_once(&site, &["rollback", "--run"], &run_of(&resumed)).await;
    assert!(site.serves_new("edge1") && !site.serves_new("edge2"));
}
