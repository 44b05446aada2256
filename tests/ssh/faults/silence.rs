//! The host says nothing, too much, or everything very slowly.

use crate::faults::site::{Site, error_of, outcome};
use certroll::testing::lab::Fault;
use certroll::testing::remote::{RemoteError, Transaction};
use std::future::Future;
use std::time::{Duration, Instant};

/// Lets a future run for a while, then lets time fly until it ends. Only for futures that wait for nothing
/// but time by then, on a runtime with one thread.
async fn without_patience<T>(future: impl Future<Output = T>) -> T {
    tokio::pin!(future);
    tokio::select! {
        ended = &mut future => return ended,
        () = tokio::time::sleep(Duration::from_secs(15)) => {}
    }
    tokio::time::pause();
    let ended = future.await;
    tokio::time::resume();
    ended
}

#[tokio::test]
async fn a_host_that_never_answers_is_given_up() {
    for fault in [Fault::NeverAnswer, Fault::IgnoreInput, Fault::StarveWindow] {
        let site = Site::new().await;
        let name = format!("{fault:?}");
        site.inject(fault);
        let error = error_of(without_patience(site.begin()).await);
        assert!(matches!(error, RemoteError::Silent { .. }), "{name}: {error}");
        assert_eq!(outcome(&error), "failed (lock)", "{name}");
        assert!(site.is_old());
        site.heals().await;
    }
}

#[tokio::test]
async fn silence_after_a_reply_is_told_with_its_step() {
    for (reply, wanted) in [("hello", "failed (stage)"), ("reloaded", "unknown (commit)")] {
        let site = Site::new().await;
        site.inject(Fault::SilenceAfter(format!(" {reply}")));
        let error = match without_patience(site.begin()).await {
            Err(error) => error,
            Ok((mut transaction, _)) => error_of(without_patience(transaction.commit()).await),
        };
        assert!(matches!(error, RemoteError::Silent { .. }), "{reply}: {error}");
        assert_eq!(outcome(&error), wanted, "{reply}");
        assert!(error.to_string().starts_with("no answer during "), "{error}");
        site.comes_to_old().await;
        site.heals().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_output_is_cut_off() {
    for (reply, wanted) in [("boot", "failed (lock)"), ("hello", "failed (stage)")] {
        let site = Site::new().await;
        site.inject(Fault::FloodAfter(format!(" {reply}")));
        let error = error_of(site.begin().await);
        assert!(matches!(error, RemoteError::TooMuchOutput { .. }), "{reply}: {error}");
        assert_eq!(outcome(&error), wanted, "{reply}");
        site.comes_to_old().await;
        site.heals().await;
    }
    let site = Site::new().await;
    site.inject(Fault::FloodAfter(" reloaded".into()));
    let (mut transaction, _) = site.begin().await.unwrap();
    let error = error_of(transaction.commit().await);
    assert!(matches!(error, RemoteError::TooMuchOutput { may_have_changed: true, .. }), "{error}");
    drop(transaction);
    site.comes_to_old().await;
    site.heals().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_line_is_cut_off() {
    let site = Site::new().await;
    site.inject(Fault::rewrite(|line| match line {
        line if line.starts_with(b"@certroll1 -") => line.to_vec(),
        line => [&line[..line.len() - 1], &b"x".repeat(2 << 20)].concat(),
    }));
    let error = error_of(site.begin().await);
    assert!(matches!(error, RemoteError::TooMuchOutput { limit: 1_048_576, .. }), "{error}");
    site.comes_to_old().await;
    site.heals().await;
}

/// Resident memory of this process, in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_that_nobody_reads_is_not_kept() {
    if !crate::common::alone("faults::silence::a_flood_that_nobody_reads_is_not_kept") {
        return;
    }
    if !cfg!(target_os = "linux") {
        return;
    }
    let site = Site::new().await;
    site.inject(Fault::FloodAfter(" staged".into()));
    let before = resident();
    let (transaction, _) = site.begin().await.unwrap();
    // At the barrier, while other hosts stage, nothing is read: 3 s are gigabytes.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 300, "{grown} MiB");
    let error = error_of(transaction.abort().await);
    assert!(matches!(error, RemoteError::TooMuchOutput { .. }), "{error}");
    site.comes_to_old().await;
    site.heals().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_bytes_are_waited_for() {
    let site = Site::new().await;
    site.inject(Fault::Slow { bytes: 100, wait: Duration::from_millis(2) });
    let started = Instant::now();
    site.roll_out().await.unwrap();
    assert!(started.elapsed() > Duration::from_millis(600));
    assert!(site.is_new(), "{}", site.tell());
    site.heals().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_says_nothing_is_given_up_by_the_host() {
    let site = Site::new().await;
    let mut request = site.request();
    request.limits.confirm = Duration::from_secs(1);
    let (mut transaction, _) = Transaction::begin(site.shell().await, request).await.unwrap();
    transaction.commit().await.unwrap();
    site.comes_to_old().await;
    let error = error_of(transaction.confirm().await);
    assert_eq!(outcome(&error), "rolled back (confirm)", "{error}");
    site.heals().await;
}
