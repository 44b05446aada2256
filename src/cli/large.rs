//! What a run of very many hosts takes of the controller alone, and what is told of it: everything but the hosts, which are
//! scripted. Prints figures for `docs/performance.md`.
//!
//! `cargo test --release --lib -- --ignored --nocapture --test-threads 1 cli::large`, with `CERTROLL_HOSTS=10000`.

use super::args::{Cli, Command};
use super::report::report_to;
use super::session::Session;
use super::{console, project};
use crate::engine::rollout::targets::scripted::{Act, Script};
use crate::event::Event;
use crate::inputs::verb::Verb;
use crate::model::{Outcome, Step};
use crate::report::{Json, Metrics, Reporter, RunView};
use clap::Parser;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const PLAY: &str = "\
- hosts: all
  serial: SERIAL
  tasks:
    - name: renew
      certificate:
        service: files
        source: {cert: cert.pem, key: key.pem}
        dest: {cert: /etc/tls/cert.pem, key: /etc/tls/key.pem}
        reload: none
        verify: false
";

/// What a row of the result begins with.
const ROW: &str = "result: ";

/// Counts what it is told.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Reporter for Count {
    fn on_event(&mut self, _: &Event, _: &RunView) -> std::io::Result<()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures, and takes a minute"]
async fn what_very_many_hosts_take() {
    let of = |name: &str| std::env::var(name).ok();
    let most: usize = of("CERTROLL_HOSTS").and_then(|text| text.parse().ok()).unwrap_or(10_000);
    if let Some(serial) = of("CERTROLL_SERIAL") {
        return one(most, &serial, of("CERTROLL_REPORTS").is_some()).await;
    }
    // Each in a process of its own: what one has freed would serve the next.
    let mut rows = String::new();
    for (hosts, serial, reports) in
        [(most / 10, "100%", ""), (most, "5%", ""), (most, "100%", ""), (most, "100%", "all")]
    {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--ignored", "--nocapture", "--test-threads", "1", "cli::large"]);
        child.env("CERTROLL_HOSTS", hosts.to_string()).env("CERTROLL_SERIAL", serial);
        let child =
            if reports.is_empty() { &mut child } else { child.env("CERTROLL_REPORTS", reports) };
        let said = String::from_utf8(child.output().unwrap().stdout).unwrap();
        let row = said.lines().find(|line| line.starts_with(ROW)).expect(&said);
        rows.push_str(row.trim_start_matches(ROW));
        rows.push('\n');
        writeln!(std::io::stdout(), "{said}").unwrap();
    }
    std::io::stdout().write_all(rows.as_bytes()).unwrap();
}

/// One of 500 hosts refuses the new files, the others take them.
async fn one(hosts: usize, serial: &str, reports: bool) {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let made = rcgen::generate_simple_self_signed(["www.example.net".to_owned()]).unwrap();
    std::fs::write(directory.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let names: Vec<String> = (0..hosts).map(|number| format!("h{number:05}.example.net")).collect();
    let (inventory, play) = (directory.join("inventory.ini"), directory.join("play.yml"));
    std::fs::write(&inventory, names.join("\n")).unwrap();
    let tolerant = format!("{serial}\n  max_fail_percentage: 50");
    std::fs::write(&play, PLAY.replace("SERIAL", &tolerant)).unwrap();
    let fails = |script: Script, name: &String| script.act(name, Step::Stage, Act::Fail);
    let script = names.iter().step_by(500).fold(Script::default().forgetting(), fails);
    let words = ["certroll".as_ref(), "apply".as_ref(), play.as_os_str(), "-i".as_ref()];
    let words = words.into_iter().chain([inventory.as_os_str(), "--ssh-config=none".as_ref()]);
    let Command::Apply(apply) = Cli::try_parse_from(words).unwrap().command else { unreachable!() };
    let run = apply.run;
    let mut reporters: Vec<Box<dyn Reporter + Send>> = Vec::new();
    if reports {
        let file = |name: &str| directory.join(name);
        reporters.push(Box::new(Metrics::new(file("metrics.prom"))));
        reporters.push(Box::new(report_to(&file("run.html")).unwrap()));
        reporters.push(Box::new(report_to(&file("run.xml")).unwrap()));
        reporters.push(Box::new(Json::new(std::fs::File::create(file("run.json")).unwrap())));
    }
    // The kernel's mark of the most memory starts anew (proc(5), clear_refs).
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, begun, events) = (memory("VmRSS:"), Instant::now(), Count::default());
    let loaded = project::load(&run, Verb::Apply).unwrap();
    let read = (memory("VmRSS:"), begun.elapsed());
    reporters.push(Box::new(events.clone()));
    let session = Session {
        connection: &run.connection,
        output: &run.output,
        watch: &run.watch,
        diff: false,
        rerun: console::rerun(&run),
        out: None,
        plan: None,
        follows: None,
        record: None,
        reporters,
    };
    let ran = session.run_on(Arc::new(script), loaded.project, loaded.warnings).await.unwrap();
    let changed = ran.hosts.values().filter(|end| end.outcome == Outcome::Changed).count();
    assert_eq!((ran.hosts.len(), changed), (hosts, hosts - hosts.div_ceil(500)));
    let told = if reports { ", with every report" } else { "" };
    writeln!(
        std::io::stdout(),
        "{ROW}{hosts} hosts, serial {serial}{told}: read in {:.2} s with {:.1} MiB more; run in {:.2} s, {:.1} MiB at most beyond {:.1}; {} events",
        read.1.as_secs_f64(),
        read.0 - before,
        begun.elapsed().as_secs_f64(),
        memory("VmHWM:") - before,
        before,
        events.0.load(Ordering::Relaxed),
    )
    .unwrap();
}

/// A line of this process's status, in MiB.
fn memory(which: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(which)).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
}
