//! A server that plays a script at the other end of a pipe.

use crate::common::pki::{Pair, server_config};
use certroll::testing::clock;
use certroll::testing::model::{Backoff, Fingerprint};
use certroll::testing::verify::{
    Attempt, Dial, Expectation, Patience, Probe, Stream, Verdict, verify,
};
use futures::future::BoxFuture;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// What a scripted server does with a connection.
#[derive(Clone)]
pub(crate) enum Act {
    Fail(fn() -> io::Error),
    Close,
    Serve(Arc<rustls::ServerConfig>),
    Say(&'static [u8]),
    Silence,
}

/// Plays one act per connection, the last one for ever, and notes when each was made.
pub(crate) struct Script {
    acts: Mutex<VecDeque<Act>>,
    begun: Instant,
    dialled: Mutex<Vec<u64>>,
}

impl Script {
    pub(crate) fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        Self {
            acts: Mutex::new(acts.into_iter().collect()),
            begun: Instant::now(),
            dialled: Mutex::default(),
        }
    }

    /// Seconds since the beginning at which connections were made.
    pub(crate) fn times(&self) -> Vec<u64> {
        self.millis().iter().map(|millis| millis / 1000).collect()
    }

    /// The same in milliseconds.
    pub(crate) fn millis(&self) -> Vec<u64> {
        self.dialled.lock().unwrap().clone()
    }
}

impl Dial for Script {
    fn dial(&self, _: &str, _: u16) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        self.dialled.lock().unwrap().push(u64::try_from(self.begun.elapsed().as_millis()).unwrap());
        let mut acts = self.acts.lock().unwrap();
        let act = if acts.len() > 1 { acts.pop_front() } else { acts.front().cloned() };
        Box::pin(async move {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            match act.expect("an act") {
                Act::Fail(error) => return Err(error()),
                Act::Close => drop(theirs),
                Act::Serve(config) => drop(tokio::spawn(serve_tls(theirs, config))),
                Act::Say(words) => drop(tokio::spawn(say(theirs, words))),
                Act::Silence => std::mem::forget(theirs),
            }
            Ok(Box::new(ours) as Box<dyn Stream>)
        })
    }
}

pub(crate) async fn serve_tls(stream: DuplexStream, config: Arc<rustls::ServerConfig>) {
    if let Ok(mut tls) = TlsAcceptor::from(config).accept(stream).await {
        tls.read_to_end(&mut Vec::new()).await.ok();
    }
}

pub(crate) async fn say(mut stream: DuplexStream, words: &'static [u8]) {
    stream.write_all(words).await.ok();
    stream.read_to_end(&mut Vec::new()).await.ok();
}

pub(crate) fn serve(pair: &Pair) -> Act {
    Act::Serve(Arc::new(server_config(&pair.chain(), pair.private_key())))
}

pub(crate) fn probe() -> Probe {
    Probe::new("www.example.org:443".parse().unwrap())
}

pub(crate) fn backoff(attempts: u32, first: u64, max: u64) -> Backoff {
    Backoff { attempts, first: Duration::from_secs(first), max: Duration::from_secs(max) }
}

pub(crate) async fn run(
    script: &Script,
    expect: &Expectation,
    backoff: Backoff,
    consecutive: u32,
) -> (Verdict, Vec<Attempt>) {
    run_with(script, expect, Patience::new(backoff, consecutive)).await
}

pub(crate) async fn run_with(
    script: &Script,
    expect: &Expectation,
    patience: Patience,
) -> (Verdict, Vec<Attempt>) {
    let mut attempts = Vec::new();
    let cancel = CancellationToken::new();
    let verdict =
        verify(&probe(), expect, patience, &cancel, script, &mut |a| attempts.push(a)).await;
    (verdict, attempts)
}

pub(crate) fn wanted(pair: &Pair) -> Expectation {
    Expectation::leaf(pair.fingerprint(), clock::now())
}

pub(crate) fn stranger() -> Expectation {
    Expectation::leaf(Fingerprint::of(b"never served"), clock::now())
}
