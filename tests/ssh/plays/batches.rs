//! Batches, tolerance, the barrier, stopping.

use crate::plays::site::{CERTIFICATE, Ran, Site, ended};
use certroll::testing::lab::story::Scenario;
use std::time::Duration;

const FAILS_ON_EDGE2: &str = r#"
    - name: work
      shell: echo x >>{{ host_dir }}/log.txt; test {{ inventory_hostname }} != edge2
    - name: more
      shell: echo y >>{{ host_dir }}/log.txt
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_fails_whole_ends_the_run() {
    let site = Site::good(4).await;
    let ran = site.play("apply", "  serial: [1, 1, 100%]\n", FAILS_ON_EDGE2, &[]).await;
    let outcomes = "edge1=changed edge2=failed edge3=skipped edge4=skipped";
    assert_eq!((ran.code, ran.outcomes().as_str()), (2, outcomes), "{ran}");
    assert_eq!(ran.summary()["stopped"], "batch_failed");
    assert_eq!((site.log("edge1").as_str(), site.log("edge2").as_str()), ("x\ny\n", "x\n"));
    assert!(site.log("edge3").is_empty());
    let reason = &ran.summary()["hosts"]["edge3"]["reason"];
    assert_eq!(reason, "not begun: every host of an earlier batch failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_of_a_batch_go_on_unless_the_play_tolerates_less() {
    for (head, rest, stopped) in [
        ("", "changed", None),
        ("  max_fail_percentage: 25\n", "changed", None),
        ("  max_fail_percentage: 24\n", "changed", Some("failure_budget")),
        ("  any_errors_fatal: true\n", "changed", Some("failure_budget")),
    ] {
        let site = Site::good(4).await;
        let ran = site.play("apply", head, FAILS_ON_EDGE2, &[]).await;
        let outcomes = format!("edge1={rest} edge2=failed edge3={rest} edge4={rest}");
        assert_eq!((ran.code, ran.outcomes()), (2, outcomes), "{head}: {ran}");
        assert_eq!(ran.summary()["stopped"].as_str(), stopped, "{head}: {ran}");
        let log = if stopped.is_none() { "x\ny\n" } else { "x\n" };
        assert_eq!(site.log("edge1"), log, "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_too_many_hosts_fail_to_stage_no_host_of_the_batch_changes() {
    let twists =
        [Scenario::None, Scenario::BrokenConfiguration, Scenario::None, Scenario::Unreachable];
    for (head, code, outcomes, new) in [
        ("", 6, "edge1=changed edge2=failed edge3=changed edge4=unreachable", true),
        (
            "  max_fail_percentage: 50\n",
            6,
            "edge1=changed edge2=failed edge3=changed edge4=unreachable",
            true,
        ),
        // Unreachable hosts count.
        (
            "  max_fail_percentage: 49\n",
            6,
            "edge1=skipped edge2=failed edge3=skipped edge4=unreachable",
            false,
        ),
        (
            "  any_errors_fatal: true\n",
            6,
            "edge1=skipped edge2=failed edge3=skipped edge4=unreachable",
            false,
        ),
    ] {
        let site = Site::new(&twists).await;
        let ran = site.play("apply", head, CERTIFICATE, &[]).await;
        assert_eq!((ran.code, ran.outcomes().as_str()), (code, outcomes), "{head}: {ran}");
        assert_eq!(site.serves_new("edge1"), new, "{head}");
        assert!(!site.serves_new("edge2"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_host_takes_no_part_in_later_plays() {
    let site = Site::good(2).await;
    let play = |name: &str, test: &str| {
        format!(
            "- name: {name}\n  hosts: web\n  tasks:\n    - name: t\n      shell: echo {name} >>{{{{ host_dir }}}}/log.txt; {test}\n"
        )
    };
    let playbook = play("one", "test {{ inventory_hostname }} != edge2") + &play("two", "true");
    let ran = site.run("apply", &playbook, &[]).await;
    assert_eq!((ran.code, ran.outcomes().as_str()), (2, "edge1=changed edge2=failed"), "{ran}");
    assert_eq!((site.log("edge1").as_str(), site.log("edge2").as_str()), ("one\ntwo\n", "one\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_limits_and_a_start_choose_what_runs() {
    let site = Site::good(2).await;
    let tasks = r#"
    - {name: a, shell: "echo a >>{{ host_dir }}/log.txt", tags: [one]}
    - {name: b, shell: "echo b >>{{ host_dir }}/log.txt", tags: [two]}
    - {name: c, shell: "echo c >>{{ host_dir }}/log.txt", tags: [always]}
"#;
    for (more, log) in [
        (&["--tags", "one"][..], "a\nc\n"),
        (&["--skip-tags", "two,always"], "a\n"),
        (&["--start-at-task", "b"], "b\nc\n"),
    ] {
        let more = [more, &["--limit", "edge1"]].concat();
        let ran = site.play("apply", "", tasks, &more).await;
        assert_eq!((ran.code, ran.outcomes().as_str()), (0, "edge1=changed"), "{ran}");
        assert_eq!(site.log("edge1"), log, "{more:?}");
        std::fs::remove_file(site.file("edge1", "log.txt")).expect("it is there");
    }
    let wrong = site.play("apply", "", tasks, &["--limit", "edge9"]).await;
    assert_eq!(wrong.code, 1, "{wrong}");
    let wrong = site.play("apply", "", tasks, &["--start-at-task", "bb"]).await;
    assert!(wrong.code == 1 && wrong.stderr.contains("did you mean 'b'"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_begins_no_new_host() {
    let site = Site::good(3).await;
    let tasks = "    - {name: slow, shell: \"echo x >>{{ host_dir }}/log.txt; sleep 10; echo y >>{{ host_dir }}/log.txt\"}\n    - {name: next, shell: \"echo z >>{{ host_dir }}/log.txt\"}\n";
    let playbook = format!("- name: play\n  hosts: web\n  serial: 1\n  tasks:\n{tasks}");
    let child = site.start("apply", &playbook, &[]);
    while site.log("edge1").is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pid = child.id().expect("it runs").to_string();
    std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill runs");
    let ran = ended(child).await;
    assert_eq!(ran.code, 130, "{ran}");
    // What was in flight came to its end, and nothing else began.
    assert_eq!(site.log("edge1"), "x\ny\n", "{ran}");
    assert!(site.log("edge2").is_empty());
    assert_eq!(ran.summary()["stopped"], "interrupt");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_must_confirm_is_not_begun_without_one() {
    let site = Site::good(1).await;
    let tasks = format!("{CERTIFICATE}        confirm: prompt\n");
    let ran = site.play("apply", "", &tasks, &[]).await;
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("`confirm: prompt` needs a person"), "{ran}");
    assert!(ran.stderr.contains("play.yml:"), "{ran}");
    assert!(ran.summary()["hosts"].as_object().is_some_and(serde_json::Map::is_empty), "{ran}");
    for verb in ["plan", "verify", "status", "recover"] {
        let ran = site.play(verb, "", &tasks, &[]).await;
        assert!(!ran.stderr.contains("needs a person"), "{ran}");
    }
    assert!(!site.serves_new("edge1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_decides_whether_a_batch_stays() {
    let site = Site::good(2).await;
    let tasks = format!("{CERTIFICATE}        confirm: prompt\n");
    let playbook = format!("- name: play\n  hosts: web\n  serial: 1\n  tasks:\n{tasks}");
    for (answers, code, outcomes, new) in [
        // The first batch is kept, the second goes back.
        ("y\nno\n", 2, "edge1=changed edge2=rolled_back", ["edge1"].as_slice()),
        ("\n", 2, "edge1=unchanged edge2=rolled_back", &["edge1"]),
        ("yes\n", 0, "edge1=unchanged edge2=changed", &["edge1", "edge2"]),
    ] {
        let ran = site.on_a_terminal("apply", &playbook, answers).await;
        assert_eq!((ran.code, ran.outcomes().as_str()), (code, outcomes), "{ran}");
        for host in ["edge1", "edge2"] {
            assert_eq!(site.serves_new(host), new.contains(&host), "{host}: {ran}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_interrupt_cuts_the_links_and_hosts_go_back_by_themselves() {
    let site = Site::good(2).await;
    // The check after the handshake holds the host between commit and confirmation.
    let checks = "        checks:\n          - command: [\"sh\", \"-c\", \"echo x >>{{ host_dir }}/log.txt; sleep 300\"]\n            on: host\n            timeout: 400s\n";
    let playbook = format!("- name: play\n  hosts: web\n  tasks:\n{CERTIFICATE}{checks}");
    let child = site.start("apply", &playbook, &[]);
    while site.log("edge1").is_empty() || site.log("edge2").is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(site.serves_new("edge1") && site.serves_new("edge2"));
    let pid = child.id().expect("it runs").to_string();
    for _ in 0..2 {
        std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill runs");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let ran = ended(child).await;
    assert_eq!((ran.code, ran.outcomes().as_str()), (130, "edge1=unknown edge2=unknown"), "{ran}");
    while site.serves_new("edge1") || site.serves_new("edge2") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let again = site.play("apply", "", CERTIFICATE, &[]).await;
    assert_eq!(
        (again.code, again.outcomes().as_str()),
        (0, "edge1=changed edge2=changed"),
        "{again}"
    );
}

/// The place in the story of the first event of a kind about a host, or about the run.
fn position(ran: &Ran, kind: &str, host: Option<&str>, nth: usize) -> usize {
    let events = ran.events();
    let mut found = events
        .iter()
        .enumerate()
        .filter(|(_, event)| event["event"] == kind && event["host"].as_str() == host);
    let found = found.nth(nth).map(|(place, _)| place);
    found.unwrap_or_else(|| panic!("no {kind} of {host:?}: {ran}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_ends_when_its_own_work_does() {
    // One at a time, whichever comes first after the barrier, and slow: it has ended long before the other.
    let slow = "        checks:\n        - {command: [sleep, '1'], on: host}\n";
    let site = Site::new(&[Scenario::None, Scenario::None, Scenario::Unreachable]).await;
    let task = format!("{CERTIFICATE}{slow}");
    let ran = site.play("apply", "  serial: [2, 1]\n", &task, &["--forks", "1"]).await;
    assert_eq!(ran.outcomes(), "edge1=changed edge2=changed edge3=unreachable", "{ran}");
    let end = |host| position(&ran, "host_end", Some(host), 0);
    assert!(position(&ran, "task_end", Some("edge1"), 0) < end("edge1"), "{ran}");
    let certificate = |host| position(&ran, "certificate_end", Some(host), 0);
    let (first, second) = match certificate("edge1") < certificate("edge2") {
        true => ("edge1", "edge2"),
        false => ("edge2", "edge1"),
    };
    assert!(end(first) < certificate(second), "{ran}");
    assert!(end(second) < position(&ran, "batch_end", None, 0), "{ran}");
    assert!(end("edge3") < position(&ran, "batch_end", None, 1), "{ran}");
    let ends = ran.events().iter().filter(|event| event["event"] == "host_end").count();
    assert_eq!(ends, 3, "each is told once: {ran}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_has_more_to_do_or_may_go_back_has_not_ended() {
    let more = "    - name: more\n      command: /bin/true\n- name: later\n  hosts: edge1\n  tasks:\n    - name: last\n      command: /bin/true\n";
    let site = Site::good(2).await;
    let ran = site.play("apply", "  serial: 1\n", &format!("{CERTIFICATE}{more}"), &[]).await;
    assert_eq!(ran.outcomes(), "edge1=changed edge2=changed", "{ran}");
    let end = |ran: &Ran, host| position(ran, "host_end", Some(host), 0);
    assert!(end(&ran, "edge2") < position(&ran, "play_start", None, 1), "{ran}");
    assert!(end(&ran, "edge1") > position(&ran, "task_end", Some("edge1"), 2), "{ran}");

    let head = "  serial: 1\n  on_failure: rollback_run\n";
    let twists = [Scenario::None, Scenario::BrokenConfiguration];
    let site = Site::new(&twists).await;
    let ran = site.play("apply", head, CERTIFICATE, &[]).await;
    assert_eq!(ran.outcomes(), "edge1=rolled_back edge2=failed", "{ran}");
    let ends = ran.events().iter().filter(|event| event["event"] == "host_end").count();
    assert_eq!(ends, 2, "each is told once: {ran}");
    assert!(end(&ran, "edge1") > position(&ran, "taking_back", None, 0), "{ran}");
}

/// Neither their addresses nor the lock tell, as each name has a state directory of its own; host key, machine id and
/// boot do.
#[tokio::test(flavor = "multi_thread")]
async fn names_that_turn_out_to_be_one_machine_take_turns() {
    let site = Site::good(2).await;
    let inventory = site.lab.directory().join("inventory.ini");
    let text = std::fs::read_to_string(&inventory).expect("an inventory");
    let edge1 = text.lines().find(|line| line.starts_with("edge1 ")).expect("edge1");
    let state = site.file("edge1", "other-state");
    let common = "-F none -o IdentitiesOnly=yes -o UserKnownHostsFile";
    let twin = format!(
        "{} ansible_host=localhost certroll_state_dir={} ansible_ssh_common_args='{common}={}/twin -o StrictHostKeyChecking=no'",
        edge1.replacen("edge1 ", "twin ", 1),
        state.display(),
        site.lab.directory().display()
    );
    std::fs::write(&inventory, text.replacen(edge1, &format!("{edge1}\n{twin}"), 1)).unwrap();
    let certificate = CERTIFICATE.replace(
        "certs/{{ inventory_hostname }}/",
        "certs/{{ inventory_hostname | replace('twin', 'edge1') }}/",
    );
    let certificate = certificate.replace(
        "server_name: \"{{ inventory_hostname }}.demo.test\"",
        "server_name: \"{{ inventory_hostname | replace('twin', 'edge1') }}.demo.test\"",
    );
    let ran = site.play("apply", "", &certificate, &[]).await;
    // The second looks again and finds all done.
    let outcomes = ran.outcomes();
    assert!(
        [
            "edge1=changed twin=unchanged edge2=changed",
            "edge1=unchanged twin=changed edge2=changed"
        ]
        .contains(&outcomes.as_str()),
        "{ran}"
    );
    assert!(!ran.stdout.contains("locked by"), "{ran}");
    assert!(site.serves_new("edge1") && site.serves_new("edge2"));
}
