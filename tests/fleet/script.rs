//! The fleet script itself: what the other tests take for granted about it.

use crate::common::fleet::Fleet;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn id_of_boot(fleet: &Fleet, host: &str) -> String {
    fleet.sh(host, "cat /proc/sys/kernel/random/boot_id")
}

#[test]
fn hosts_are_apart_and_serve_what_they_are_given() {
    let Some(fleet) = Fleet::up(2, &["nginx", "postfix"]) else {
        return;
    };
    fleet.expect("all", "nginx", "gen1");
    fleet.expect("all", "postfix:465", &fleet.leaf("gen1"));

    let before = fleet.snapshot("h002", &[]);
    fleet.fleet(&["put", "h001", "nginx", "gen2"]);
    fleet.fleet(&["reload", "h001", "nginx"]);
    fleet.expect("h001", "nginx", "gen2");
    fleet.expect("h002", "nginx", "gen1");
    assert_eq!(fleet.snapshot("h002", &[]), before);
    assert_ne!(fleet.snapshot("h001", &[]), before);

    assert_ne!(id_of_boot(&fleet, "h001"), id_of_boot(&fleet, "h002"));
    assert_eq!(fleet.sh("h001", "hostname; pgrep -xc nginx"), "h001\n2\n");
}

#[test]
fn power_loss_keeps_files_and_changes_the_boot_id() {
    let Some(fleet) = Fleet::up(1, &["nginx"]) else {
        return;
    };
    fleet.sh(
        "h001",
        "echo kept >/etc/nginx/kept; echo lost >/run/lost; sleep 1000 >/dev/null 2>&1 &",
    );
    let (boot, files) = (id_of_boot(&fleet, "h001"), fleet.snapshot("h001", &[]));

    fleet.fleet(&["powerloss", "h001"]);

    assert_ne!(id_of_boot(&fleet, "h001"), boot);
    assert_eq!(fleet.snapshot("h001", &[]), files);
    let left =
        "cat /etc/nginx/kept; test -e /run/lost || echo gone; pgrep -fc 'sleep 100[0]' || true";
    assert_eq!(fleet.sh("h001", left), "kept\ngone\n0\n");
    fleet.expect("h001", "nginx", "gen1");
}

#[test]
fn systemd_starts_the_services_again_after_a_power_loss() {
    let Some(fleet) = Fleet::up_with(1, &["nginx"], &["--init", "systemd"]) else {
        return;
    };
    let how_it_is =
        "cat /proc/1/comm; systemctl is-active nginx ssh; systemctl is-system-running --wait";
    let boot = id_of_boot(&fleet, "h001");
    assert_eq!(fleet.sh("h001", how_it_is), "systemd\nactive\nactive\nrunning\n");
    // A login is a session of its own, as on a machine.
    let config = fleet.dir().join("ssh/config");
    let login = fleet
        .controller("ssh", &["-F", &config.display().to_string(), "h001", "cat /proc/self/cgroup"])
        .output()
        .expect("ssh starts");
    let groups = String::from_utf8_lossy(&login.stdout);
    assert!(groups.contains("::/user.slice/user-20001.slice/session-"), "{groups}");

    fleet.fleet(&["powerloss", "h001"]);

    assert_ne!(id_of_boot(&fleet, "h001"), boot);
    assert_eq!(fleet.sh("h001", how_it_is), "systemd\nactive\nactive\nrunning\n");
    fleet.expect("h001", "nginx", "gen1");
}

#[test]
fn a_cut_host_is_silent_until_it_is_healed() {
    let Some(fleet) = Fleet::up(2, &["nginx"]) else {
        return;
    };
    let connect = |host| {
        let script = format!("exec 3<>/dev/tcp/{host}/443");
        let begun = Instant::now();
        let status = fleet
            .controller("timeout", &["4", "bash", "-c", &script])
            .stderr(Stdio::null())
            .status()
            .expect("bash starts");
        (status.code(), begun.elapsed())
    };
    fleet.fleet(&["cut", "h001"]);
    // 124: timeout ended it. A refused or unreachable host would have answered at once.
    let (code, took) = connect("h001");
    assert_eq!((code, took >= Duration::from_secs(4)), (Some(124), true));
    assert_eq!(connect("h002").0, Some(0));
    fleet.fleet(&["heal", "h001"]);
    assert_eq!(connect("h001").0, Some(0));
}

#[test]
fn hosts_behind_the_bastion_are_reached_through_it_alone() {
    let Some(fleet) = Fleet::up_with(1, &["nginx"], &["--bastion", "1"]) else {
        return;
    };
    let config = fleet.dir().join("ssh/config");
    let config = config.to_str().expect("a plain path");
    let ssh =
        fleet.controller("ssh", &["-F", config, "i001", "hostname"]).output().expect("ssh starts");
    assert_eq!(String::from_utf8_lossy(&ssh.stdout), "i001\n");
    let direct = fleet
        .controller("bash", &["-c", "exec 3<>/dev/tcp/198.19.0.2/22"])
        .stderr(Stdio::null())
        .status()
        .expect("bash starts");
    assert_eq!(direct.code(), Some(1));
}

#[test]
fn nothing_is_left_when_a_fleet_ends() {
    let Some(fleet) = Fleet::up(1, &["nginx"]) else {
        return;
    };
    let (dir, root) = (fleet.dir().to_owned(), fleet.root("h001"));
    // The host's first process. Its number may be another's soon, but not with the same start; and where nobody waits
    // for it, as in many containers, it stays on as a zombie (proc_pid_stat(5)).
    let began = || {
        let stat = std::fs::read_to_string(root.parent()?.join("stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        (state != "Z" && state != "X").then(|| fields.nth(18).map(str::to_owned))?
    };
    let hosts = began();
    assert!(root.join("etc/hostname").exists() && hosts.is_some());
    drop(fleet);
    assert!(!dir.exists());
    let minute = Instant::now() + Duration::from_secs(60);
    while began() == hosts {
        assert!(Instant::now() < minute, "the host's first process is still there");
        std::thread::sleep(Duration::from_millis(50));
    }
}
