//! After a roll back: the old certificate is served again, or it is said that it is not.

use crate::common::fleet::S_CLIENT;
use crate::services_rollout::main_job::refuses_a_bad_pair;
use crate::services_rollout::service::{HITCH, LIGHTTPD, MOSQUITTO, NGINX, Service};
use crate::services_rollout::site::{Task, host, step};

/// It serves the new one until a check says no.
fn refused(service: &Service, generation: &str) -> Task {
    Task::of(service, generation).with("checks: [{command: ['false']}]")
}

/// hitch reads a file again only when its time is later than that of the one it loaded.
#[test]
fn hitch_serves_the_old_one_again_by_its_reload_alone() {
    let Some(host) = host(&[&HITCH]) else { return };
    for generation in ["gen2", "gen3-rsa"] {
        let master = host.sh("pgrep -o -x hitch");
        let ran = host.apply(&refused(&HITCH, generation), "rolled_back");
        assert_eq!(step(&ran, &host), "checks", "{ran}");
        assert!(ran.stdout.contains("the old certificate is served again"), "{ran}");
        assert!(!ran.stdout.contains("was restarted"), "{ran}");
        host.expect(&HITCH, "gen1");
        assert_eq!(host.sh("pgrep -o -x hitch"), master);
    }
    // An earlier generation is later than what it replaces, too.
    host.apply(&Task::of(&HITCH, "gen2"), "changed");
    let ran = host.run("rollback", &[Task::of(&HITCH, "gen2")], &[]);
    assert_eq!(ran.outcome(host.name), "changed", "{ran}");
    host.expect(&HITCH, "gen1");
}

/// A key that was good enough at its start, when it was root, ends lighttpd at the reload.
#[test]
fn a_key_that_the_process_cannot_read_again_blocks_the_plan() {
    let Some(host) = host(&[&LIGHTTPD]) else { return };
    host.sh(
        "chown root:root /etc/lighttpd/tls/privkey.pem; chmod 600 /etc/lighttpd/tls/privkey.pem",
    );
    let by_hand = Task::of(&LIGHTTPD, "gen2")
        .services("files")
        .with("reload: {shell: 'kill -USR1 $(cat /run/lighttpd.pid)'}");
    for task in [Task::of(&LIGHTTPD, "gen2"), by_hand] {
        let before = host.state(&LIGHTTPD);
        let ran = host.apply(&task, "failed");
        assert_eq!(step(&ran, &host), "check", "{ran}");
        assert!(ran.stdout.contains("as www-data (process "), "{ran}");
        assert_eq!(host.state(&LIGHTTPD), before);
        host.expect(&LIGHTTPD, "gen1");
        let given = task.with("key_group: www-data").with("key_mode: \"0640\"");
        host.apply(&given, "changed");
        host.expect(&LIGHTTPD, "gen2");
        host.as_new(&LIGHTTPD);
        host.sh("chown root:root /etc/lighttpd/tls/privkey.pem; chmod 600 /etc/lighttpd/tls/privkey.pem");
    }
    // A restart opens it as root.
    let restarted = Task::of(&LIGHTTPD, "gen2").with(
        r##"reload: {shell: "# restart\npkill -x lighttpd; while pgrep -x lighttpd; do sleep 0.1; done; lighttpd -f /etc/lighttpd/lighttpd.conf"}"##,
    );
    host.apply(&restarted, "changed");
    host.expect(&LIGHTTPD, "gen2");
}

