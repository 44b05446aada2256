//! What each verb does.

mod hosts;
mod local;
mod playbooks;
mod print;

use super::args::{Command, PlanArgs, RecoverArgs, StatusArgs};
use super::failure::Failure;
use super::{completion, demo, history, manual, report, show};
use crate::inputs::verb::Verb;
use playbooks::{Task, apply, look_after, on_playbooks, rollback};
use print::print;

/// Does what the command says; returns the exit code.
///
/// # Errors
/// What stopped it before any host was touched.
pub(super) async fn run(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Plan(PlanArgs { run, exit_code, out }) => {
            let task = Task { pending_exit_code: exit_code, out, ..Task::new(Verb::Plan) };
            on_playbooks(&run, task).await
        }
        Command::Apply(args) => apply(args).await,
        Command::Rollback(args) => rollback(args).await,
        Command::Verify(run) => look_after(&run, Task::new(Verb::Verify)).await,
        Command::Status(StatusArgs { run, exit_code }) => {
            let task = Task { pending_exit_code: exit_code, ..Task::new(Verb::Status) };
            look_after(&run, task).await
        }
        Command::Recover(RecoverArgs { run, record }) => {
            look_after(&run, Task::new(Verb::Recover).recorded(&record)).await
        }
        Command::Ping(args) => hosts::ping(&args).await,
        Command::Discover(args) => hosts::discover(&args).await,
        Command::Init(args) => hosts::init(args).await,
        Command::Inventory(args) => local::inventory(&args),
        Command::Show(args) => print(&show::run(&args)?),
        Command::History(args) => print(&history::run(&args)?),
        Command::Report(args) => {
            let (text, exit_code) = report::run(&args)?;
            print(&text)?;
            Ok(exit_code)
        }
        Command::Services(args) => local::services(&args),
        Command::Config(args) => local::config(&args),
        Command::Demo(args) => demo::run(&args).await,
        Command::Completions { shell } => print(&completion::script(shell)),
        Command::Man(args) => print(&manual::run(&args)?),
    }
}
