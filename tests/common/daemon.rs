//! A server that a test starts, on a free port, and that never outlives it.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const START: Duration = Duration::from_secs(60);

/// A running program in its own process group. Ends with everything that it started when dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
    /// Whether the first process leads a pid namespace of its own, which dies with it.
    pub name: String,
}

impl Daemon {
    /// Starts `command`, which must stay in the foreground; its output goes to `directory/NAME.log`.
    pub fn start(name: &str, mut command: Command, directory: &Path) -> Self {
        let log = directory.join(format!("{name}.log"));
        let output = File::create(&log).expect("log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("duplicate"))
            .stderr(output)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { child, log, name: name.to_owned() }
    }

    /// Runs a script as process 1 of its own pid and mount namespaces (root only): whatever it
    /// starts, daemons included, dies with it, and its mounts are seen by nobody else.
    pub fn sealed(name: &str, script: &str, directory: &Path) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.args(["--propagation", "private", "sh", "-euc", script]);
        Self::start(name, command, directory)
    }

    /// Waits until something accepts connections on the port.
    pub fn wait_for(&mut self, port: u16) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        self.wait_until(|| TcpStream::connect(address).is_ok());
    }

    /// Waits for a condition, and fails with the log when the program ends or time is up.
    pub fn wait_until(&mut self, mut ready: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !ready() {
            let ended = self.child.try_wait().expect("own child");
            assert!(ended.is_none(), "{} ended: {ended:?}\n{}", self.name, self.log());
            assert!(begun.elapsed() < START, "{} is not ready\n{}", self.name, self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The group, not the process alone: servers have workers. By its id, that of the leader.
        let group = format!("-{}", self.child.id());
        Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status().ok();
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A port of 127.0.0.1 that nobody uses: another each time, and below those that the system gives to connections
/// (`ip_local_port_range`), which could take it before the server does.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Other test programs run at the same time, and begin elsewhere.
    let begin = std::process::id().wrapping_mul(1009);
    loop {
        let number = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 10_000 + u16::try_from(number % 22_000).expect("less than 22,000");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