/// mosquitto goes on serving the ECDSA certificate to nearly everybody, beside the RSA one; after the way back it would
/// be the other way round.
#[test]
fn a_server_that_keeps_both_kinds_of_key_is_found_out_and_started_anew() {
    let Some(host) = host(&[&MOSQUITTO]) else { return };
    host.apply(&Task::of(&MOSQUITTO, "gen2"), "changed");
    host.expect(&MOSQUITTO, "gen2");
    host.apply(&Task::of(&MOSQUITTO, "gen2"), "unchanged");
    refuses_a_bad_pair(&host, &MOSQUITTO, "gen2");

    let ran = host.apply(&Task::of(&MOSQUITTO, "gen3-rsa").attempts(4), "rolled_back");

    assert_eq!(step(&ran, &host), "verify", "{ran}");
    assert!(ran.stdout.contains("for clients that ask for an ECDSA key"), "{ran}");
    assert!(ran.stdout.contains("mosquitto was restarted by"), "{ran}");
    host.expect(&MOSQUITTO, "gen2");
    let rsa = format!(
        "{S_CLIENT} -connect 127.0.0.1:8883 -sigalgs RSA-PSS+SHA256 </dev/null 2>/dev/null | grep -c 'BEGIN CERT' || true"
    );
    assert_eq!(host.sh(&rsa).trim(), "0");

    let restart = "reload: {shell: 'pkill -x mosquitto; while pgrep -x mosquitto; do sleep 0.1; done; mosquitto -d -c /etc/mosquitto/mosquitto.conf'}";
    host.apply(&Task::of(&MOSQUITTO, "gen3-rsa").with(restart), "changed");
    host.expect(&MOSQUITTO, "gen3-rsa");
}

/// Neither keeps the certificate of the other kind: whoever asks for that kind of key gets none.
#[test]
fn a_change_of_the_kind_of_key_is_seen_by_clients_of_either_kind() {
    for service in [&HITCH, &LIGHTTPD] {
        let Some(host) = host(&[service]) else { return };
        let certificates = |signatures: &str| {
            let ask = format!(
                "{S_CLIENT} -connect 127.0.0.1:{} -sigalgs {signatures} </dev/null 2>/dev/null | grep -c 'BEGIN CERT' || true",
                service.port
            );
            host.sh(&ask).trim().parse::<usize>().unwrap()
        };
        let (ecdsa, rsa) = ("ECDSA+SHA256", "RSA-PSS+SHA256");
        assert!(certificates(ecdsa) > 0 && certificates(rsa) == 0);

        host.apply(&Task::of(service, "gen3-rsa"), "changed");
        host.expect(service, "gen3-rsa");
        assert!(certificates(rsa) > 0 && certificates(ecdsa) == 0);

        let ran = host.apply(&refused(service, "gen2"), "rolled_back");
        assert!(ran.stdout.contains("the old certificate is served again"), "{ran}");
        host.expect(service, "gen3-rsa");
        assert!(certificates(rsa) > 0 && certificates(ecdsa) == 0);
    }
}

#[test]
fn mosquitto_goes_back_to_exactly_what_was_there() {
    let Some(host) = host(&[&MOSQUITTO]) else { return };
    let before = host.state(&MOSQUITTO);
    let ran = host.apply(&refused(&MOSQUITTO, "gen2"), "rolled_back");
    assert_eq!((step(&ran, &host).as_str(), host.state(&MOSQUITTO)), ("checks", before), "{ran}");
    host.expect(&MOSQUITTO, "gen1");
}

/// The reload ends the server, and nobody knows how it is started.
fn deadly(task: Task) -> Task {
    task.services("files")
        .with("reload: {shell: 'pkill -x lighttpd; true'}")
        .with("key_group: www-data")
        .with("key_mode: \"0640\"")
        .attempts(3)
}

#[test]
fn a_host_that_does_not_serve_the_old_one_again_is_not_restored() {
    let Some(host) = host(&[&LIGHTTPD, &NGINX]) else { return };
    let before = host.state(&LIGHTTPD);
    let ran = host.run("apply", &[deadly(Task::of(&LIGHTTPD, "gen2"))], &[]);
    assert_eq!(ran.outcome(host.name), "not_restored", "{ran}");
    assert_eq!(ran.code, 2, "{ran}");
    let told = ran.stdout.contains("BUT the old certificate is not seen")
        && ran.stdout.contains("(since 2");
    assert!(told && ran.stdout.contains("restart it by hand on the host"), "{ran}");
    // The files are the old ones all the same.
    assert_eq!(host.state(&LIGHTTPD), before);
    host.sh("sh /opt/fleet/services/lighttpd/start");
    host.expect(&LIGHTTPD, "gen1");

    // The same with a profile that knows how.
    let killed =
        refused(&LIGHTTPD, "gen2").with("reload: {shell: 'pkill -x lighttpd; true'}").attempts(3);
    let ran = host.apply(&killed, "rolled_back");
    assert!(ran.stdout.contains("the old certificate is served again"), "{ran}");
    host.expect(&LIGHTTPD, "gen1");
}

