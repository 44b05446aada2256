//! An SSH server in this process that runs real programs, in an environment of its own, as the user
//! who runs the lab. It can be told to misbehave ([`Fault`]).

use super::children::Children;
use super::fault::Fault;
use super::program::{self, Surroundings};
use super::wire::wire;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, MethodKind, MethodSet, SshId};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

/// Room for input with [`Fault::StarveWindow`].
const STARVED: u32 = 1024;

/// Who may log in, and with what.
#[derive(Clone, Debug)]
pub struct Access {
    /// The account.
    pub user: String,
    key: PrivateKey,
}

impl Access {
    /// An account with a new key.
    pub fn new(user: impl Into<String>) -> Self {
        Self { user: user.into(), key: new_key() }
    }

    /// The private key, as OpenSSH writes it.
    ///
    /// # Errors
    /// Never in practice: the key is a plain one.
    pub fn private_key(&self) -> io::Result<Zeroizing<String>> {
        self.key.to_openssh(LineEnding::LF).map_err(io::Error::other)
    }
}

fn new_key() -> PrivateKey {
    Ed25519Keypair::from_seed(&rand::random()).into()
}

/// The surroundings of the programs that a server starts.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Their home and working directory.
    pub home: PathBuf,
    /// Directories searched before the system's own.
    pub path: Vec<PathBuf>,
    /// More variables. Nothing of this process's own environment is passed on.
    pub variables: Vec<(String, String)>,
}

