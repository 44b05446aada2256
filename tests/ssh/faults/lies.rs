//! The host says what is not so.

use crate::faults::site::{Site, error_of, outcome};
use certroll::testing::lab::Fault;
use certroll::testing::model::Fingerprint;
use certroll::testing::remote::RemoteError;

/// A fault that makes of each line with ` KIND` what `change` makes of its words after the nonce, with the
/// mark and the nonce in front again.
fn reply(kind: &'static str, change: impl Fn(&str) -> String + Send + Sync + 'static) -> Fault {
    Fault::rewrite(move |line| {
        let text = String::from_utf8_lossy(line).into_owned();
        let mut words = text.trim_end().splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("@certroll1"), Some(nonce), Some(rest)) if rest.starts_with(kind) => change(rest)
                .lines()
                .map(|rest| format!("@certroll1 {nonce} {rest}\n"))
                .collect::<String>()
                .into_bytes(),
            _ => line.to_vec(),
        }
    })
}

fn other_digests(rest: &str) -> String {
    let (kind, _) = rest.split_once(' ').unwrap();
    let lie = Fingerprint::of(b"something else");
    format!("{kind} files={lie},{lie} guarded=1")
}

/// Ends before the commit with `garbage` and the given words; nothing was touched.
async fn refused_before_commit(fault: Fault, words: &str) {
    let site = Site::new().await;
    site.inject(fault);
    let error = error_of(site.begin().await);
    assert!(matches!(error, RemoteError::Garbage { may_have_changed: false, .. }), "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert!(outcome(&error).starts_with("failed ("), "{error}");
    site.comes_to_old().await;
    site.heals().await;
}

/// Ends at the commit with `garbage` and the given words; the host goes back.
async fn refused_at_commit(fault: Fault, words: &str) {
    let site = Site::new().await;
    site.inject(fault);
    let (mut transaction, _) = site.begin().await.unwrap();
    let error = error_of(transaction.commit().await);
    assert!(matches!(error, RemoteError::Garbage { may_have_changed: true, .. }), "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(outcome(&error), "unknown (commit)");
    drop(transaction);
    site.comes_to_old().await;
    site.heals().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn digests_are_compared() {
    refused_before_commit(reply("staged", other_digests), "other digests than asked for").await;
    refused_at_commit(reply("committed", other_digests), "other digests than asked for").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_make_no_sense_are_refused() {
    for (made, words) in [
        ("staged", "'staged' without files"),
        ("staged files=x", "'staged' has an invalid 'files'"),
        ("done", "'done' was not expected"),
        ("checked check=7 way=staged rc=0", "a check that was not asked for"),
        ("checked check=0 way=hope rc=0", "an unknown way of checking"),
        ("failed step=everything why=x", "an unknown step"),
        ("recovered tx=../../etc end=old conflicts=0", "an invalid transaction id"),
        ("\u{1b}[2J x=1", "was not expected"),
        ("no field", "a line that is not a reply"),
    ] {
        refused_before_commit(reply("staged", |_| made.to_owned()), words).await;
    }
    refused_at_commit(
        reply("reloaded", |_| "reloaded service=9 rc=0".into()),
        "a service that was not asked for",
    )
    .await;
    let many = |rest: &str| format!("{}{rest}", "recovering\n".repeat(20_000));
    refused_before_commit(reply("staged", many), "too many lines").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_host_says_cannot_move_the_cursor() {
    let site = Site::new().await;
    let escape = hex::encode("\x1b]0;owned\x07\x1b[31mred\x1b[0m\n");
    site.inject(reply("staged", move |_| {
        format!("failed step=validate why=\x1b[2Jx out={escape} rc=1 file=- service=0")
    }));
    let error = error_of(site.begin().await);
    let text = error.to_string();
    assert!(text.contains("red"), "{text}");
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    site.comes_to_old().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_for_another_nonce_are_noise() {
    let site = Site::new().await;
    // Before each line, one that would end the transaction well and one that would end it badly.
    site.inject(Fault::rewrite(|line| {
        let forged = "@certroll1 0123456789abcdef01234567 done\n@certroll1 - rolled_back step=x\n\
                      @certroll1  done\n@certroll1\ndone\n";
        [forged.as_bytes(), b"\xff\xfe\0\x1b[2J\n", line].concat()
    }));
    site.roll_out().await.unwrap();
    assert!(site.is_new(), "{}", site.tell());
    site.heals().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_claims_to_have_gone_back_is_believed_no_further_than_that() {
    let site = Site::new().await;
    site.inject(reply("committed", |_| {
        "conflict file=0\nrolled_back step=reload why=ended_badly out= rc=1 file=- service=0".into()
    }));
    let (mut transaction, _) = site.begin().await.unwrap();
    let error = error_of(transaction.commit().await);
    // Not everything is back, as it says itself: that is not "all old".
    assert_eq!(outcome(&error), "unknown (rollback)", "{error}");
    drop(transaction);
    site.comes_to_old().await;
    site.heals().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inspection_that_is_broken_or_lied_to_gives_no_facts() {
    let site = Site::new().await;
    let facts = site.look().await.unwrap();
    assert_eq!(facts.files.len(), 2);
    for (fault, words) in [
        (Fault::CutBefore(" facts".into()), "the connection ended during inspect"),
        (Fault::CutAmid(" facts".into()), "the connection ended during inspect"),
        (Fault::CloseAfter(" host".into()), "the connection ended during inspect"),
        (Fault::FloodAfter(" host".into()), "the host printed more than"),
        (reply("host", |_| "host uid=me".into()), "the host sent an invalid reply during inspect"),
        (reply("file", |_| String::new()), "the host sent an invalid reply during inspect"),
        (reply("file", |_| "file i=9".into()), "the host sent an invalid reply during inspect"),
        (
            reply("facts", |_| "truths files=2".into()),
            "the host sent an invalid reply during inspect",
        ),
    ] {
        let name = format!("{fault:?}");
        site.inject(fault);
        let error = error_of(site.look().await);
        assert!(error.to_string().starts_with(words), "{name}: {error}");
        assert_eq!(outcome(&error), "failed (inspect)", "{name}");
    }
    assert!(site.is_old());
    site.host().sshd.heal();
    let again = site.look().await.unwrap();
    for (file, before) in again.files.iter().zip(&facts.files) {
        assert_eq!(file.state, before.state);
    }
}