/// Its processes tell, where there is no place to look at.
#[test]
fn without_an_endpoint_a_service_that_is_down_after_going_back_is_seen() {
    let Some(host) = host(&[&LIGHTTPD]) else { return };
    let before = host.state(&LIGHTTPD);
    let unseen = |reload: &str| {
        let reload = format!("reload: {{shell: '{reload}'}}");
        refused(&LIGHTTPD, "gen2").with("verify: false").with(&reload)
    };
    let ran = host.apply(&unseen("pkill -x lighttpd; true"), "rolled_back");
    assert!(ran.stdout.contains("lighttpd had died and was started again"), "{ran}");
    host.expect(&LIGHTTPD, "gen1");

    // What starts it does not work any more.
    let lost = "pkill -x lighttpd; mv /etc/lighttpd/lighttpd.conf /root/ 2>/dev/null; true";
    let ran = host.run("apply", &[unseen(lost)], &[]);
    assert_eq!((ran.outcome(host.name).as_str(), ran.code), ("not_restored", 2), "{ran}");
    assert!(ran.stdout.contains("lighttpd is down since 2"), "{ran}");
    host.sh("mv /root/lighttpd.conf /etc/lighttpd/; sh /opt/fleet/services/lighttpd/start");
    assert_eq!(host.state(&LIGHTTPD), before);
    host.expect(&LIGHTTPD, "gen1");
}

/// Beside a host that cannot be reached, which stands before it in the inventory.
#[test]
fn what_is_not_restored_stands_first_wherever_the_run_is_told() {
    let Some(host) = host(&[&LIGHTTPD]) else { return };
    std::fs::write(host.file("play.yml"), host.play(&[deadly(Task::of(&LIGHTTPD, "gen2"))]))
        .unwrap();
    std::fs::write(host.file("away.ini"), "[web]\naway ansible_host=127.0.0.1 ansible_port=1\n")
        .unwrap();
    let inventory = host.fleet().dir().join("inventory.ini").display().to_string();
    let limit = format!("away,{}", host.name);
    let usual = ["apply", "play.yml", "-i", "away.ini", "-i", &inventory, "--limit", &limit];
    let files = ["--report", "run.md", "--metrics", "run.prom"];
    let mut command = host.fleet().certroll(&[&usual[..], &files].concat());
    command.current_dir(host.file(""));

    let ran = host.fleet().run_to_end(command);

    assert_eq!(ran.code, 6, "{ran}");
    let place = |words: &str| ran.stdout.find(words).unwrap_or_else(|| panic!("{words}: {ran}"));
    assert!(place("\nNOT RESTORED (verify)\n") < place("\nunreachable\n"), "{ran}");
    let recap = ran.stdout.split("PLAY RECAP").nth(1).unwrap();
    let first = recap.lines().nth(1).unwrap();
    assert!(first.starts_with(host.name) && first.contains("not_restored=1"), "{ran}");
    let report = std::fs::read_to_string(host.file("run.md")).unwrap();
    let hosts = report.split("## Hosts").nth(1).unwrap();
    let row = |name: &str| hosts.find(&format!("| {name} | "));
    assert!(row(host.name).is_some() && row(host.name) < row("away"), "{report}");
    assert!(hosts.contains("not restored") && report.contains("(since 2"), "{report}");
    assert!(report.contains("restart it by hand on the host"), "{report}");
    let metrics = std::fs::read_to_string(host.file("run.prom")).unwrap();
    assert!(metrics.contains("certroll_last_run_hosts{outcome=\"not_restored\"} 1"), "{metrics}");
    host.sh("sh /opt/fleet/services/lighttpd/start");
    host.expect(&LIGHTTPD, "gen1");
}