impl Environment {
    fn command(&self, line: &str, children: &Children) -> Command {
        let mut command = Command::new("/bin/sh");
        let system =
            ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
        let path: Vec<&Path> =
            self.path.iter().map(PathBuf::as_path).chain(system.map(Path::new)).collect();
        let (mark, value) = children.mark();
        command.arg("-c").arg(line).env_clear().current_dir(&self.home);
        // Directories of a lab hold no colon; `Lab` sees to it.
        command.env("PATH", std::env::join_paths(path).unwrap_or_default());
        command.env("HOME", &self.home).env("SHELL", "/bin/sh").env(mark, value);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A running server. Dropped, it ends with all its connections; programs are its
/// [`Children`]'s business.
#[derive(Debug)]
pub struct Sshd {
    address: SocketAddr,
    inner: Arc<Inner>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Inner {
    host_key: PrivateKey,
    access: Access,
    environment: Environment,
    children: Arc<Children>,
    fault: watch::Sender<Option<Fault>>,
    connections: AtomicUsize,
    programs: AtomicUsize,
    tasks: TaskTracker,
}

impl Sshd {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No free port.
    pub fn start(
        access: Access,
        environment: Environment,
        children: Arc<Children>,
        fault: Option<Fault>,
    ) -> io::Result<Self> {
        let socket = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let refuse = matches!(fault, Some(Fault::Refuse));
        // Clients may come as soon as this returns.
        let door = if refuse { Door::Closed(socket) } else { Door::open(socket)? };
        let tasks = TaskTracker::new();
        let inner = Arc::new(Inner {
            host_key: new_key(),
            access,
            environment,
            children,
            fault: watch::Sender::new(fault),
            connections: AtomicUsize::new(0),
            programs: AtomicUsize::new(0),
            tasks: tasks.clone(),
        });
        let stop = CancellationToken::new();
        tasks.spawn(serve(inner.clone(), door, address, stop.clone()));
        Ok(Self { address, inner, stop, tasks })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The line for a `known_hosts` file.
    ///
    /// # Errors
    /// Never in practice: the key is a plain one.
    pub fn known_hosts_line(&self) -> io::Result<String> {
        let key = self.inner.host_key.public_key().to_openssh().map_err(io::Error::other)?;
        Ok(format!("[127.0.0.1]:{} {key}\n", self.port()))
    }

    /// From now on this goes wrong; what was wrong before does not.
    pub fn inject(&self, fault: Fault) {
        self.inner.fault.send_replace(Some(fault));
    }

    /// All is well again, for new connections and programs.
    pub fn heal(&self) {
        self.inner.fault.send_replace(None);
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.inner.connections.load(Ordering::Relaxed)
    }

    /// How many programs were asked for.
    pub fn programs(&self) -> usize {
        self.inner.programs.load(Ordering::Relaxed)
    }

    /// Breaks all connections and waits until everything has ended but the programs.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        // A program that ignores the end of its input keeps its task; `Children` end it later.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.tasks.wait()).await;
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A port that is taken; nobody listens yet.
fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    // The port of one who stopped listening is taken again at once.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// The port, with or without anybody who listens.
enum Door {
    Open(TcpListener),
    /// Bound, which keeps it from others.
    Closed(Socket),
}

impl Door {
    fn open(socket: Socket) -> io::Result<Self> {
        socket.listen(128)?;
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket.into()).map(Self::Open)
    }
}

/// Takes connections, and refuses them while [`Fault::Refuse`] is on.
async fn serve(inner: Arc<Inner>, mut door: Door, address: SocketAddr, stop: CancellationToken) {
    let mut faults = inner.fault.subscribe();
    loop {
        let refuse = matches!(*faults.borrow_and_update(), Some(Fault::Refuse));
        door = match door {
            Door::Open(listener) if refuse => {
                drop(listener);
                match bound(address) {
                    Ok(socket) => Door::Closed(socket),
                    Err(_) => return,
                }
            }
            Door::Closed(socket) if !refuse => match Door::open(socket) {
                Ok(door) => door,
                Err(_) => return,
            },
            door => door,
        };
        let taken = async {
            match &door {
                Door::Open(listener) => listener.accept().await,
                Door::Closed(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            taken = taken => {
                if let Ok((stream, _)) = taken {
                    inner.connections.fetch_add(1, Ordering::Relaxed);
                    inner.tasks.spawn(connection(inner.clone(), stream, stop.child_token()));
                }
            }
            _ = faults.changed() => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn connection(inner: Arc<Inner>, stream: TcpStream, cut: CancellationToken) {
    let fault = inner.fault.borrow().clone();
    if matches!(fault, Some(Fault::Mute)) {
        return cut.cancelled().await;
    }
    let _ = stream.set_nodelay(true);
    let window = if matches!(fault, Some(Fault::StarveWindow)) { STARVED } else { 2 << 20 };
    let config = Config {
        server_id: SshId::Standard("SSH-2.0-certroll_lab".into()),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![inner.host_key.clone()],
        window_size: window,
        inactivity_timeout: None,
        ..Config::default()
    };
    let wire = wire(stream, cut.clone(), &inner.tasks);
    let handler = Connection { inner, cut: cut.clone(), fault, channels: HashMap::new() };
    if let Ok(session) = russh::server::run_stream(Arc::new(config), wire, handler).await {
        let _ = session.await;
    }
    // Programs of this connection learn that it is gone by their channels.
}

/// One connection's requests.
struct Connection {
    inner: Arc<Inner>,
    cut: CancellationToken,
    /// As it was when the connection was made.
    fault: Option<Fault>,
    /// Opened, and no program started on them yet.
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Connection {
    fn start(
        &mut self,
        id: ChannelId,
        line: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let Some(channel) = self.channels.remove(&id) else { return session.channel_failure(id) };
        session.channel_success(id)?;
        self.inner.programs.fetch_add(1, Ordering::Relaxed);
        let around = Surroundings {
            fault: self.inner.fault.borrow().clone(),
            cut: self.cut.clone(),
            children: self.inner.children.clone(),
            session: session.handle(),
        };
        let command = self.inner.environment.command(line, &self.inner.children);
        self.inner.tasks.spawn(program::run(channel, command, around));
        Ok(())
    }

    fn knows(&self, user: &str, key: &PublicKey) -> Auth {
        let own = self.inner.access.key.public_key();
        if user == self.inner.access.user && key.key_data() == own.key_data() {
            Auth::Accept
        } else {
            Auth::reject()
        }
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: russh::server::PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.knows(user, offer.public_key))
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.knows(user, key.public_key))
    }

    fn adjust_window(&mut self, _: ChannelId, current: u32) -> u32 {
        // With a target of one byte there is never so little room that it would be made larger.
        if matches!(self.fault, Some(Fault::StarveWindow)) { 1 } else { current }
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.channels.remove(&id);
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        line: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match std::str::from_utf8(line) {
            Ok(line) => self.start(id, line, session),
            Err(_) => session.channel_failure(id),
        }
    }

    async fn shell_request(
        &mut self,
        id: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.start(id, "exec /bin/sh", session)
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(russh::Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(address) = on_loopback(host, port) else {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        };
        let cut = self.cut.clone();
        self.inner.tasks.spawn(async move {
            match TcpStream::connect(address).await {
                Err(_) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
                Ok(onwards) => {
                    let _ = onwards.set_nodelay(true);
                    reply.accept().await;
                    program::tunnel(channel, onwards, cut).await;
                }
            }
        });
        Ok(())
    }
}

/// A lab's hosts reach nothing but loopback.
fn on_loopback(host: &str, port: u32) -> Option<SocketAddr> {
    let port = u16::try_from(port).ok()?;
    let ip: IpAddr = match host {
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        other => other.parse().ok()?,
    };
    ip.is_loopback().then(|| SocketAddr::new(ip, port))
}
