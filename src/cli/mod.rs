//! The command line: arguments, the calls behind each verb, errors and exit codes.

mod ansible_cfg;
mod args;
mod completion;
mod console;
mod demo;
mod discover;
mod earlier;
mod extra_vars;
mod failure;
mod following;
mod history;
mod init;
#[cfg(test)]
mod large;
mod limit;
mod lists;
mod manual;
mod project;
mod prompt;
mod report;
mod saved_plan;
mod secrets;
mod session;
mod settings;
mod shard;
mod show;
mod signals;
mod topics;
mod verbs;

use crate::engine::exit;
use args::{Cli, Output, OutputArgs};
use clap::FromArgMatches;
use clap::error::ErrorKind;
use failure::Failure;
use std::io::Write;
use std::process::ExitCode;

/// Runs the command of this process.
pub fn main() -> ExitCode {
    let words: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into()).collect();
    if let Some(text) = topics::asked(&words).or_else(|| completion::asked(&words)) {
        let written = std::io::stdout().write_all(text.as_bytes());
        return ExitCode::from(if written.is_ok() { exit::OK } else { exit::USAGE });
    }
    let parsed = args::command().try_get_matches().and_then(|matches| {
        if let Some(why) = args::refused(&matches) {
            return Err(args::command().error(ErrorKind::ArgumentConflict, why));
        }
        Cli::from_arg_matches(&matches)
    });
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Nobody is left to tell when standard error is gone.
            let _ = error.print();
            return ExitCode::from(if asked { exit::OK } else { exit::USAGE });
        }
    };
    let (name, output) = (cli.command.name(), cli.command.output().cloned());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(verbs::run(cli.command));
            // A prompt that nobody answered must not keep the process.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            tell(name, &failure, output.as_ref());
            ExitCode::from(exit::USAGE)
        }
    }
}

fn tell(command: &str, failure: &Failure, output: Option<&OutputArgs>) {
    let plain = OutputArgs::table(args::Color::Auto);
    let flags = output.unwrap_or(&plain);
    let options = console::options(flags, false);
    let text = failure.render(options.stderr.color, options.stderr.columns());
    // Nobody is left to tell when both are gone.
    let _ = std::io::stderr().write_all(text.as_bytes());
    if flags.output == Output::Json
        && !matches!(command, "inventory" | "services" | "config" | "history" | "show")
    {
        let _ = session::tell_failure_as_json(command, failure);
    }
}
