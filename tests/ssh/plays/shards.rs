//! A fleet in shards, and its one recap.

use super::site::{CERTIFICATE, Site};
use certroll::testing::lab::story::Scenario;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn shards_are_one_rollout_in_the_report() {
    let twists = [Scenario::None, Scenario::None, Scenario::BrokenConfiguration, Scenario::None];
    let site = Site::new(&twists).await;
    let directory = site.lab.directory().to_owned();
    let kept = |name: &str, text: &str| fs::write(directory.join(name), text).unwrap();

    let canary = site.play("apply", "", CERTIFICATE, &["--limit", "edge1"]).await;
    assert_eq!(canary.outcomes(), "edge1=changed");
    kept("canary.json", &canary.stdout);
    let mut dealt_with = 0;
    for shard in ["1/2", "2/2"] {
        let part = site.play("apply", "", CERTIFICATE, &["--shard", shard]).await;
        dealt_with += part.summary()["hosts"].as_object().unwrap().len();
        kept(&format!("shard-{}.json", &shard[..1]), &part.stdout);
    }
    assert_eq!(dealt_with, twists.len(), "each host is in exactly one shard");

    let files = ["canary.json", "shard-1.json", "shard-2.json"];
    let all = [&["report", "-o", "json", "--report", "all.html"], &files[..]].concat();
    let joined = site.certroll(&all).await;
    assert_eq!(joined.code, 2, "{joined}");
    let told = joined.outcomes();
    let mut told: Vec<&str> = told.split(' ').collect();
    told.sort_unstable();
    assert_eq!(told, ["edge1=changed", "edge2=changed", "edge3=failed", "edge4=changed"]);
    let page = fs::read_to_string(directory.join("all.html")).unwrap();
    assert!(page.contains("edge3") && page.contains("(shard 1&#x2f;2)"), "{page}");
    let shown = site.certroll(&[&["report"], &files[..]].concat()).await;
    for words in ["PLAY RECAP", "1 failed, 3 changed", "VALIDATE FAILED on edge3"] {
        assert!(shown.stdout.contains(words), "{words}: {shown}");
    }
    // What to type next is for the whole fleet.
    assert!(!shown.stdout.contains("--shard"), "{shown}");

    let without = site.certroll(&["report", "canary.json", "shard-1.json"]).await;
    assert_eq!(without.code, 2, "{without}");
    assert!(without.stdout.contains("warning: shard 2 is missing"), "{without}");
    kept("nothing.json", "{}\n[]\n");
    let nothing = site.certroll(&["report", "nothing.json"]).await;
    assert_eq!(nothing.code, 1, "{nothing}");
    assert!(nothing.stderr.contains("nothing.json: 2 lines are no events"), "{nothing}");
}
