//! From the output flags to reporters, and the thread on which they write.

use super::args::{
    Color, ConnectionArgs, InventorySource, Output, OutputArgs, RunArgs, WatchArgs, WatchedAs,
};
use crate::engine::emit::{Beat, Inbox, dispatch};
use crate::event::Rerun;
use crate::report::console::{Console, Options, Watching};
use crate::report::{self, Pause, Reporter};
use anstream::ColorChoice;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

/// What the flags ask for.
pub(super) fn options(flags: &OutputArgs, diff: bool) -> Options {
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
        ..Options::detect(color)
    }
}

/// The same for a run that is watched.
pub(super) fn watched(flags: &OutputArgs, watch: &WatchArgs, diff: bool) -> Options {
    let mut options = options(flags, diff);
    options.watching = match watch.progress {
        WatchedAs::Auto => options.watching,
        WatchedAs::Plain => Watching::Plain,
        WatchedAs::Grouped => Watching::Grouped,
        WatchedAs::None => Watching::None,
    };
    (options.quiet, options.stamped) = (watch.quiet, watch.timestamps);
    options
}

/// The words after the verb that lead to the same hosts and tasks. Values given with `-e` may be
/// secret and are left out.
pub(super) fn rerun(args: &RunArgs) -> Rerun {
    let mut words = Words::default();
    for playbook in &args.playbooks {
        words.word(&playbook.display().to_string());
    }
    words.inventory(&args.inventory);
    words.connection(&args.connection);
    words.option("--tags", Some(args.tags.join(",")).filter(|tags| !tags.is_empty()));
    words.option("--skip-tags", Some(args.skip_tags.join(",")).filter(|tags| !tags.is_empty()));
    words.option("--start-at-task", args.start_at_task.clone());
    words.flag("--force-handlers", args.force_handlers);
    words.flag("--allow-empty", args.allow_empty);
    words.rerun(&args.inventory)
}

/// The words that carry out a saved plan again.
pub(super) fn rerun_plan(path: &Path, narrowed: bool, rerun: Rerun) -> Rerun {
    let argv = vec![path.display().to_string()];
    Rerun { argv, limit: rerun.limit.filter(|_| narrowed), ..rerun }
}

/// The same for verbs that take a pattern of hosts in place of a playbook.
pub(super) fn rerun_hosts(
    pattern: &str,
    inventory: &InventorySource,
    connection: &ConnectionArgs,
) -> Rerun {
    let mut words = Words::default();
    words.word(pattern);
    words.inventory(inventory);
    words.connection(connection);
    words.rerun(inventory)
}

/// Words of a command line.
#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn word(&mut self, word: &str) {
        self.0.push(word.to_owned());
    }

    fn rerun(self, source: &InventorySource) -> Rerun {
        let secret = source.extra_vars.iter().any(|vars| !vars.starts_with('@'));
        let left_out = secret.then(|| "-e".to_owned()).into_iter().collect();
        Rerun { argv: self.0, limit: source.limit.clone(), left_out, own: Vec::new() }
    }

    fn option(&mut self, flag: &str, value: Option<String>) {
        if let Some(value) = value {
            self.0.push(flag.to_owned());
            self.word(&value);
        }
    }

    fn flag(&mut self, flag: &str, given: bool) {
        if given {
            self.0.push(flag.to_owned());
        }
    }

    fn inventory(&mut self, source: &InventorySource) {
        for source in &source.sources {
            self.option("-i", Some(source.clone()));
        }
        self.option("--shard", source.shard.map(|shard| shard.to_string()));
        for vars in source.extra_vars.iter().filter(|vars| vars.starts_with('@')) {
            self.option("-e", Some(vars.clone()));
        }
        for file in &source.vault_password_files {
            self.option("--vault-password-file", Some(file.display().to_string()));
        }
        for id in &source.vault_ids {
            self.option("--vault-id", Some(id.clone()));
        }
        self.flag("-J", source.ask_vault_pass);
    }

    fn connection(&mut self, args: &ConnectionArgs) {
        let path = |path: &PathBuf| path.display().to_string();
        self.option("-u", args.user.clone());
        self.option("--private-key", args.private_key.as_ref().map(path));
        self.flag("-k", args.ask_pass);
        self.flag("-b", args.becoming);
        self.option("--become-user", args.become_user.clone());
        self.option("--become-method", args.become_method.clone());
        self.flag("-K", args.ask_become_pass);
        self.option("--become-password-file", args.become_password_file.as_ref().map(path));
        self.option("--connection-password-file", args.connection_password_file.as_ref().map(path));
        self.option("-c", args.connection.clone());
        self.option("-T", args.timeout.map(|seconds| seconds.to_string()));
        if let Some(args) = &args.ssh_common_args {
            // It begins with a hyphen as a rule.
            self.word(&format!("--ssh-common-args={args}"));
        }
        if let Some(args) = &args.ssh_extra_args {
            self.word(&format!("--ssh-extra-args={args}"));
        }
        self.option("--ssh-config", args.ssh_config.as_ref().map(path));
    }
}

/// The thread that writes what happens.
pub(super) struct Writer {
    thread: JoinHandle<io::Result<()>>,
    /// Takes the board away while somebody asks the operator.
    pub(super) pause: Pause,
}

/// Starts the reporters. They get a thread of their own: a terminal that is slow must not hold up hosts.
///
/// # Errors
/// No thread could be started.
pub(super) fn start(
    options: Options,
    more: Vec<Box<dyn Reporter + Send>>,
    inbox: Inbox,
) -> io::Result<Writer> {
    let (send, receive) = mpsc::channel();
    let runtime = tokio::runtime::Handle::current();
    let thread = std::thread::Builder::new().name("reports".to_owned()).spawn(move || {
        let mut console = Console::new(&options, more);
        // The receiver waits for exactly this.
        let _ = send.send(console.pause());
        let written = runtime.block_on(dispatch(inbox, |beat| {
            match beat {
                Beat::Event(event) => console.on_event(event),
                Beat::Tick(now) => console.on_tick(now),
            }
            Ok(())
        }));
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
