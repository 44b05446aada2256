//! From the output flags to reporters, and the thread on which they write.

use super::args::{Color, Output, OutputArgs, RunArgs};
use crate::engine::emit::{Inbox, dispatch};
use crate::model::Timestamp;
use crate::report::console::{Console, Options};
use crate::report::{self, Metrics, Pause, Reporter};
use anstream::ColorChoice;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;

/// What the flags ask for.
pub(super) fn options(flags: &OutputArgs, diff: bool, arguments: String) -> Options {
    let color = match flags.color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    };
    Options {
        output: match flags.output {
            Output::Table => report::console::Output::Table,
            Output::Json => report::console::Output::Json,
        },
        verbosity: flags.verbose,
        diff,
        arguments,
        ..Options::detect(color)
    }
}

/// The words after the verb that lead to the same hosts and tasks. Values given with `-e` may be
/// secret and are left out.
pub(super) fn arguments(args: &RunArgs) -> String {
    let mut words: Vec<String> =
        args.playbooks.iter().map(|path| path.display().to_string()).collect();
    let mut option = |flag: &str, value: &str| {
        words.push(flag.to_owned());
        words.push(value.to_owned());
    };
    for source in &args.inventory.sources {
        option("-i", source);
    }
    for vars in args.inventory.extra_vars.iter().filter(|vars| vars.starts_with('@')) {
        option("-e", vars);
    }
    let quoted = words.iter().map(|word| shlex::try_quote(word).unwrap_or_default().into_owned());
    quoted.collect::<Vec<_>>().join(" ")
}

/// Reporters besides the console.
#[derive(Default)]
pub(super) struct Reporters {
    /// `--metrics`.
    pub(super) metrics: Option<PathBuf>,
    /// Any other.
    pub(super) also: Option<Box<dyn Reporter + Send>>,
}

/// The thread that writes what happens.
pub(super) struct Writer {
    thread: JoinHandle<io::Result<()>>,
    /// Stops the bars while somebody asks the operator.
    pub(super) pause: Pause,
}

/// Starts the reporters. They get a thread of their own: a terminal that is slow must not hold up hosts.
///
/// # Errors
/// No thread could be started.
pub(super) fn start(
    options: Options,
    more: Reporters,
    now: Timestamp,
    inbox: Inbox,
) -> io::Result<Writer> {
    let (send, receive) = mpsc::channel();
    let runtime = tokio::runtime::Handle::current();
    let thread = std::thread::Builder::new().name("reports".to_owned()).spawn(move || {
        let mut console = Console::new(&options);
        if let Some(file) = more.metrics {
            console.add(Metrics::new(file, now));
        }
        if let Some(reporter) = more.also {
            console.add(reporter);
        }
        // The receiver waits for exactly this.
        let _ = send.send(console.pause());
        let written = runtime.block_on(dispatch(inbox, |event| console.on_event(event)));
        written.and(console.finish())
    })?;
    let pause = receive.recv().unwrap_or_else(|_| Pause::none());
    Ok(Writer { thread, pause })
}

impl Writer {
    /// Waits until everything is written. Every emitter must be gone.
    ///
    /// # Errors
    /// What a reporter failed with.
    pub(super) async fn finish(self) -> io::Result<()> {
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        match joined {
            Ok(Ok(written)) => written,
            _ => Err(io::Error::other("the reports ended unexpectedly")),
        }
    }
}
