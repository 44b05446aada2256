//! Hosts that another run is at work on.

use super::story;
use std::time::Duration;

const OTHER: &str = "certroll apply by somebody, run fedcba9876543210";

#[tokio::test(start_paused = true)]
async fn another_runs_lock_is_waited_for_but_not_for_ever() {
    let waiting = story("a,b", "");
    let script = waiting.script.clone();
    script.hold("a", OTHER);
    let told = waiting
        .run_while(|_| async move {
            tokio::time::sleep(Duration::from_secs(25)).await;
            script.release("a");
        })
        .await;
    assert_eq!((told.outcome("a").as_str(), told.outcome("b").as_str()), ("changed", "changed"));
    let waiting = story("a,b", "");
    waiting.script.hold("a", OTHER);
    let told = waiting.run().await;
    assert_eq!((told.outcome("a").as_str(), told.outcome("b").as_str()), ("failed", "changed"));
    // As long as the task says, and no look longer.
    for (patience, waited) in [(0, 0), (3, 3), (25, 25), (70, 70)] {
        let waiting = story("a,", "").with(&format!("lock_timeout: {patience}s"));
        waiting.script.hold("a", OTHER);
        let begun = tokio::time::Instant::now();
        let told = waiting.run().await;
        assert_eq!((told.outcome("a").as_str(), begun.elapsed().as_secs()), ("failed", waited));
    }
}

/// Each of two runs has staged one host and waits for the other's at its barrier.
#[tokio::test(start_paused = true)]
async fn two_runs_that_wait_for_each_other_both_go_on() {
    let story = story("a,b,c", "");
    let script = story.script.clone();
    script.hold("a", OTHER);
    let told = story
        .run_while(|_| async move {
            while !script.log().contains(&"b confirmed".to_owned()) {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            script.release("a");
        })
        .await;
    for host in ["a", "b", "c"] {
        assert_eq!(told.outcome(host), "changed", "{:?}", told.log);
    }
    assert!(told.at("a staged") > told.at("c confirmed"), "{:?}", told.log);
}

/// However many hosts another run holds: they wait together, and no longer than one of them.
#[tokio::test(start_paused = true)]
async fn hosts_that_stay_locked_wait_at_the_same_time() {
    let story = story("a,b,c,d", "");
    ["a", "b", "d"].iter().for_each(|host| story.script.hold(host, OTHER));
    let begun = tokio::time::Instant::now();
    let told = story.run().await;
    let ends = ["a", "b", "c", "d"].map(|host| told.outcome(host));
    assert_eq!(ends, ["failed", "failed", "changed", "failed"]);
    assert_eq!(begun.elapsed().as_secs(), 60);
}
