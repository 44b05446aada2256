//! Containers on a host: which one a service runs in, and what the engine and the kernel say of it.

/// A program that runs containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// `podman`.
    Podman,
    /// `docker`.
    Docker,
}

impl Engine {
    /// The program's name.
    pub fn program(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
        }
    }

    /// The engine whose program that is, with or without its directory.
    pub fn of_program(program: &str) -> Option<Self> {
        match program.rsplit('/').next()? {
            "podman" => Some(Self::Podman),
            "docker" => Some(Self::Docker),
            _ => None,
        }
    }
}

/// A container, as its engine knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name or id.
    pub name: String,
    /// `None`: whichever engine of the host knows it.
    pub engine: Option<Engine>,
    /// Whose rootless containers it is one of; `None`: those of the account that everything runs as.
    pub user: Option<String>,
}

/// What is known of a container that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerFacts {
    /// Whether it runs.
    pub state: ContainerState,
    /// The engine that knows it, or that was asked last.
    pub engine: Option<Engine>,
    /// The home directory and the id of the user whose containers they are, where one was named.
    pub user: Option<(String, u32)>,
    /// Its first process, as the host counts.
    pub pid: u32,
    /// When that was started, in the kernel's ticks; empty where nobody can tell.
    pub started: String,
    /// User and group on the host that root in there is.
    pub root: (u32, u32),
    /// User and group in there that commands run as, where the image or the container names a user.
    pub runs_as: Option<(u32, u32)>,
    /// Commands can be run in a private copy of its mounts.
    pub can_enter: bool,
}

/// Whether a container runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerState {
    /// It does.
    Running,
    /// It is there and does not run.
    Stopped,
    /// It is frozen: its processes are there and do nothing.
    Paused,
    /// The engine knows none of that name.
    Missing,
    /// The host has no engine.
    NoEngine,
    /// The engine could not be asked; the last of what it said, printable.
    EngineFailed(String),
}
