//! A fake SSH server, in this process, that speaks the protocol correctly and then misbehaves in
//! ways that no sshd does. Each command names its misdeed.

use certroll::testing::model::HostName;
use certroll::testing::transport::{HostKeyChecking, Target};
use russh::keys::{Algorithm, PrivateKey};
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handle, Handler, Msg, Response, Session, run_stream,
};
use russh::{Channel, ChannelId, ChannelMsg, Disconnect};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// How logging in goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Door {
    /// Any password will do.
    #[default]
    Open,
    /// Asks hidden questions without end.
    AsksForEver,
    /// Asks for something that only a person knows.
    AsksAPerson,
    /// Says "that was right, now another" each time.
    NeverEnough,
    /// Says goodbye with control sequences.
    RudeFarewell,
}

/// What the enemy has seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Passwords that it was given, by any method.
    pub passwords: Vec<String>,
    /// Bytes of payload that it took.
    pub taken: usize,
    /// Whether the client agreed to any channel that the server opened.
    pub channel_agreed: bool,
}

#[derive(Clone)]
pub struct Enemy {
    pub port: u16,
    pub seen: Arc<Mutex<Seen>>,
}

impl Enemy {
    pub async fn start(door: Door) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let enemy = Self { port: listener.local_addr().unwrap().port(), seen: Arc::default() };
        let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519);
        let config = Arc::new(Config {
            keys: vec![key.unwrap()],
            auth_rejection_time: Duration::ZERO,
            window_size: 256 << 10,
            nodelay: true,
            ..Config::default()
        });
        let seen = enemy.seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (cut, mut until) = tokio::sync::watch::channel(false);
                let visit = Visit {
                    door,
                    seen: seen.clone(),
                    cut: Arc::new(cut),
                    channels: HashMap::new(),
                };
                let config = config.clone();
                tokio::spawn(async move {
                    let (out, into) = stream.into_split();
                    let stream = tokio::io::join(out, into);
                    if let Ok(running) = run_stream(config, stream, visit).await {
                        tokio::select! {
                            _ = running => {}
                            // Dropped, the task goes on: its connection has to be torn away.
                            _ = until.changed() => {}
                        }
                    }
                });
            }
        });
        enemy
    }

    pub fn target(&self) -> Target {
        Target {
            port: self.port,
            host_key_checking: HostKeyChecking::DangerOff,
            password: Some("the password".to_owned().into()),
            ..Target::new(HostName::new("enemy"), "127.0.0.1", "root")
        }
    }
}

struct Visit {
    door: Door,
    seen: Arc<Mutex<Seen>>,
    cut: Arc<tokio::sync::watch::Sender<bool>>,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Visit {
    fn partly() -> Auth {
        Auth::Reject { proceed_with_methods: None, partial_success: true }
    }
}

impl Handler for Visit {
    type Error = russh::Error;

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, russh::Error> {
        if matches!(self.door, Door::AsksForEver | Door::AsksAPerson) {
            return Ok(Auth::reject());
        }
        self.seen.lock().unwrap().passwords.push(password.to_owned());
        Ok(match self.door {
            Door::NeverEnough => Self::partly(),
            Door::RudeFarewell => return Err(russh::Error::Disconnect),
            _ => Auth::Accept,
        })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, russh::Error> {
        for answer in response.into_iter().flatten() {
            let answer = String::from_utf8_lossy(&answer).into_owned();
            self.seen.lock().unwrap().passwords.push(answer);
        }
        let ask = |text: &'static str, echo| Auth::Partial {
            name: Cow::Borrowed("\u{1b}]0;title\u{7}"),
            instructions: Cow::Borrowed("do as you are told"),
            prompts: Cow::Owned(vec![(Cow::Borrowed(text), echo)]),
        };
        Ok(match self.door {
            Door::AsksForEver => ask("Password: ", false),
            Door::AsksAPerson => ask("\u{1b}[2JWhat is your mother's name? ", true),
            Door::NeverEnough => Self::partly(),
            Door::Open | Door::RudeFarewell => Auth::reject(),
        })
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), russh::Error> {
        if self.door == Door::RudeFarewell {
            session.disconnect(Disconnect::ByApplication, "\u{1b}[31mgo away\u{7}", "")?;
        }
        Ok(())
    }

