//! A program on an SSH channel: its three pipes, its end, and the faults on the way.

use super::children::Children;
use super::fault::{Act, Fault, Output};
use super::inbox::Inbox;
use russh::server::Msg;
use russh::{Channel, ChannelMsg, ChannelWriteHalf, Sig};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{ChildStdin, Command};
use tokio_util::sync::CancellationToken;

/// What a program on a channel needs to know about its surroundings.
pub(super) struct Surroundings {
    pub(super) fault: Option<Fault>,
    /// Breaks the connection.
    pub(super) cut: CancellationToken,
    pub(super) children: Arc<Children>,
    /// For what the channel's own handle cannot say.
    pub(super) session: russh::server::Handle,
}

/// Runs a program until it has ended and its output is told, or the channel is gone. As with a real
/// sshd the end of a channel closes the pipes and kills nothing.
pub(super) async fn run(channel: Channel<Msg>, mut command: Command, around: Surroundings) {
    if matches!(around.fault, Some(Fault::NeverAnswer)) {
        let (reader, _writer) = channel.split();
        return Inbox::of(reader, around.cut).closed().cancelled().await;
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let (reader, writer) = channel.split();
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let words = format!("cannot start a shell: {error}\n");
            let _ = writer.extended_data(1, words.as_bytes()).await;
            let _ = writer.exit_status(255).await;
            let _ = writer.close().await;
            return;
        }
    };
    let group = child.id();
    group.iter().for_each(|group| around.children.started(*group));
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let inbox = Inbox::of(reader, around.cut.clone());
    let gone = inbox.closed();

    let input = tokio::spawn(feed(inbox, stdin, around.fault.clone(), around.cut.clone()));
    let fault = around.fault.clone();
    let talk = async {
        let out = tell(stdout, writer.make_writer(), fault.as_ref());
        let err = tell(stderr, writer.make_writer_ext(Some(1)), None);
        tokio::select! {
            // Both, unless one ends the conversation.
            told = async { tokio::try_join!(out, err) } => told.map(drop),
            () = gone.cancelled() => Err(Stopped::Gone),
        }
    };
    let end = async {
        let status = child.wait().await;
        group.iter().for_each(|group| around.children.ended(*group));
        status
    };
    let (told, status) = tokio::join!(
        async {
            let told = talk.await;
            match told {
                Err(Stopped::Cut) => around.cut.cancel(),
                Err(Stopped::Close) => {
                    let _ = writer.close().await;
                }
                Ok(()) | Err(Stopped::Gone) => {}
            }
            told
        },
        end
    );
    if told.is_ok() {
        report(&writer, &around.session, status.ok()).await;
        let _ = writer.eof().await;
        let _ = writer.close().await;
    }
    input.abort();
}

