//! Saved plans and records of large runs: their size, and how long they take to be written, read, listed and shown.
//! `cargo bench --bench window [HOSTS]`.
//!
//! Two hosts of the embedded fleet are planned and rolled out by the real program; its events are then those of as many
//! hosts as wanted, all in one batch, which is the hardest for whoever puts them together. Each line is written
//! and read by the functions that a run uses, and shown by the program. Without `--bench` it does so with a handful.

use certroll::testing::journal::Lines;
use certroll::testing::lab::Lab;
use certroll::testing::lab::story::{HostStory, Kind, Scenario};
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const PLAYBOOK: &str = r#"- name: renew
  hosts: web
  tasks:
    - name: certificate
      certificate:
        service: demo-web
        source: {cert: "certs/{{ inventory_hostname }}/fullchain.pem", key: "certs/{{ inventory_hostname }}/privkey.pem"}
        dest: {cert: "{{ host_dir }}/tls/cert.pem", key: "{{ host_dir }}/tls/key.pem"}
        verify: {endpoint: "127.0.0.1:{{ tls_port }}", server_name: "{{ inventory_hostname }}.demo.test"}
"#;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let whole = arguments.iter().any(|argument| argument == "--bench");
    let given = arguments.iter().find_map(|argument| argument.parse().ok());
    let hosts: usize = given.unwrap_or(if whole { 10_000 } else { 20 });
    let runtime = tokio::runtime::Runtime::new()?;
    let story = |name: &str| HostStory::new(name, Kind::Web, Scenario::None);
    let lab = runtime.block_on(Lab::temporary(&[story("edge1"), story("edge2")]));
    let lab = lab.map_err(io::Error::other)?;
    let directory = lab.directory();
    fs::write(directory.join("play.yml"), PLAYBOOK)?;
    let run = |verb: &str| {
        let given = [verb, "play.yml", "-i", "inventory.ini", "--ssh-config", "none", "-o", "json"];
        certroll(directory, &given)
    };
    let (plan, record) = (run("plan")?, run("apply")?);
    fs::remove_dir_all(directory.join("state/certroll/runs"))?;
    measure(directory, &multiplied(&plan, hosts), &multiplied(&record, hosts), hosts)
}

fn measure(directory: &Path, planned: &str, ran: &str, hosts: usize) -> io::Result<()> {
    let mut out = io::stdout();
    let runs = directory.join("state/certroll/runs");
    let plan_file = directory.join("large.plan");
    let events = ran.lines().count();
    writeln!(out, "{hosts} hosts in one batch, {events} events in the run")?;
    let (plan, record) = (Lines::parse(planned)?, Lines::parse(ran)?);
    let ((), written) = timed(|| plan.write_plan(&plan_file))?;
    let (_, read) = timed(|| Lines::read_plan(&plan_file))?;
    let mut row = |what: &str, size: u64, written: f64, read: f64| {
        let mib = size as f64 / 1024.0 / 1024.0;
        writeln!(
            out,
            "{what:<24} {mib:>7.1} MiB   written in {written:>6.2} s   read in {read:>6.2} s"
        )
    };
    row("saved plan", plan_file.metadata()?.len(), written, read)?;
    let (record_file, written) = timed(|| record.write_record(&runs))?;
    let (_, read) = timed(|| Lines::read_record(&record_file))?;
    row("record", record_file.metadata()?.len(), written, read)?;
    // The longest line but for the summary: what each host was given.
    let is_inputs = |line: &&str| line.starts_with("{\"event\":\"inputs\"");
    let inputs = ran.lines().find(is_inputs).ok_or(io::ErrorKind::NotFound)?;
    let inputs_run = format!("{}\n{inputs}\n", ran.lines().next().unwrap_or_default());
    let (one, read) = timed(|| Lines::parse(&inputs_run))?;
    let aside = directory.join("aside");
    let (_, written) = timed(|| one.write_record(&aside))?;
    row("of it, `inputs`", inputs.len() as u64, written, read)?;

    for arguments in [
        &["history"][..],
        &["history", "show", "last"],
        &["history", "show", "last", "-o", "json"],
        &["history", "show", "last", "--format", "html"],
        &["history", "show", "last", "--format", "markdown"],
        &["history", "show", "last", "--format", "json"],
        &["history", "show", "last", "--format", "junit"],
        &["show", "large.plan"],
        &["show", "--diff", "large.plan", "large.plan"],
    ] {
        let (shown, took) = timed(|| certroll(directory, arguments))?;
        let mib = shown.len() as f64 / 1024.0 / 1024.0;
        writeln!(out, "certroll {:<44} {took:>6.2} s   {mib:>7.1} MiB", arguments.join(" "))?;
    }
    // Cut off in the middle, as by `kill -9`: what is known of each host is put together from the events alone.
    let half: String = ran.lines().take(events / 2).map(|line| format!("{line}\n")).collect();
    fs::write(&record_file, half)?;
    for arguments in [&["history"][..], &["history", "show", "last"]] {
        let (_, took) = timed(|| certroll(directory, arguments))?;
        writeln!(out, "certroll {:<44} {took:>6.2} s   of a killed run", arguments.join(" "))?;
    }
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<(T, f64)> {
    let begun = Instant::now();
    let done = work()?;
    Ok((done, begun.elapsed().as_secs_f64()))
}

fn certroll(directory: &Path, arguments: &[&str]) -> io::Result<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_certroll"))
        .args(arguments)
        .current_dir(directory)
        .env("XDG_STATE_HOME", directory.join("state"))
        .env_remove("SSH_AUTH_SOCK")
        .stdin(Stdio::null())
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(io::Error::other(format!("certroll {}: {told}", arguments.join(" "))));
    }
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

/// The lines of a run of `edge1` and `edge2` as those of many hosts, each like `edge1`.
fn multiplied(run: &str, hosts: usize) -> String {
    let names: Vec<String> =
        (0..hosts).map(|number| format!("edge{number:05}.example.net")).collect();
    let mut text = String::new();
    for line in run.lines() {
        let Ok(mut event) = serde_json::from_str::<Value>(line) else { continue };
        match event["host"].as_str() {
            Some("edge1") => {
                for name in &names {
                    text.push_str(&line.replace("edge1", name));
                    text.push('\n');
                }
                continue;
            }
            Some(_) => continue,
            None => {}
        }
        if event["plays"].is_array() {
            event["plays"] = json!([names]);
        }
        if event["names"].is_array() {
            (event["names"], event["hosts"]) = (json!(names), json!(hosts));
        } else if event["hosts"].is_array() {
            event["hosts"] = json!(names);
        } else if let Some(one) = event["hosts"].get("edge1").cloned() {
            event["hosts"] = names.iter().map(|name| (name.clone(), one.clone())).collect();
        }
        text.push_str(&format!("{event}\n"));
    }
    text
}
