//! A run that is taken back, by hand and by itself.

use super::site::{CERTIFICATE, Ran, Site};
use certroll::testing::lab::story::Scenario;
use serde_json::Value;
use std::fs;

const BATCHES: &str = "- name: play\n  hosts: web\n  serial: 2\n  tasks:\n";

fn playbook() -> String {
    let log =
        "    - {name: out, shell: \"echo out >>{{ host_dir }}/log.txt\", changed_when: false}\n";
    format!("{BATCHES}{log}{CERTIFICATE}")
}

fn batches(ran: &Ran) -> Vec<String> {
    let events = ran.events();
    let starts = events.iter().filter(|event| event["event"] == "batch_start");
    starts.map(|event| event["hosts"].to_string()).collect()
}

fn run_of(ran: &Ran) -> String {
    ran.events()[0]["run"].as_str().expect("a name").to_owned()
}

async fn taken_back(site: &Site, run: &str, more: &[&str]) -> Ran {
    site.certroll(&[&["rollback", "--run", run, "-o", "json"], more].concat()).await
}

/// Something else than certroll has written the file, and left it as good as it was.
fn change_by_hand(site: &Site, host: &str) -> String {
    let path = site.file(host, "tls/cert.pem");
    let text = fs::read_to_string(&path).expect("readable") + "\n";
    fs::write(path, &text).expect("writable");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_changed_goes_back_and_what_something_else_changed_stays() {
    let site = Site::good(8).await;
    let early = site.run("apply", &playbook(), &["--limit", "edge1,edge3,edge4,edge6,edge8"]).await;
    assert_eq!(early.code, 0, "{early}");
    let run = site.run("apply", &playbook(), &[]).await;
    assert_eq!(run.code, 0, "{run}");
    let changed = ["edge2", "edge5", "edge7"];
    for host in changed {
        assert_eq!(run.count(host, "changed"), 1, "{run}");
    }
    let by_hand = change_by_hand(&site, "edge5");
    let run = run_of(&run);

    let plan = taken_back(&site, &run, &["--check"]).await;
    assert_eq!(plan.code, 2, "{plan}");
    assert!(changed.iter().all(|host| site.serves_new(host)), "a plan changes nothing: {plan}");
    let rows: Vec<Value> =
        plan.events().into_iter().filter(|it| it["event"] == "plan_host").collect();
    let acts: Vec<String> = rows
        .iter()
        .map(|it| {
            format!(
                "{} {}",
                it["host"].as_str().unwrap(),
                it["rows"][0]["action"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(acts, ["edge7 replace", "edge5 blocked", "edge2 replace"], "{plan}");
    let shown = site.certroll(&["rollback", "--run", &run, "--check"]).await;
    let next = format!("to do it: certroll rollback --run {}", &run[..8]);
    assert!(shown.stdout.contains(&next), "{shown}");

    let back = taken_back(&site, &run[..8], &[]).await;
    assert_eq!(
        (back.code, back.outcomes().as_str()),
        (2, "edge5=failed edge7=changed edge2=changed"),
        "{back}"
    );
    assert_eq!(batches(&back), [r#"["edge7"]"#, r#"["edge2"]"#], "in reverse order");
    let events = back.events();
    assert_eq!(events[0]["follows"], run.as_str());
    let named = events.iter().position(|it| it["event"] == "failure").unwrap();
    let begun = events.iter().position(|it| it["event"] == "batch_start").unwrap();
    assert!(named < begun, "it is named before anything starts: {back}");
    let why = events[named]["message"].as_str().unwrap();
    assert!(why.contains("was modified since by something else"), "{why}");
    assert_eq!(fs::read_to_string(site.file("edge5", "tls/cert.pem")).unwrap(), by_hand);
    assert!(!site.serves_new("edge2") && !site.serves_new("edge7") && site.serves_new("edge5"));
    assert!(["edge1", "edge3", "edge4", "edge6", "edge8"].iter().all(|host| site.serves_new(host)));
    assert_eq!(site.log("edge2"), "out\nout\n", "what is around the certificate runs as well");

    // Once more: those that are back stay so.
    let again = taken_back(&site, &run, &["--limit", "edge2,edge7"]).await;
    assert_eq!(
        (again.code, again.outcomes().as_str()),
        (0, "edge7=unchanged edge2=unchanged"),
        "{again}"
    );
    // And the way back can be taken back.
    let forth = taken_back(&site, &run_of(&back), &[]).await;
    assert_eq!(
        (forth.code, forth.outcomes().as_str()),
        (0, "edge2=changed edge7=changed"),
        "{forth}"
    );
    assert!(site.serves_new("edge2") && site.serves_new("edge7"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_that_is_gone_is_named_before_anything_starts() {
    let site = Site::good(2).await;
    let run = site.run("apply", &playbook(), &[]).await;
    assert_eq!(run.code, 0, "{run}");
    fs::remove_dir_all(site.file("edge2", "tls/.certroll")).unwrap();
    let back = taken_back(&site, "last", &[]).await;
    assert_eq!((back.code, back.outcomes().as_str()), (2, "edge2=failed edge1=changed"), "{back}");
    let reason = back.summary()["hosts"]["edge2"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("no longer kept on the host"), "{reason}");
    assert!(site.serves_new("edge2") && !site.serves_new("edge1"));
    assert_eq!(site.log("edge2"), "out\n", "nothing is begun on it: {back}");

    let none = site.run("apply", &playbook(), &["--limit", "edge2"]).await;
    assert_eq!(none.outcomes(), "edge2=unchanged", "{none}");
    let none = taken_back(&site, &run_of(&none), &[]).await;
    assert!(none.code == 1 && none.stderr.contains("changed no certificate on any host"), "{none}");
    for more in [["--to", "previous"], ["--tags", "x"]] {
        let wrong = taken_back(&site, "last", &more).await;
        assert_eq!(wrong.code, 1, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_can_be_planned() {
    let site = Site::good(2).await;
    let run = site.run("apply", &playbook(), &[]).await;
    assert_eq!(run.code, 0, "{run}");
    let plan = site.run("rollback", &playbook(), &["--check", "--to", "previous"]).await;
    assert_eq!((plan.code, plan.summary()["pending"].as_u64()), (0, Some(2)), "{plan}");
    assert!(site.serves_new("edge1") && site.serves_new("edge2"), "{plan}");
    let shown = site
        .certroll(&[
            "rollback",
            "play.yml",
            "-i",
            "inventory.ini",
            "--ssh-config",
            "none",
            "-C",
            "--to",
            "previous",
        ])
        .await;
    let next =
        "to do it: certroll rollback --to previous play.yml -i inventory.ini --ssh-config none";
    assert!(shown.stdout.contains(next) && shown.stdout.contains("rollback would "), "{shown}");
    let runs = site.certroll(&["history", "-o", "json"]).await;
    assert_eq!(runs.stdout.lines().count(), 1, "a dry run leaves no record: {runs}");
    let back = site.run("rollback", &playbook(), &["--to", "previous"]).await;
    assert_eq!((back.code, back.outcomes().as_str()), (0, "edge1=changed edge2=changed"), "{back}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_exceeds_its_tolerance_takes_itself_back() {
    let mut stories = vec![Scenario::None; 8];
    stories[7] = Scenario::BrokenConfiguration;
    let site = Site::new(&stories).await;
    let log =
        "    - {name: out, shell: \"echo out >>{{ host_dir }}/log.txt\", changed_when: false}\n";
    let head = "  serial: 2\n  max_fail_percentage: 0\n  on_failure: rollback_run\n";
    let ran = site.play("apply", head, &format!("{log}{CERTIFICATE}"), &[]).await;
    assert_eq!(ran.code, 2, "{ran}");
    let back: String = (1..=6).map(|number| format!("edge{number}=rolled_back ")).collect();
    assert_eq!(ran.outcomes(), format!("{back}edge7=skipped edge8=failed"), "{ran}");
    assert!((1..=8).all(|number| !site.serves_new(&format!("edge{number}"))), "{ran}");
    let all = batches(&ran);
    assert_eq!(all[4..], [r#"["edge5","edge6"]"#, r#"["edge3","edge4"]"#, r#"["edge1","edge2"]"#]);
    let reason = ran.summary()["hosts"]["edge1"]["reason"].as_str().unwrap().to_owned();
    assert!(
        reason.starts_with("taken back: more hosts failed than the play tolerates"),
        "{reason}"
    );
    let told = ran.events().into_iter().find(|event| event["event"] == "taking_back").unwrap();
    assert_eq!(told["hosts"].as_array().unwrap().len(), 6);
    assert_eq!(site.log("edge1"), "out\nout\n");

    // The record of it reads, and knows that nothing of it is left to take back.
    let shown = site.certroll(&["history", "show", "last"]).await;
    assert!(shown.stdout.contains("6 rolled back, 1 failed, 1 skipped"), "{shown}");
    let again = taken_back(&site, "last", &[]).await;
    assert_eq!(again.code, 0, "{again}");
    assert!((1..=6).all(|number| again.count(&format!("edge{number}"), "changed") == 0), "{again}");
    // Once mended, the same run goes on: what went back is done again.
    let settings = site.file("edge8", "service.conf");
    let text = fs::read_to_string(&settings).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("max_")).collect();
    fs::write(settings, lines.join("\n")).unwrap();
    let run = run_of(&ran);
    let forth = site.certroll(&["apply", "--resume", &run, "-o", "json"]).await;
    assert_eq!(forth.code, 0, "{forth}");
    assert!((1..=8).all(|number| site.serves_new(&format!("edge{number}"))), "{forth}");
}
