//! From many host tasks to one ordered stream of events.

use super::pulse::{Pulse, Silence};
use crate::event::{Event, Failure, Kind, NoteLevel};
use crate::model::{HostName, Step, Timestamp};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Sends facts to the dispatcher. Cheap to clone; never blocks.
///
/// Facts are stamped here and not where they are read: a terminal that is slow does not move them. The channel is unbounded: events are small and a slow terminal must not hold up a host that is
/// between commit and confirm.
#[derive(Clone, Debug)]
pub(crate) struct Emitter {
    sender: mpsc::UnboundedSender<Fact>,
    clock: Clock,
    begun: Instant,
    pulse: Arc<Pulse>,
}

/// Reads the wall clock.
pub(crate) type Clock = fn() -> Timestamp;

/// An event that is not numbered yet.
#[derive(Debug)]
struct Fact {
    moment: Timestamp,
    elapsed: Duration,
    host: Option<HostName>,
    kind: Kind,
}

impl Emitter {
    /// An emitter and the end that [`dispatch`] reads.
    pub(crate) fn channel(clock: Clock) -> (Self, Inbox) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let begun = Instant::now();
        let pulse = Arc::new(Pulse::new(clock()));
        let inbox = Inbox { receiver, begun, clock, pulse: Arc::clone(&pulse) };
        (Self { sender, clock, begun, pulse }, inbox)
    }

    fn send(&self, host: Option<HostName>, kind: Kind) {
        let fact = Fact { moment: (self.clock)(), elapsed: self.begun.elapsed(), host, kind };
        // A dispatcher that is gone has nobody to tell.
        let _ = self.sender.send(fact);
    }

    /// The last time that the controller stood still, if it did.
    pub(crate) fn silence(&self) -> Option<Silence> {
        self.pulse.beat((self.clock)())
    }

    /// A fact about the whole run.
    pub(crate) fn run(&self, kind: Kind) {
        self.send(None, kind);
    }

    /// A fact about one host.
    pub(crate) fn host(&self, host: &HostName, kind: Kind) {
        self.send(Some(host.clone()), kind);
    }

    /// A warning about a host or the run.
    pub(crate) fn warn(&self, host: Option<&HostName>, message: impl Into<String>) {
        self.note(host, NoteLevel::Warning, message);
    }

    /// Something good to know.
    pub(crate) fn info(&self, host: Option<&HostName>, message: impl Into<String>) {
        self.note(host, NoteLevel::Info, message);
    }

    fn note(&self, host: Option<&HostName>, level: NoteLevel, message: impl Into<String>) {
        let kind = Kind::Note { level, message: message.into() };
        self.send(host.cloned(), kind);
    }

    /// A failed step.
    pub(crate) fn failure(&self, host: &HostName, failure: Failure) {
        self.host(host, Kind::Failure(Box::new(failure)));
    }

    /// Announces a step; [`Running::end`] reports its end and how long it took.
    pub(crate) fn step(&self, host: &HostName, step: Step) -> Running {
        self.host(host, Kind::StepStart { step });
        Running { emitter: self.clone(), host: host.clone(), step, begun: Instant::now() }
    }
}

/// A step under way. Dropped without [`end`](Self::end) it simply never ended well.
#[must_use = "report the end of the step"]
#[derive(Debug)]
pub(crate) struct Running {
    emitter: Emitter,
    host: HostName,
    step: Step,
    begun: Instant,
}

impl Running {
    /// The step ended well.
    pub(crate) fn end(self, detail: impl Into<String>) {
        let kind = Kind::StepEnd {
            step: self.step,
            detail: detail.into(),
            millis: millis(self.begun.elapsed()),
        };
        self.emitter.host(&self.host, kind);
    }
}

/// Whole milliseconds, saturating.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The receiving end of the emitters.
#[derive(Debug)]
pub(crate) struct Inbox {
    receiver: mpsc::UnboundedReceiver<Fact>,
    begun: Instant,
    clock: Clock,
    pulse: Arc<Pulse>,
}

/// What a sink is told.
#[derive(Debug)]
pub(crate) enum Beat<'a> {
    /// The next event.
    Event(&'a Event),
    /// Time goes on without one; since the run began.
    Tick(Duration),
}

/// How often time goes on.
const TICK: Duration = Duration::from_millis(250);

/// A silence of the controller that is told, in seconds; shorter ones are a busy machine's.
const TOLD: i64 = 15;

/// Numbers the facts and hands each to `sink` until every emitter is gone, and the time meanwhile.
///
/// A sink that fails (a closed pipe) is not called again, and its error is returned at the end: a
/// dead terminal must not end a rollout.
pub(crate) async fn dispatch(
    mut inbox: Inbox,
    mut sink: impl FnMut(Beat<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut broken = None;
    let mut seq = 0;
    let mut told_of = None;
    let mut clock = tokio::time::interval(TICK);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let told = tokio::select! {
            biased;
            fact = inbox.receiver.recv() => {
                let Some(Fact { moment, elapsed, host, kind }) = fact else { break };
                let event = Event { seq, moment, elapsed, host, kind };
                seq += 1;
                if broken.is_some() { continue; }
                sink(Beat::Event(&event))
            }
            _ = clock.tick(), if broken.is_none() => {
                let (moment, elapsed) = ((inbox.clock)(), inbox.begun.elapsed());
                let silence = inbox.pulse.beat(moment).filter(|one| one.seconds() >= TOLD);
                match silence.filter(|one| told_of != Some(*one)) {
                    None => sink(Beat::Tick(elapsed)),
                    Some(silence) => {
                        told_of = Some(silence);
                        let kind = stood_still(silence);
                        let event = Event { seq, moment, elapsed, host: None, kind };
                        seq += 1;
                        sink(Beat::Event(&event))
                    }
                }
            }
        };
        if let Err(error) = told {
            broken = Some(error);
        }
    }
    broken.map_or(Ok(()), Err)
}

fn stood_still(silence: Silence) -> Kind {
    let Silence { from, to } = silence;
    let message = format!(
        "the controller stood still for {} s, from {from} to {to} (stopped, or its machine slept): hosts that waited \
         for its word for longer than their time limit have gone back by themselves",
        silence.seconds()
    );
    Kind::Note { level: NoteLevel::Warning, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn events_are_numbered_in_order_and_a_broken_sink_is_left_alone() {
        let (emitter, inbox) = Emitter::channel(|| Timestamp::from_unix(0));
        emitter.run(Kind::TaskStart { task: "one".into(), place: None });
        emitter.warn(Some(&HostName::new("h")), "two");
        emitter.step(&HostName::new("h"), Step::Stage).end("three");
        drop(emitter);
        let mut seen = Vec::new();
        let result = dispatch(inbox, |beat| {
            let Beat::Event(event) = beat else { return Ok(()) };
            seen.push(event.seq);
            if event.seq == 2 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
        })
        .await;
        assert_eq!(seen, [0, 1, 2]);
        assert_eq!(result.map_err(|error| error.kind()), Err(io::ErrorKind::BrokenPipe));
    }
}
