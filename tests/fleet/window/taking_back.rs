//! A run that is taken back, by hand and by itself.

use super::{batches, nginx, of, run_of, traces};
use crate::chaos::ground::{EVERY, Play, at_once, ground};
use crate::common::fleet::Ran;

#[test]
fn what_a_run_changed_goes_back_and_what_something_else_changed_since_stays() {
    let Some(ground) = ground() else { return };
    let play = Play::nginx("gen2").keyword("serial: 2");
    // Five of the eight have it already: the run changes three, each in a batch of its own.
    let early = ["h001", "h003", "h004", "h006", "h008"];
    let earlier = ground.controller("run", &early, &play).run("apply");
    assert_eq!(earlier.code, 0, "{earlier}");
    let controller = ground.controller("run", &EVERY, &play);
    let run = controller.run("apply");
    assert_eq!(run.code, 0, "{run}");
    for host in EVERY {
        let outcome = if early.contains(&host) { "unchanged" } else { "changed" };
        assert_eq!(run.outcome(host), outcome, "{host}: {run}");
    }
    // An ACME client renews one of them.
    ground.fleet.fleet(&["put", "h005", "nginx", "gen3-rsa"]);
    ground.fleet.fleet(&["reload", "h005", "nginx"]);
    ground.fleet.expect("h005", "nginx", "gen3-rsa");
    let others = ["h001", "h003", "h004", "h005", "h006", "h008"];
    let before = at_once(&others, |host| traces(&ground, host));
    let run = run_of(&run);

    let plan = controller.follow(&["rollback", "--run", &run, "--check"]);
    assert_eq!(plan.code, 2, "{plan}");
    assert_eq!([nginx(&ground, "h002"), nginx(&ground, "h007")], ["gen2", "gen2"]);

    let back = controller.follow(&["rollback", "--run", &run]);
    assert_eq!(back.code, 2, "{back}");
    let outcomes = |ran: &Ran| {
        ran.outcomes().iter().map(|(host, end)| format!("{host}={end} ")).collect::<String>()
    };
    assert_eq!(outcomes(&back), "h005=failed h007=changed h002=changed ", "{back}");
    assert_eq!(batches(&back), [["h007"], ["h002"]], "its batches in reverse order: {back}");
    let failure = &of(&back, "failure")[0];
    assert_eq!(failure["host"], "h005");
    let why = failure["message"].as_str().unwrap();
    assert!(why.contains("was modified since by something else"), "{why}");
    let events = back.events();
    let at = |kind: &str| events.iter().position(|event| event["event"] == kind).unwrap();
    assert!(at("failure") < at("batch_start"), "named before anything starts: {back}");
    let steps: Vec<String> = of(&back, "step_end")
        .iter()
        .filter(|event| event["host"] == "h002")
        .map(|event| event["step"].as_str().unwrap().to_owned())
        .collect();
    for step in ["stage", "validate", "commit", "reload", "verify", "confirm"] {
        assert!(steps.iter().any(|one| one == step), "{step}: {steps:?}");
    }
    for host in ["h002", "h007"] {
        ground.fleet.expect(host, "nginx", "gen1");
        let held = ground.look(host);
        assert_eq!((nginx(&ground, host).as_str(), held.litter), ("gen1", Vec::new()), "{host}");
    }
    // The others are neither written nor reloaded. The control: the two that went back are.
    assert_eq!(at_once(&others, |host| traces(&ground, host)), before);
    assert_eq!(nginx(&ground, "h005"), "gen3-rsa");

    // The way back can be taken back, which is seen as the same traces change.
    let before = traces(&ground, "h002");
    let forth = controller.follow(&["rollback", "--run", &run_of(&back)]);
    assert_eq!(outcomes(&forth), "h002=changed h007=changed ", "{forth}");
    assert_eq!([nginx(&ground, "h002"), nginx(&ground, "h007")], ["gen2", "gen2"]);
    assert_ne!(traces(&ground, "h002"), before);
}

#[test]
fn a_run_that_fails_in_its_last_batch_takes_itself_back_and_goes_on_later() {
    let Some(ground) = ground() else { return };
    // The operator's own check refuses h008 once its files are switched and its service is reloaded.
    let refused = "checks: [{command: [test, '!', -e, /root/broken], on: host}]";
    ground.sh("h008", "touch /root/broken");
    let play = Play::of("gen2").with(refused).keyword("serial: 2");
    let play = play.keyword("max_fail_percentage: 0").keyword("on_failure: rollback_run");
    let controller = ground.controller("run", &EVERY, &play);

    let ran = controller.run("apply");

    assert_eq!(ran.code, 2, "{ran}");
    for host in EVERY {
        assert_eq!(ran.outcome(host), "rolled_back", "{host}: {ran}");
    }
    let all = batches(&ran);
    let forth = [["h001", "h002"], ["h003", "h004"], ["h005", "h006"], ["h007", "h008"]];
    assert_eq!(all[..4], forth, "{ran}");
    assert_eq!(
        all[4..],
        [vec!["h007"], vec!["h005", "h006"], vec!["h003", "h004"], vec!["h001", "h002"]]
    );
    let told = &of(&ran, "taking_back")[0];
    assert_eq!(told["hosts"].as_array().unwrap().len(), 7, "{told}");
    let reason = ran.summary()["hosts"]["h001"]["reason"].as_str().unwrap().to_owned();
    assert!(
        reason.starts_with("taken back: more hosts failed than the play tolerates"),
        "{reason}"
    );
    at_once(&EVERY, |host| {
        ground.fleet.expect(host, "nginx", "gen1");
        let held = ground.look(host);
        assert_eq!(held.whole(), Some(["gen1"; 2]), "{host}: {held:?}");
        assert!(held.litter.is_empty(), "{host}: {held:?}");
    });

    // Its record reads, and once the host is mended the same run goes on: all is done.
    let run = run_of(&ran);
    let shown = controller.plain(&["history", "show", &run]);
    assert!(shown.code == 0 && shown.stdout.contains("8 rolled back"), "{shown}");
    ground.sh("h008", "rm /root/broken");
    let forth = controller.follow(&["apply", "--resume", &run]);
    assert_eq!(forth.code, 0, "{forth}");
    at_once(&EVERY, |host| {
        let held = ground.look(host);
        assert_eq!(held.whole(), Some(["gen2"; 2]), "{host}: {held:?}\n{forth}");
    });
}
