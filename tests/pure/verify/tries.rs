//! How often is looked, with which waits, and what ends it.

use crate::common::pki::Authority;
use crate::verify::script::{Act, Script, backoff, probe, run, run_with, serve, stranger, wanted};
use certroll::testing::model::Backoff;
use certroll::testing::verify::{
    Attempt, Expectation, Patience, Probe, Resolving, Seen, SignatureChoice, Verdict, verify,
};
use std::io;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

#[tokio::test(start_paused = true)]
async fn waits_double_to_the_cap_and_stay_constant_when_it_equals_the_first() {
    let authority = Authority::new("test");
    let other = authority.leaf(&["www.example.org"]);
    for (backoff, times) in [
        (Backoff::default(), vec![0, 1, 3]),
        (backoff(7, 1, 16), vec![0, 1, 3, 7, 15, 31, 47]),
        (backoff(4, 5, 5), vec![0, 5, 10, 15]),
        (backoff(1, 1, 16), vec![0]),
    ] {
        let script = Script::new([serve(&other)]);
        let (verdict, attempts) = run(&script, &stranger(), backoff, 1).await;
        assert_eq!(script.times(), times);
        assert!(matches!(verdict, Verdict::Wrong { seen: Seen::Other { .. }, .. }), "{verdict:?}");
        let waits: Vec<_> = attempts.iter().filter_map(|a| a.next_wait).collect();
        assert_eq!(waits, backoff.waits().collect::<Vec<_>>());
        let numbers: Vec<_> = attempts.iter().map(|a| (a.number, a.of)).collect();
        let expected: Vec<_> = (1..=backoff.attempts).map(|n| (n, backoff.attempts)).collect();
        assert_eq!(numbers, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn it_stops_at_the_first_success() {
    let authority = Authority::new("test");
    let (old, new) = (authority.leaf(&["www.example.org"]), authority.leaf(&["www.example.org"]));
    let script = Script::new([serve(&old), serve(&old), serve(&new)]);
    let expect = Expectation { old: Some(old.fingerprint()), ..wanted(&new) };
    let (verdict, attempts) = run(&script, &expect, backoff(9, 1, 16), 1).await;
    assert_eq!(script.times(), [0, 1, 3]);
    let Verdict::Verified { attempts: 3, served, notes } = verdict else { panic!("{verdict:?}") };
    assert_eq!((served.leaf, served.chain, notes), (new.fingerprint(), new.chain(), vec![]));
    let old_words = format!("the old certificate {} is still served", old.fingerprint().short());
    let new_words = format!("{} is served (TLSv1.3)", new.fingerprint().short());
    let told: Vec<_> = attempts
        .into_iter()
        .map(|a| (a.matched, a.seen.unwrap(), a.detail, a.next_wait.map(|w| w.as_secs())))
        .collect();
    assert_eq!(
        told,
        [
            (false, old.fingerprint(), old_words.clone(), Some(1)),
            (false, old.fingerprint(), old_words, Some(2)),
            (true, new.fingerprint(), new_words, None),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_without_tls_gets_one_retry_and_what_may_be_a_restart_all() {
    let unknown = || io::Error::from(Resolving("no such name".into()));
    for (act, times) in [
        (Act::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), vec![0, 1]),
        (Act::Fail(|| io::ErrorKind::ConnectionRefused.into()), vec![0, 1, 3, 7]),
        (Act::Fail(|| io::ErrorKind::ConnectionReset.into()), vec![0, 1, 3, 7]),
        (Act::Fail(|| io::ErrorKind::HostUnreachable.into()), vec![0, 1, 3, 7]),
        (Act::Fail(|| io::ErrorKind::TimedOut.into()), vec![0, 1, 3, 7]),
        (Act::Fail(unknown), vec![0, 1, 3, 7]),
        (Act::Close, vec![0, 1, 3, 7]),
        // Ten seconds of patience each, then the wait.
        (Act::Silence, vec![0, 11, 23, 37]),
    ] {
        let script = Script::new([act]);
        let (verdict, attempts) = run(&script, &stranger(), backoff(4, 1, 16), 1).await;
        assert_eq!(script.times(), times);
        assert!(matches!(verdict, Verdict::Wrong { seen: Seen::Refused(_), .. }), "{verdict:?}");
        assert_eq!(attempts.last().unwrap().next_wait, None);
    }
}

#[tokio::test(start_paused = true)]
async fn two_hopeless_tries_must_follow_each_other() {
    let authority = Authority::new("test");
    let (old, new) = (authority.leaf(&["www.example.org"]), authority.leaf(&["www.example.org"]));
    let plain = Act::Say(b"220 ready\r\n");
    let script = Script::new([plain.clone(), serve(&old), plain, serve(&old), serve(&new)]);
    let (verdict, _) = run(&script, &wanted(&new), backoff(9, 1, 1), 1).await;
    assert!(matches!(verdict, Verdict::Verified { attempts: 5, .. }), "{verdict:?}");
}

/// A service that takes three seconds to restart: its port is closed, a balancer in front of it accepts and
/// closes, then the old process answers once more.
#[tokio::test(start_paused = true)]
async fn a_slow_restart_is_waited_for() {
    let authority = Authority::new("test");
    let (old, new) = (authority.leaf(&["www.example.org"]), authority.leaf(&["www.example.org"]));
    let refused = Act::Fail(|| io::ErrorKind::ConnectionRefused.into());
    let restart = [refused.clone(), refused.clone(), Act::Close, Act::Close, serve(&new)];
    let script = Script::new(restart);
    let (verdict, attempts) = run(&script, &wanted(&new), backoff(5, 1, 1), 1).await;
    assert!(matches!(verdict, Verdict::Verified { attempts: 5, .. }), "{verdict:?}");
    assert_eq!(script.times(), [0, 1, 2, 3, 4]);
    let numbers: Vec<_> = attempts.iter().map(|a| (a.number, a.of, a.matched)).collect();
    assert_eq!(numbers, [(1, 5, false), (2, 5, false), (3, 5, false), (4, 5, false), (5, 5, true)]);
    // By default as well: three seconds in all.
    let script = Script::new([refused.clone(), refused, serve(&old)]);
    let (verdict, _) = run(&script, &wanted(&old), Backoff::default(), 1).await;
    assert!(matches!(verdict, Verdict::Verified { attempts: 3, .. }), "{verdict:?}");
    assert_eq!(script.times(), [0, 1, 3]);
}

/// A service that needs a moment is looked at without a pause that nobody needs, and its first right answer is the first
/// attempt: nothing is asked twice.
#[tokio::test(start_paused = true)]
async fn a_service_is_looked_at_at_once_and_again_soon_before_the_attempts_count() {
    let authority = Authority::new("test");
    let (old, new) = (authority.leaf(&["www.example.org"]), authority.leaf(&["www.example.org"]));
    let patience = |millis, consecutive| Patience {
        early: Instant::now() + Duration::from_millis(millis),
        ..Patience::new(backoff(2, 1, 1), consecutive)
    };
    let numbers = |attempts: &[Attempt]| -> Vec<_> {
        attempts.iter().map(|one| (one.number, one.of, one.matched)).collect()
    };
    let script = Script::new([serve(&old), Act::Close, serve(&old), serve(&new)]);
    let (verdict, attempts) = run_with(&script, &wanted(&new), patience(150, 1)).await;
    assert!(matches!(verdict, Verdict::Verified { attempts: 1, .. }), "{verdict:?}");
    assert_eq!(script.millis(), [0, 5, 15, 35]);
    assert_eq!(numbers(&attempts), [(1, 2, true)]);

    let script = Script::new([serve(&old), serve(&new)]);
    let (verdict, attempts) = run_with(&script, &wanted(&new), patience(150, 2)).await;
    assert!(matches!(verdict, Verdict::Verified { attempts: 1, .. }), "{verdict:?}");
    assert_eq!(script.millis(), [0, 5, 5]);
    assert_eq!(numbers(&attempts), [(1, 2, true)]);

    // A busy one is looked at until the second attempt is due, which the first right answer then is.
    let mut acts = vec![serve(&old); 7];
    acts.push(serve(&new));
    let script = Script::new(acts);
    let (verdict, attempts) = run_with(&script, &wanted(&new), patience(150, 1)).await;
    assert!(matches!(verdict, Verdict::Verified { attempts: 2, .. }), "{verdict:?}");
    assert_eq!(script.millis(), [0, 5, 15, 35, 75, 150, 230, 390]);
    assert_eq!(numbers(&attempts), [(1, 2, false), (2, 2, true)]);

    // What never is right gets all its attempts, from the end of that time.
    for act in [serve(&old), Act::Silence, Act::Say(b"no TLS here\n")] {
        let silent = matches!(act, Act::Silence);
        let script = Script::new([act]);
        let (verdict, attempts) = run_with(&script, &wanted(&new), patience(150, 1)).await;
        assert!(matches!(verdict, Verdict::Wrong { attempts: 2, .. }), "{verdict:?}");
        assert_eq!(numbers(&attempts), [(1, 2, false), (2, 2, false)]);
        if silent {
            assert_eq!(script.millis()[..2], [0, 150]);
        } else {
            assert_eq!(script.millis(), [0, 5, 15, 35, 75, 150, 230, 390, 710, 1150]);
        }
    }
}

/// Postfix is still taking in its reload when the command has ended: nothing is asked before.
#[tokio::test(start_paused = true)]
async fn a_service_that_must_not_be_asked_yet_is_let_alone() {
    let authority = Authority::new("test");
    let (old, new) = (authority.leaf(&["www.example.org"]), authority.leaf(&["www.example.org"]));
    let patience = |early| Patience {
        not_before: Instant::now() + Duration::from_millis(200),
        early: Instant::now() + Duration::from_millis(early),
        ..Patience::new(backoff(2, 1, 1), 1)
    };
    let script = Script::new([serve(&old), serve(&old), serve(&new)]);
    let (verdict, _) = run_with(&script, &wanted(&new), patience(500)).await;
    assert!(matches!(verdict, Verdict::Verified { attempts: 1, .. }), "{verdict:?}");
    assert_eq!(script.millis(), [200, 205, 215]);
    // Without a time in which it usually needs a moment the attempts begin there.
    let script = Script::new([serve(&old), serve(&new)]);
    let (verdict, _) = run_with(&script, &wanted(&new), patience(0)).await;
    assert!(matches!(verdict, Verdict::Verified { attempts: 2, .. }), "{verdict:?}");
    assert_eq!(script.millis(), [200, 1200]);
}

/// A server with a certificate for each kind of key, or without the one that is asked for.
#[tokio::test(start_paused = true)]
async fn each_kind_of_key_is_asked_for_and_what_else_is_served_is_told() {
    let authority = Authority::new("test");
    let name = "www.example.org";
    let (ecdsa, rsa) = (authority.leaf(&[name]), authority.rsa(&[name]));
    let ask = async |script: &Script, expect: &Expectation, signature| {
        let probe = Probe { signature, ..probe() };
        let cancel = CancellationToken::new();
        let mut told = Vec::new();
        let once = backoff(2, 1, 1);
        let verdict =
            verify(&probe, expect, Patience::new(once, 1), &cancel, script, &mut |attempt| {
                told.push(attempt.detail);
            })
            .await;
        (verdict, told)
    };
    // The right kind costs one connection, also when it is the wrong certificate.
    let script = Script::new([serve(&rsa)]);
    let (verdict, _) = ask(&script, &wanted(&rsa), SignatureChoice::Rsa).await;
    assert!(matches!(verdict, Verdict::Verified { .. }), "{verdict:?}");
    assert_eq!(script.times(), [0]);
    let script = Script::new([serve(&authority.leaf(&[name]))]);
    let (verdict, _) = ask(&script, &wanted(&ecdsa), SignatureChoice::Ecdsa).await;
    assert!(matches!(verdict, Verdict::Wrong { seen: Seen::Other { .. }, .. }), "{verdict:?}");
    assert_eq!(script.times(), [0, 1]);
    // The old certificate has another kind of key: a second look tells which.
    let script = Script::new([serve(&rsa), serve(&rsa), serve(&ecdsa)]);
    let expect = Expectation { old: Some(rsa.fingerprint()), ..wanted(&ecdsa) };
    let (verdict, told) = ask(&script, &expect, SignatureChoice::Ecdsa).await;
    assert!(matches!(verdict, Verdict::Verified { attempts: 2, .. }), "{verdict:?}");
    assert_eq!(script.times(), [0, 0, 1]);
    let short = rsa.fingerprint().short();
    assert_eq!(
        told[0],
        format!("the old certificate {short} is still served, and none with an ECDSA key")
    );
    let script = Script::new([serve(&ecdsa)]);
    let (verdict, _) = ask(&script, &wanted(&rsa), SignatureChoice::Rsa).await;
    let Verdict::Wrong { seen: Seen::Other { served, .. }, words, advice, .. } = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!((served.leaf, served.lacks), (ecdsa.fingerprint(), Some(SignatureChoice::Rsa)));
    assert!(words.ends_with(", and none with an RSA key"), "{words}");
    assert!(advice[0].contains("does its configuration name the deployed pair too"), "{advice:?}");
    assert_eq!(script.times(), [0, 0, 1, 1]);
    // A server that goes away or falls silent in between is neither here nor there.
    let refused = Act::Fail(|| io::ErrorKind::ConnectionRefused.into());
    let script = Script::new([serve(&ecdsa), refused]);
    let (verdict, told) = ask(&script, &wanted(&rsa), SignatureChoice::Rsa).await;
    assert!(matches!(verdict, Verdict::Wrong { seen: Seen::Refused(_), .. }), "{verdict:?}");
    assert!(told[0].starts_with("connection refused"), "{told:?}");
    // Some servers have no word for it.
    let script = Script::new([serve(&ecdsa), Act::Close]);
    let (verdict, told) = ask(&script, &wanted(&rsa), SignatureChoice::Rsa).await;
    assert!(matches!(verdict, Verdict::Wrong { seen: Seen::Refused(_), .. }), "{verdict:?}");
    assert!(told[0].ends_with(", and none with an RSA key"), "{told:?}");
    let script = Script::new([serve(&ecdsa), Act::Silence]);
    let (verdict, told) = ask(&script, &wanted(&rsa), SignatureChoice::Rsa).await;
    assert!(matches!(verdict, Verdict::Wrong { seen: Seen::Refused(_), .. }), "{verdict:?}");
    assert!(told[0] == "the TLS handshake did not end within 10s", "{told:?}");
    assert_eq!(script.times(), [0, 0, 11]);
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_a_wait_and_a_handshake_at_once() {
    let authority = Authority::new("test");
    for act in [serve(&authority.leaf(&["www.example.org"])), Act::Silence] {
        let script = Script::new([act]);
        let cancel = CancellationToken::new();
        let begun = Instant::now();
        let token = cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(500)).await;
            token.cancel();
        });
        let verdict = verify(
            &probe(),
            &stranger(),
            Patience::new(backoff(5, 60, 60), 1),
            &cancel,
            &script,
            &mut |_| {},
        )
        .await;
        assert!(matches!(verdict, Verdict::Cancelled), "{verdict:?}");
        assert_eq!(begun.elapsed(), Duration::from_millis(500));
        assert_eq!(script.times(), [0]);
    }
}

#[tokio::test(start_paused = true)]
async fn consecutive_answers_must_all_be_right_and_a_stale_one_fails_the_try() {
    let authority = Authority::new("test");
    let (old, new) = (authority.leaf(&["www.example.org"]), authority.leaf(&["www.example.org"]));
    let expect = Expectation { old: Some(old.fingerprint()), ..wanted(&new) };
    let (a, b) = (serve(&new), serve(&old));
    let script = Script::new([a.clone(), a.clone(), b.clone(), a.clone()]);
    let (verdict, attempts) = run(&script, &expect, backoff(3, 1, 16), 3).await;
    assert!(matches!(verdict, Verdict::Verified { attempts: 2, .. }), "{verdict:?}");
    assert_eq!(script.times(), [0, 0, 0, 1, 1, 1]);
    let details: Vec<_> = attempts.into_iter().map(|a| a.detail).collect();
    assert_eq!(
        details,
        [
            format!(
                "the old certificate {} is still served (answer 3 of 3)",
                old.fingerprint().short()
            ),
            format!("{} is served (TLSv1.3, 3 answers in a row)", new.fingerprint().short()),
        ]
    );
    let script = Script::new([a, b]);
    let (verdict, _) = run(&script, &expect, backoff(1, 1, 1), 2).await;
    let Verdict::Wrong { advice, .. } = verdict else { panic!("{verdict:?}") };
    assert!(advice[0].starts_with("answers differ from one connection to the next"), "{advice:?}");
}