/// Passes bytes both ways between a channel and a connection onwards, until both ways have ended.
pub(super) async fn tunnel(channel: Channel<Msg>, mut onwards: TcpStream, cut: CancellationToken) {
    let (reader, writer) = channel.split();
    let mut inbox = Inbox::of(reader, cut);
    let closed = inbox.closed();
    let (from, mut to) = onwards.split();
    let forth = async {
        while let Some(message) = inbox.next().await {
            let passed = match message {
                ChannelMsg::Data { data } => to.write_all(&data).await,
                ChannelMsg::Eof => break,
                _ => Ok(()),
            };
            if passed.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    let back = async {
        let told = tell(Some(from), writer.make_writer(), None);
        tokio::select! {
            _ = told => {}
            () = closed.cancelled() => {}
        }
        let _ = writer.eof().await;
    };
    let both = async { tokio::join!(forth, back) };
    tokio::select! {
        _ = both => {}
        // Whoever closed the channel reads no more.
        () = closed.cancelled() => {}
    }
    let _ = writer.close().await;
}

/// Why not all output was told.
#[derive(Clone, Copy, Debug)]
enum Stopped {
    /// The channel is closed.
    Gone,
    /// By a fault: the link breaks.
    Cut,
    /// By a fault: the channel closes.
    Close,
}

/// From the channel to the program.
async fn feed(
    mut inbox: Inbox,
    mut stdin: Option<ChildStdin>,
    fault: Option<Fault>,
    cut: CancellationToken,
) {
    let mut left = match fault {
        Some(Fault::CutAfterInput(bytes)) => bytes,
        _ => u64::MAX,
    };
    while let Some(message) = inbox.next().await {
        match message {
            _ if matches!(fault, Some(Fault::IgnoreInput)) => {}
            ChannelMsg::Data { data } => {
                let taken = data.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                if let Some(pipe) = &mut stdin
                    && write(pipe, &data[..taken], fault.as_ref()).await.is_err()
                {
                    // It reads no more. What still comes is thrown away, as by a real sshd.
                    stdin = None;
                }
                left -= taken as u64;
                if left == 0 {
                    cut.cancel();
                    break;
                }
            }
            ChannelMsg::Eof => stdin = None,
            _ => {}
        }
    }
}

/// From the program to the channel.
async fn tell(
    from: Option<impl AsyncRead + Unpin>,
    mut to: impl AsyncWrite + Unpin,
    fault: Option<&Fault>,
) -> Result<(), Stopped> {
    let Some(mut from) = from else { return Ok(()) };
    let mut output = fault.filter(|fault| fault.is_about_lines()).cloned().map(Output::new);
    let mut buffer = vec![0; 32 << 10];
    loop {
        let count = from.read(&mut buffer).await.unwrap_or(0);
        let acts = match &mut output {
            None => vec![Act::Send(buffer[..count].to_vec())],
            Some(output) if count == 0 => output.end(),
            Some(output) => output.feed(&buffer[..count]),
        };
        for act in acts {
            match act {
                Act::Send(bytes) => {
                    if write(&mut to, &bytes, fault).await.is_err() {
                        return Err(Stopped::Gone);
                    }
                }
                Act::Cut => return after_a_moment(Stopped::Cut).await,
                Act::Close => return after_a_moment(Stopped::Close).await,
                Act::Silence => return std::future::pending().await,
                Act::Flood => {
                    let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
                    while to.write_all(&line).await.is_ok() {}
                    return Err(Stopped::Gone);
                }
            }
        }
        if count == 0 {
            return Ok(());
        }
    }
}

/// What was sent before reaches the other side first.
async fn after_a_moment(stopped: Stopped) -> Result<(), Stopped> {
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    Err(stopped)
}

async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    fault: Option<&Fault>,
) -> std::io::Result<()> {
    let (size, wait) = match fault {
        Some(Fault::Slow { bytes, wait }) => ((*bytes).max(1), Some(*wait)),
        _ => (usize::MAX, None),
    };
    for piece in bytes.chunks(size) {
        to.write_all(piece).await?;
        to.flush().await?;
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
        }
    }
    Ok(())
}

async fn report(
    writer: &ChannelWriteHalf<Msg>,
    session: &russh::server::Handle,
    status: Option<ExitStatus>,
) {
    let code = status.and_then(|status| status.code()).and_then(|code| u32::try_from(code).ok());
    match (code, status.and_then(|status| status.signal())) {
        (Some(code), _) => {
            let _ = writer.exit_status(code).await;
        }
        (None, Some(number)) => {
            let (id, name, text) = (writer.id(), signal(number), String::new());
            let _ = session.exit_signal_request(id, name, false, text.clone(), text).await;
        }
        (None, None) => {}
    }
}

fn signal(number: i32) -> Sig {
    match number {
        1 => Sig::HUP,
        2 => Sig::INT,
        3 => Sig::QUIT,
        6 => Sig::ABRT,
        9 => Sig::KILL,
        11 => Sig::SEGV,
        13 => Sig::PIPE,
        15 => Sig::TERM,
        other => Sig::Custom(other.to_string()),
    }
}
