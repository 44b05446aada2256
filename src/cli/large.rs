//! What a run of very many hosts takes of the controller alone, and what is told of it: everything but the hosts, which are
//! scripted. Prints figures for `docs/performance.md`.
//!
//! `cargo test --release --lib -- --ignored --nocapture --test-threads 1 cli::large`, with `CERTROLL_HOSTS=10000`.

use super::args::{Cli, Command};
use super::session::Session;
use super::{console, project};
use crate::engine::rollout::targets::scripted::{Act, Script};
use crate::event::Event;
use crate::inputs::verb::Verb;
use crate::model::{Outcome, Step};
use crate::report::{Reporter, RunView};
use clap::Parser;
use std::fmt::Write;
use std::path::Path;
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
    let most = std::env::var("CERTROLL_HOSTS").ok().and_then(|text| text.parse().ok());
    let most: usize = most.unwrap_or(10_000);
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["www.example.net".to_owned()]).unwrap();
    std::fs::write(directory.path().join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(directory.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let mut rows = String::new();
    for (hosts, serial) in [(most / 10, "100%"), (most, "5%"), (most, "100%")] {
        one(directory.path(), hosts, serial, &mut rows).await;
    }
    std::io::Write::write_all(&mut std::io::stdout(), rows.as_bytes()).unwrap();
}

/// One of 500 hosts refuses the new files, the others take them.
async fn one(directory: &Path, hosts: usize, serial: &str, rows: &mut String) {
    let names: Vec<String> = (0..hosts).map(|number| format!("h{number:05}.example.net")).collect();
    let (inventory, play) = (directory.join("inventory.ini"), directory.join("play.yml"));
    std::fs::write(&inventory, names.join("\n")).unwrap();
    let tolerant = format!("{serial}\n  max_fail_percentage: 50");
    std::fs::write(&play, PLAY.replace("SERIAL", &tolerant)).unwrap();
    let fails = |script: Script, name: &String| script.act(name, Step::Stage, Act::Fail);
    let script = names.iter().step_by(500).fold(Script::default(), fails);
    let words = ["certroll".as_ref(), "apply".as_ref(), play.as_os_str(), "-i".as_ref()];
    let words = words.into_iter().chain([inventory.as_os_str(), "--ssh-config=none".as_ref()]);
    let Command::Apply(apply) = Cli::try_parse_from(words).unwrap().command else { unreachable!() };
    let run = apply.run;
    // The kernel's mark of the most memory starts anew (proc(5), clear_refs).
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, begun, events) = (memory("VmRSS:"), Instant::now(), Count::default());
    let loaded = project::load(&run, Verb::Apply).unwrap();
    let read = (memory("VmRSS:"), begun.elapsed());
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
        reporters: vec![Box::new(events.clone())],
    };
    let ran = session.run_on(Arc::new(script), loaded.project, loaded.warnings).await.unwrap();
    let changed = ran.hosts.values().filter(|end| end.outcome == Outcome::Changed).count();
    assert_eq!((ran.hosts.len(), changed), (hosts, hosts - hosts.div_ceil(500)));
    writeln!(
        rows,
        "{hosts} hosts, serial {serial}: read in {:.2} s with {:.1} MiB more; run in {:.2} s, {:.1} MiB at most beyond {:.1}; {} events",
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
