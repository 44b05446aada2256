//! What becomes of the guard when the login that it was started by ends: logind may end everything of it.

use super::host;
use crate::services_rollout::service::{NGINX, Service};
use crate::services_rollout::site::{Host, Task};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Who dies when the new files are live and not confirmed.
#[derive(Clone, Copy)]
enum Dies {
    Controller,
    /// The program on the host, and then the controller.
    Both,
}

fn dies_after_the_commit(host: &Host, service: &Service, who: Dies) {
    let task = Task::of(service, "gen2")
        .with("checks: [{command: [sleep, '60'], on: controller, timeout: 90s}]");
    std::fs::write(host.file("play.yml"), host.play(&[task])).unwrap();
    let inventory = host.fleet().dir().join("inventory.ini").display().to_string();
    let arguments = ["apply", "play.yml", "-i", &inventory, "-o", "json", "--limit", host.name];
    let mut controller = host
        .fleet()
        .certroll(&arguments)
        .current_dir(host.file("play.yml").parent().unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(controller.stdout.take().unwrap()).lines();
    let verified = |line: &String| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["event"] == "step_end" && event["step"] == "verify"
    };
    assert!(lines.map(Result::unwrap).any(|line| verified(&line)), "it did not get so far");
    host.expect(service, "gen2");
    if let Dies::Both = who {
        host.sh("for lock in /run/certroll/lock/*; do
               lock=${lock##*/}; lock=${lock#*.}; kill -9 ${lock%%.*}
             done");
    }
    controller.kill().unwrap();
    controller.wait().unwrap();
}

fn goes_back_by_itself(host: &Host, who: Dies) {
    let before = host.state(&NGINX);
    dies_after_the_commit(host, &NGINX, who);
    let end = Instant::now() + Duration::from_secs(60);
    let litter = "ls -A /var/lib/certroll; systemctl list-units --all --no-legend 'certroll*'";
    while host.state(&NGINX) != before || !host.sh(litter).is_empty() {
        let shown = "ps -eo pid,args | grep -v grep | grep certroll | cut -c1-80; systemd-cgls --no-pager -l | cut -c1-100";
        assert!(
            Instant::now() < end,
            "{}{}{}",
            host.state(&NGINX),
            host.sh(litter),
            host.sh(shown)
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    host.expect(&NGINX, "gen1");
}

#[test]
fn the_host_goes_back_when_controller_and_program_die() {
    let Some(host) = host(&[&NGINX]) else { return };
    goes_back_by_itself(&host, Dies::Controller);
    goes_back_by_itself(&host, Dies::Both);
}

#[test]
fn the_host_goes_back_also_where_the_end_of_a_login_ends_its_processes() {
    let Some(host) = host(&[&NGINX]) else { return };
    let logind = |conf: &str| {
        host.sh(&format!(
            "mkdir -p /etc/systemd/logind.conf.d; printf '{conf}' >/etc/systemd/logind.conf.d/fleet.conf
             systemctl restart systemd-logind"
        ));
        // Those of before know nothing of it.
        host.sh("loginctl list-sessions --no-legend | while read -r id _; do loginctl terminate-session $id; done");
    };
    logind("[Login]\\nKillUserProcesses=yes\\n");
    // The control: what a login leaves behind does not live on, whatever session it made for itself.
    let config = host.fleet().dir().join("ssh/config").display().to_string();
    let leave = "sudo -n setsid sleep 4321 </dev/null >/dev/null 2>&1 & sleep 1";
    host.fleet().controller("ssh", &["-F", &config, host.name, leave]).status().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while !host.sh("pgrep -fx 'sleep 4321' || :").is_empty() {
        assert!(Instant::now() < end, "logind ends nothing");
        std::thread::sleep(Duration::from_millis(100));
    }

    goes_back_by_itself(&host, Dies::Controller);
    goes_back_by_itself(&host, Dies::Both);

    logind("");
}
