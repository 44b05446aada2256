//! The program on the device, run over the host's SSH connection.

use super::place::BigIp;
use crate::bigip::{Answers, Orders, PROGRAM, complaint};
use crate::engine::connection::HostConnection;
use crate::engine::failure::{self, HostFailure};
use crate::host::CommandRequest;
use crate::model::{CommandLine, HostName};
use crate::remote::{RemoteError, command};
use std::time::Duration;

/// How long the program may take: tmsh needs seconds for its start alone.
const PATIENCE: Duration = Duration::from_secs(240);
/// How often an answer that was lost is asked for again, and how long is waited in between.
const LOOK_UPS: usize = 6;
const BETWEEN: Duration = Duration::from_secs(2);

/// A way to one device, for one task.
#[derive(Clone)]
pub(super) struct Line {
    connection: HostConnection,
    directory: String,
    pub(super) host: HostName,
    pub(super) task: String,
}

impl Line {
    pub(super) fn new(target: &BigIp, host: &HostName, task: &str) -> Self {
        Self {
            connection: target.connection.clone(),
            directory: target.directory.clone(),
            host: host.clone(),
            task: task.to_owned(),
        }
    }

    /// Orders of a verb.
    pub(super) fn orders(&self, verb: &str) -> Orders {
        Orders::new(verb, &self.directory)
    }

    /// What the connection is, for people.
    pub(super) fn describe(&self) -> String {
        self.connection.describe()
    }

    /// Runs the program once.
    ///
    /// # Errors
    /// There is no connection, its shell is no sh, or the answer was lost or is none.
    pub(super) async fn ask(&self, orders: Orders) -> Result<Answers, HostFailure> {
        let process = self.connection.sh().await.map_err(|error| error.ended(&self.task))?;
        let words = ["sh", "-c", PROGRAM, "certroll"];
        let request = CommandRequest {
            command: CommandLine::Argv(words.map(str::to_owned).to_vec()),
            chdir: None,
            env: Vec::new(),
            stdin: Some(orders.input()),
            allow_input_log: false,
            timeout: PATIENCE,
            creates: None,
            removes: None,
        };
        match command::run(process, &request).await {
            Ok(result) => {
                let noise = if result.stdout.is_empty() { &result.stderr } else { &result.stdout };
                Answers::read(noise).map_err(|why| failure::unreachable(&self.task, why))
            }
            Err(RemoteError::NoBoot { noise }) if complaint(&noise).is_some() => {
                let why = "the shell of this account is tmsh, which takes no key: there is no way to give it a file. \
                           Log in as an account whose shell is bash";
                Err(failure::refused(&self.task, why))
            }
            Err(error) => Err(failure::remote(&self.task, &self.host, &error, None)),
        }
    }

    /// The same for orders that may be given again: an answer that was lost is asked for until it comes.
    ///
    /// # Errors
    /// It never came.
    pub(super) async fn surely(&self, orders: impl Fn() -> Orders) -> Result<Answers, HostFailure> {
        let mut tries = LOOK_UPS;
        loop {
            match self.ask(orders()).await {
                Ok(answers) => return Ok(answers),
                Err(ended) => {
                    tries -= 1;
                    if tries == 0 {
                        return Err(ended);
                    }
                    tokio::time::sleep(BETWEEN).await;
                }
            }
        }
    }
}
