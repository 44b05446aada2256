//! Power lost between the two renames of a pair, and what the next boot finds.

use crate::common::fleet::{Fleet, Ran};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// In place of mv: renames the first of two new files and then stands still.
const HALF: &str = r#"#!/bin/sh
case $# in 5) case $3 in */.certroll-*.new/*) /bin/mv "$1" "$2" "$3" "$5"; sync; : >/run/between; sleep 1000;; esac;; esac
exec /bin/mv "$@"
"#;

struct Site {
    fleet: Fleet,
    directory: TempDir,
}

fn site(hosts: usize, init: &str) -> Option<Site> {
    let fleet = Fleet::up_with(hosts, &["nginx"], &["--init", init])?;
    Some(Site { fleet, directory: tempfile::tempdir().unwrap() })
}

impl Site {
    fn play(&self, boot_guard: bool) {
        let file = |name| self.fleet.pki("gen2", name).display().to_string();
        let play = format!(
            "- hosts: web\n  become: true\n  tasks:\n  - certificate:\n      service: nginx\n      boot_guard: {boot_guard}\n      \
             source: {{cert: {}, key: {}}}\n      \
             dest: {{cert: /etc/nginx/tls/fullchain.pem, key: /etc/nginx/tls/privkey.pem}}\n      \
             verify: {{server_name: www.fleet.test, attempts: 60, max_backoff: 1s}}\n",
            file("fullchain.pem"),
            file("privkey.pem")
        );
        std::fs::write(self.directory.path().join("play.yml"), play).unwrap();
    }

    fn arguments<'a>(&self, verb: &'a str, inventory: &'a str, host: &'a str) -> Vec<&'a str> {
        vec![verb, "play.yml", "-i", inventory, "-o", "json", "--limit", host]
    }

    fn inventory(&self) -> String {
        self.fleet.dir().join("inventory.ini").display().to_string()
    }

    fn run(&self, verb: &str, host: &str) -> Ran {
        let inventory = self.inventory();
        self.fleet.run(self.directory.path(), &self.arguments(verb, &inventory, host))
    }

    /// Half a pair is live, and the power is lost.
    fn power_is_lost_between_the_renames(&self, host: &str) {
        self.fleet.sh(
            host,
            &format!("cat >/usr/local/sbin/mv <<'E'\n{HALF}E\nchmod 755 /usr/local/sbin/mv"),
        );
        let inventory = self.inventory();
        let mut controller = self
            .fleet
            .certroll(&self.arguments("apply", &inventory, host))
            .current_dir(self.directory.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while self.fleet.sh(host, "ls /run/between 2>/dev/null || :").is_empty() {
            assert!(Instant::now() < end, "the renames did not begin");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.fleet.fleet(&["off", host]);
        controller.kill().unwrap();
        controller.wait().unwrap();
        let upper = self.fleet.upper(host);
        std::fs::remove_file(upper.join("usr/local/sbin/mv")).unwrap();
        let held = |name| std::fs::read(upper.join("etc/nginx/tls").join(name)).unwrap();
        let given = |name| std::fs::read(self.fleet.pki("gen2", name)).unwrap();
        assert_eq!(held("privkey.pem"), given("privkey.pem"), "the key is new");
        assert_ne!(held("fullchain.pem"), given("fullchain.pem"), "the certificate is old");
    }

    /// Everything that a guard consists of.
    fn guard(&self, host: &str) -> String {
        self.fleet.sh(
            host,
            "find /etc/systemd/system /var/lib/certroll -name '*boot.*' -o -name 'certroll-*'",
        )
    }
}

#[test]
fn with_a_guard_the_host_settles_it_before_its_services_start() {
    let Some(site) = site(2, "systemd") else { return };
    let nginx = "systemctl is-active nginx || :";
    let before = site.fleet.snapshot("h001", &["/etc/nginx/tls"]);

    // The control, without a guard: the service cannot start until somebody comes.
    site.play(false);
    site.power_is_lost_between_the_renames("h002");
    site.fleet.fleet(&["on", "h002", "--wait", "sshd"]);
    assert_eq!(
        site.fleet.sh("h002", &format!("systemctl is-system-running --wait >/dev/null; {nginx}")),
        "failed\n"
    );

    site.play(true);
    let plan = site.run("plan", "h001");
    assert!(!plan.stdout.contains("boot_guard:"), "{plan}");
    site.power_is_lost_between_the_renames("h001");
    site.fleet.fleet(&["on", "h001"]);

    assert_eq!(site.fleet.snapshot("h001", &["/etc/nginx/tls"]), before);
    site.fleet.expect("h001", "nginx", "gen1");
    assert_eq!(site.fleet.sh("h001", "systemctl is-system-running --wait"), "running\n");
    assert_eq!(site.guard("h001"), "");
    let told = site.fleet.sh("h001", "journalctl -b -o cat --no-pager -u 'certroll-*'");
    assert!(told.contains("which the end of the last boot interrupted, is settled"), "{told}");
    // No later contact has anything left to do.
    let recover = site.run("recover", "h001");
    assert_eq!(recover.code, 0, "{recover}");
    assert!(!recover.stdout.contains("\"recovered\":[{"), "{recover}");

    // Nor does a rollout that goes well leave anything to boot for.
    let ran = site.run("apply", "h001");
    assert_eq!(ran.outcome("h001"), "changed", "{ran}");
    assert_eq!(site.guard("h001"), "");
    site.fleet.fleet(&["powerloss", "h001"]);
    site.fleet.expect("h001", "nginx", "gen2");
    // The other one is settled by the contact, as ever.
    assert_eq!(site.run("apply", "h002").outcome("h002"), "changed");
}

/// The unit is good in systemd's own eyes, and is there while a transaction waits.
#[test]
fn the_unit_passes_systemds_own_check() {
    let Some(site) = site(1, "systemd") else { return };
    site.play(true);
    site.power_is_lost_between_the_renames("h001");
    let upper = site.fleet.upper("h001");
    let wants = upper.join("etc/systemd/system/sysinit.target.wants");
    let link = std::fs::read_dir(wants).unwrap().next().unwrap().unwrap().file_name();
    let unit = std::fs::read(upper.join("etc/systemd/system").join(&link)).unwrap();
    site.fleet.fleet(&["on", "h001"]);
    std::fs::write(site.fleet.root("h001").join("run").join(&link), unit).unwrap();
    let check = format!("cd /run && systemd-analyze verify --man=no ./{} 2>&1", link.display());
    assert_eq!(site.fleet.sh("h001", &check), "");
}

/// Where there can be no guard the plan says so, and the rollout goes on without.
#[test]
fn without_systemd_the_next_contact_settles_it_and_the_plan_says_so() {
    let Some(site) = site(1, "plain") else { return };
    site.play(true);
    let note =
        "boot_guard: no systemd here; after a power loss in the middle the next contact settles it";
    let plan = site.run("plan", "h001");
    assert!(plan.stdout.contains(note), "{plan}");
    let ran = site.run("apply", "h001");
    assert_eq!(ran.outcome("h001"), "changed", "{ran}");
    assert!(ran.stdout.contains(note), "{ran}");
    assert_eq!(site.guard("h001"), "");
}
