//! Reading: a site of 20 roles in 200 files with an inventory of 10,000 hosts, until the hosts of its play are listed.
//! `cargo bench --bench reading [HOSTS]`. Without `--bench` it does so with a handful.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROLES: usize = 20;
const RUNS: usize = 5;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let whole = arguments.iter().any(|argument| argument == "--bench");
    let given = arguments.iter().find_map(|argument| argument.parse().ok());
    let hosts: usize = given.unwrap_or(if whole { 10_000 } else { 20 });
    let site = tempfile::tempdir()?;
    let files = write_site(site.path(), hosts)?;
    let mut out = io::stdout();
    writeln!(out, "{ROLES} roles in {files} files, {hosts} hosts; the best of {RUNS} runs")?;
    for (what, arguments) in [
        ("the inventory alone", &["inventory", "--graph", "-i", "hosts"][..]),
        ("with the roles", &["plan", "--list-hosts", "-i", "hosts", "site.yml"]),
        ("with the roles, tasks listed", &["plan", "--list-tasks", "-i", "hosts", "site.yml"]),
    ] {
        let runs: io::Result<Vec<(Duration, u64)>> =
            (0..RUNS).map(|_| run(site.path(), arguments)).collect();
        let (took, peak) = runs?.into_iter().min().unwrap_or_default();
        let (took, peak) = (took.as_secs_f64(), peak as f64 / 1024.0);
        writeln!(out, "{what:<30} {took:>6.2} s   {peak:>6.1} MiB")?;
    }
    Ok(())
}

/// Ten files a role, each with what roles have. How many files there are.
fn write_site(site: &Path, hosts: usize) -> io::Result<usize> {
    let mut files = 0;
    let mut write = |path: String, text: String| -> io::Result<()> {
        let path = site.join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        files += 1;
        fs::write(path, text)
    };
    let mut inventory = String::from("[web]\n");
    for host in 0..hosts {
        writeln!(
            inventory,
            "web{host:05} ansible_host=10.0.{}.{} rack=r{}",
            host / 250,
            host % 250,
            host % 40
        )
        .map_err(io::Error::other)?;
    }
    let mut roles = String::new();
    for role in 0..ROLES {
        writeln!(roles, "    - role{role}").map_err(io::Error::other)?;
        let at = |file: &str| format!("roles/role{role}/{file}");
        let tasks = |part: &str| {
            let task = |number: usize| {
                format!(
                    "- name: {part} {number}\n  command: echo {{{{ word_{role} }}}} {number}\n  \
                     when: enabled_{role} | bool\n  notify: told {role}\n"
                )
            };
            (0..10).map(task).collect::<String>()
        };
        let imports = ["a", "b", "c", "d", "e"].map(|part| format!("- import_tasks: {part}.yml\n"));
        write(at("tasks/main.yml"), imports.concat())?;
        for part in ["a", "b", "c", "d", "e"] {
            write(at(&format!("tasks/{part}.yml")), tasks(part))?;
        }
        write(at("defaults/main.yml"), format!("word_{role}: default\nenabled_{role}: true\n"))?;
        write(at("vars/main.yml"), format!("fixed_{role}: [a, b, c]\n"))?;
        write(at("meta/main.yml"), "dependencies: []\n".to_owned())?;
        write(at("handlers/main.yml"), format!("- name: told {role}\n  command: echo told\n"))?;
    }
    fs::write(site.join("hosts"), inventory)?;
    fs::write(site.join("site.yml"), format!("- hosts: web\n  roles:\n{roles}"))?;
    Ok(files)
}

/// How long a run took, and the most memory that it had at once, in KiB.
fn run(site: &Path, arguments: &[&str]) -> io::Result<(Duration, u64)> {
    let begun = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_certroll"))
        .args(arguments)
        .current_dir(site)
        .stdout(Stdio::null())
        .spawn()?;
    let mut peak = 0;
    loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id()));
        let line = status.unwrap_or_default();
        let most = line.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let most = most.and_then(|most| most.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(most.unwrap_or(0));
        if let Some(ended) = child.try_wait()? {
            let took = begun.elapsed();
            return match ended.success() {
                true => Ok((took, peak)),
                false => Err(io::Error::other(format!("certroll {}", arguments.join(" ")))),
            };
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
