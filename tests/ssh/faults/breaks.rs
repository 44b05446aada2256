//! The link breaks.

use crate::faults::site::{Site, error_of, outcome};
use certroll::testing::lab::Fault;
use certroll::testing::remote::RemoteError;
use certroll::testing::remote::program::Program;
use futures::StreamExt;

#[tokio::test(flavor = "multi_thread")]
async fn without_a_fault_all_is_new() {
    let site = Site::new().await;
    assert!(site.is_old());
    site.roll_out().await.unwrap();
    assert!(site.is_new(), "{}", site.tell());
    site.heals().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_any_byte_of_the_way_there_nothing_was_touched() {
    let site = Site::new().await;
    let program = Program::transaction(None).text().len() as u64;
    let mut reached = Vec::new();
    let early = [1, 50, program / 2, program];
    for bytes in early.into_iter().chain((program + 50..program + 50_000).step_by(211)) {
        site.inject(Fault::CutAfterInput(bytes));
        let error = match site.begin().await {
            Err(error) => error,
            Ok(_) => break,
        };
        let lost = matches!(error, RemoteError::Closed { .. } | RemoteError::NoBoot { .. });
        assert!(lost, "{bytes}: {error}");
        assert!(site.is_old(), "{bytes}: {}", site.tell());
        reached.push(outcome(&error));
    }
    assert!(reached.len() > 10, "{reached:?}");
    // How far the host had come when it heard of the break is a matter of luck.
    assert!(reached.iter().all(|outcome| {
        ["failed (connect)", "failed (lock)", "failed (stage)"].contains(&outcome.as_str())
    }));
    assert_eq!(reached.last().unwrap(), "failed (stage)");
    site.heals().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_any_byte_of_the_verdicts_it_goes_back_unless_all_was_said() {
    let site = Site::new().await;
    let begin = length_of_begin(&site).await;

    for bytes in 1..=7 {
        site.inject(Fault::CutAfterInput(begin + bytes));
        let (mut transaction, _) = site.begin().await.unwrap();
        let error = error_of(transaction.commit().await);
        assert_eq!(outcome(&error), "unknown (commit)", "{bytes}: {error}");
        drop(transaction);
        site.comes_to_old().await;
    }
    for bytes in 1..=7 {
        site.inject(Fault::CutAfterInput(begin + 7 + bytes));
        let (mut transaction, _) = site.begin().await.unwrap();
        transaction.commit().await.unwrap();
        let error = error_of(transaction.confirm().await);
        assert_eq!(outcome(&error), "unknown (confirm)", "{bytes}: {error}");
        site.comes_to_old().await;
    }
    // The whole word arrives, and no answer to it: it counts.
    site.inject(Fault::CutAfterInput(begin + 15));
    let error = error_of(site.roll_out().await);
    assert_eq!(outcome(&error), "unknown (confirm)", "{error}");
    site.comes_to_new().await;
    site.heals().await;
}

/// How many bytes make up everything up to `staged`.
async fn length_of_begin(site: &Site) -> u64 {
    let mut fails = Program::transaction(None).text().len() as u64;
    let mut goes = fails + 100_000;
    while goes - fails > 1 {
        let middle = (fails + goes) / 2;
        site.inject(Fault::CutAfterInput(middle));
        match site.begin().await {
            Ok(_) => goes = middle,
            Err(_) => fails = middle,
        }
    }
    // With just these bytes the link breaks before the answer.
    fails
}

#[tokio::test(flavor = "multi_thread")]
async fn around_any_reply_the_host_ends_on_one_side() {
    type Cut = fn(String) -> Fault;
    let cuts: [(&str, Cut); 4] = [
        ("before", Fault::CutBefore),
        ("amid", Fault::CutAmid),
        ("after", Fault::CutAfter),
        ("closed after", Fault::CloseAfter),
    ];
    let mut runs = Vec::new();
    // Up to `reloaded` nothing is known to be confirmed, so the host goes back; `done` is said by
    // one that has made it good.
    for (reply, outcomes) in [
        ("boot", ["failed (connect)", "failed (connect)", "failed (lock)", "failed (lock)"]),
        ("hello", ["failed (lock)", "failed (lock)", "failed (stage)", "failed (stage)"]),
        ("checked", ["failed (stage)"; 4]),
        ("staged", ["failed (stage)", "failed (stage)", "unknown (commit)", "unknown (commit)"]),
        ("reloaded", ["unknown (commit)"; 4]),
        (
            "committed",
            ["unknown (commit)", "unknown (commit)", "unknown (confirm)", "unknown (confirm)"],
        ),
        ("done", ["unknown (confirm)", "unknown (confirm)", "went well", "went well"]),
    ] {
        for ((how, cut), wanted) in cuts.iter().zip(outcomes) {
            runs.push(one_side(cut(format!(" {reply}")), format!("{how} {reply}"), wanted));
        }
    }
    futures::stream::iter(runs).buffer_unordered(6).collect::<()>().await;
}

async fn one_side(fault: Fault, name: String, wanted: &str) {
    let site = Site::new().await;
    site.inject(fault);
    let ended = match site.roll_out().await {
        Ok(()) => "went well".to_owned(),
        Err(error) => outcome(&error),
    };
    assert_eq!(ended, wanted, "{name}");
    match name.as_str() {
        // The confirmation may still have arrived.
        "after committed" | "closed after committed" => site.comes_to_one_side().await,
        name if name.ends_with("done") => site.comes_to_new().await,
        _ => site.comes_to_old().await,
    }
    site.heals().await;
}
