//! What controller and host say to each other, as plain data: questions and facts, a transaction and
//! its reports, commands and their results.
//!
//! `plan` asks and judges, `remote` puts it into words and reads the answers, `engine` leads the
//! conversation. Nothing here does anything.

mod command;
mod container;
mod facts;
mod inspection;
mod kind;
mod module;
mod reports;
mod transaction;

pub(crate) use command::CommandRequest;
pub use command::{CommandResult, RunningCheck, TimedCommand};
pub use container::{Container, ContainerFacts, ContainerState, Engine};
pub(crate) use facts::{BootGuard, Generation, JournalFacts, ProcessName, Workers};
pub use facts::{
    FileFacts, FileState, Held, HeldAs, HostFacts, JournalState, LockHolder, ProcessFacts,
    RegularFile, Tools,
};
pub use inspection::{
    Enclosed, InspectCommand, Inspection, InspectionVariant, ProcessQuery, StateDirs,
};
pub use kind::{Family, HostKind};
pub(crate) use module::{ModuleRefusal, ModuleReply, ModuleRequest, Verb};
pub use reports::{
    Committed, Recovered, RecoveredEnd, RolledBack, Staged, StepFailure, ValidationWay,
};
pub(crate) use reports::{Reloaded, ServiceBack, Validation};
pub use transaction::{
    Attributes, BootRecipe, Content, FileChange, FileRole, KeyOrder, Limits, NewDirectory, Seed,
    ServiceCommands, TransactionId, TransactionRequest, ValidateStep, ValidateVia,
};
