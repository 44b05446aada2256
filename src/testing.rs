//! What the integration tests use of the library, and nothing else; no part of any promise.

pub mod clock {
    pub use crate::clock::now;
}
pub mod host {
    pub use crate::host::{
        Attributes, BootRecipe, CommandResult, Committed, Container, ContainerFacts,
        ContainerState, Content, Enclosed, Engine, Family, FileChange, FileFacts, FileRole,
        FileState, Held, HeldAs, HostFacts, HostKind, InspectCommand, Inspection,
        InspectionVariant, JournalState, KeyOrder, Limits, LockHolder, NewDirectory, ProcessFacts,
        ProcessQuery, Recovered, RecoveredEnd, RegularFile, RolledBack, RunningCheck, Seed,
        ServiceCommands, Staged, StateDirs, StepFailure, TimedCommand, Tools, TransactionId,
        TransactionRequest, ValidateStep, ValidateVia, ValidationWay,
    };
}
pub mod inputs {
    pub use crate::inputs::alike::Alike;
}
pub mod inventory {
    pub use crate::inventory::{Inventory, LoadOptions, load};
}
pub mod journal {
    pub use crate::journal::Lines;
}
pub mod lab {
    pub use crate::lab::{Fault, Host, Lab};
    pub mod story {
        pub use crate::lab::story::{HostStory, Kind, Scenario, demo, expected};
    }
}
pub mod load {
    pub use crate::load::read_text;
}
pub mod material {
    pub use crate::material::{
        Bundle, Certificate, Input, MaterialError, Note, PrivateKey, PublicKey, certificates_in,
        check, describe_diff, parse_certificates,
    };
    pub mod keystore {
        pub use crate::material::keystore::{Opened, open, password_problem, write};
    }
}
pub mod model {
    pub use crate::model::{
        Backoff, CommandLine, Endpoint, FileAction, FileMode, Fingerprint, HostName, Outcome,
        RemotePath, Secret, Shared, StartTls, Step, Timestamp,
    };
}
pub mod plan {
    pub mod build {
        pub use crate::plan::build::build;
    }
    pub mod desired {
        pub use crate::plan::desired::DesiredState;
    }
    pub mod error {
        pub use crate::plan::error::PlanError;
    }
    pub mod host_plan {
        pub use crate::plan::host_plan::{Decision, HostPlan, SeenBefore};
    }
    pub mod inspection {
        pub use crate::plan::inspection::{HostView, Look, LookFailure, ask, ask_for_plan};
    }
    pub mod variants {
        pub use crate::plan::variants::Variants;
    }
    pub mod row {
        pub use crate::plan::row::CertBrief;
    }
    pub mod rows {
        pub use crate::plan::rows::{blocked_row, rows};
    }
    pub mod transaction {
        pub use crate::plan::transaction::transaction;
    }
    pub mod request {
        pub use crate::plan::request::{CertificateRequest, KeystoreSeal, Material};
    }
}
pub mod playbook {
    pub use crate::playbook::{Playbook, parse};
    pub mod certificate {
        pub use crate::playbook::certificate::{
            CertificateTask, Confirm, Dest, InContainer, Ownership, Pair, PairPlaces, ReloadChoice,
            ServiceUse, SingleFiles, SourceText, Validation, VerifyChoice, VerifySpec, WhenStopped,
        };
    }
}
pub mod remote {
    pub use crate::remote::{
        BOOTSTRAP, READY, RemoteError, Shell, Transaction, inspect, inspect_in, launch,
    };
    pub mod program {
        pub use crate::remote::program::Program;
    }
    pub mod transaction {
        pub use crate::remote::transaction::recover_with;
    }
}
pub mod services {
    pub use crate::services::{
        ByFamily, CommandSpec, Covers, ExitCode, Files, KeyPlace, Owners, Paths, Profile, Profiles,
        Reads, Reload, ResolvedReload, choose, json_schema, list, show,
    };
}
pub mod source {
    pub use crate::source::{Diagnostics, Node, SourceFile, Value, Vars};
    pub mod render {
        pub use crate::source::render::render;
    }
    pub mod yaml {
        pub use crate::source::yaml::parse;
    }
}
pub mod template {
    pub use crate::template::{Scope, Templates};
}
pub mod transport {
    pub use crate::transport::{
        AgentChoice, Become, ConnectError, ConnectOptions, Connector, Controller, Exit, HostError,
        HostKeyChecking, Keepalive, Keywords, Launch, Method, Process, Route, Session,
        SharedSession, SshConfig, StartError, Target, target_from,
    };
    pub mod local {
        pub use crate::transport::local::{spawn, start};
    }
    pub mod ssh_config {
        pub use crate::transport::ssh_config::{
            AddressFamily, Checking, Controller, Files, Hop, Lookup, Proxy, Settings, SshConfig,
        };
    }
}
pub mod vault {
    pub use crate::vault::{Vault, VaultError, is_vault, secret_from_file};
}
pub mod verify {
    pub use crate::verify::{
        Attempt, ConnectFailure, Dial, Expectation, Patience, Phase, Probe, Refusal, Resolving,
        Roots, Seen, Served, SignatureChoice, Stream, Tcp, Verdict, ask, beyond_judging, handshake,
        verify,
    };
}