    async fn authentication_banner(&mut self) -> Result<Option<String>, russh::Error> {
        Ok(Some("\u{1b}[2Jwelcome\n".repeat(1000)))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let Some(channel) = self.channels.remove(&id) else { return Ok(()) };
        let line = String::from_utf8_lossy(command).into_owned();
        let handle = session.handle();
        tokio::spawn(misbehave(line, channel, handle, self.seen.clone(), self.cut.clone()));
        Ok(())
    }
}

/// The writing half, while what comes in is thrown away: unread messages would stop this server.
fn drained(channel: Channel<Msg>) -> russh::ChannelWriteHalf<Msg> {
    let (mut reading, writing) = channel.split();
    tokio::spawn(async move { while reading.wait().await.is_some() {} });
    writing
}

async fn misbehave(
    line: String,
    mut channel: Channel<Msg>,
    handle: Handle,
    seen: Arc<Mutex<Seen>>,
    cut: Arc<tokio::sync::watch::Sender<bool>>,
) {
    let id = channel.id();
    let name = line.trim_start_matches("exec ").to_owned();
    let flood = vec![b'x'; 32 << 10];
    match name.as_str() {
        // Behaves: what it is sent comes back.
        "echo" => {
            while let Some(message) = channel.wait().await {
                match message {
                    ChannelMsg::Data { data } => drop(channel.data_bytes(data).await),
                    ChannelMsg::Eof => break,
                    _ => {}
                }
            }
            let _ = channel.exit_status(0).await;
            let _ = channel.eof().await;
            let _ = channel.close().await;
        }
        "half a line" => {
            let _ = channel.data_bytes(&b"@certroll1 - stag"[..]).await;
            let _ = channel.close().await;
        }
        "no status" => {
            let _ = channel.data_bytes(&b"all done\n"[..]).await;
            let _ = channel.eof().await;
            let _ = channel.close().await;
        }
        "status and silence" => {
            let _ = channel.exit_status(0).await;
            std::future::pending::<()>().await;
        }
        "odd signal" => {
            let name = "\u{1b}[31mEVIL\nSIGNAL".repeat(100);
            let signal = russh::Sig::Custom(name);
            let _ = handle.exit_signal_request(id, signal, false, "x".into(), "".into()).await;
            let _ = channel.close().await;
        }
        "takes a little and cuts" => {
            while let Some(message) = channel.wait().await {
                if let ChannelMsg::Data { data } = message {
                    seen.lock().unwrap().taken += data.len();
                    if seen.lock().unwrap().taken > 100_000 {
                        cut.send_replace(true);
                        let _ = handle
                            .disconnect(Disconnect::ByApplication, "".into(), "".into())
                            .await;
                        return;
                    }
                }
            }
        }
        "endless output" => {
            let channel = drained(channel);
            while channel.data_bytes(flood.clone()).await.is_ok() {}
        }
        "endless stderr" => {
            let channel = drained(channel);
            while channel.extended_data_bytes(1, flood.clone()).await.is_ok() {}
        }
        "byte by byte" => {
            for byte in b"@ready\nslowly but surely" {
                let _ = channel.data_bytes(vec![*byte]).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let _ = channel.exit_status(0).await;
            let _ = channel.close().await;
        }
        "opens channels" => {
            let session = handle.channel_open_session().await.is_ok();
            let agent = handle.channel_open_agent().await.is_ok();
            let x11 = handle.channel_open_x11("127.0.0.1", 6000).await.is_ok();
            let forwarded =
                handle.channel_open_forwarded_tcpip("127.0.0.1", 22, "127.0.0.1", 1).await.is_ok();
            seen.lock().unwrap().channel_agreed = session || agent || x11 || forwarded;
            let _ = channel.data_bytes(&b"tried\n"[..]).await;
            let _ = channel.exit_status(0).await;
            let _ = channel.close().await;
        }
        // A become dialogue whose questions never end.
        _ if name.contains("sudo") => {
            let marker = line.split('\'').nth(1).unwrap_or_default().to_owned();
            let (mut answers, channel) = channel.split();
            tokio::spawn(async move {
                while let Some(message) = answers.wait().await {
                    if let ChannelMsg::Data { data } = message {
                        let text = String::from_utf8_lossy(&data).into_owned();
                        seen.lock().unwrap().passwords.push(text);
                    }
                }
            });
            if name.contains("flood") {
                while channel.data_bytes(flood.clone()).await.is_ok() {}
            }
            while channel.extended_data_bytes(1, marker.clone().into_bytes()).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        other => panic!("no such misdeed: {other}"),
    }
}
