//! Dialogues that break off.

use super::{EHLO, XMPP_OPEN, hostile, refusal};
use certroll::testing::model::StartTls;
use certroll::testing::verify::{Phase, Refusal};
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a good server says up to its consent; an empty line waits for the client.
const GOOD: [(StartTls, &[&[u8]]); 10] = [
    (StartTls::Smtp, &[b"220 x\r\n", EHLO, b"220 go\r\n"]),
    (StartTls::Lmtp, &[b"220 x\r\n", EHLO, b"220 go\r\n"]),
    (StartTls::Imap, &[b"* OK\r\n", b"* CAPABILITY STARTTLS\r\na1 OK\r\n", b"a2 OK go\r\n"]),
    (StartTls::Pop3, &[b"+OK\r\n", b"+OK\r\nSTLS\r\n.\r\n", b"+OK go\r\n"]),
    (StartTls::Sieve, &[b"\"STARTTLS\"\r\nOK\r\n", b"OK go\r\n"]),
    (StartTls::Ftp, &[b"220 x\r\n", b"234 go\r\n"]),
    (StartTls::Ldap, &[b"", b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"]),
    (StartTls::Postgres, &[b"", b"S"]),
    (StartTls::Mysql, &[b"\x16\0\0\0\x0a8.0\0\x01\0\0\0saltsalt\0\xff\xff\x2d\x02"]),
    (StartTls::Xmpp, &[b"", XMPP_OPEN, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"]),
];

/// Says `lines` in turn, all but the first after having heard something, and ends with `after`.
async fn told_so_far<F, R>(lines: Vec<Vec<u8>>, after: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = io::Result<()>> + Send + 'static,
{
    hostile(move |mut stream| {
        let (lines, after) = (lines.clone(), after.clone());
        async move {
            let mut heard = [0; 4096];
            for (n, line) in lines.iter().enumerate() {
                if n > 0 && stream.read(&mut heard).await? == 0 {
                    return Ok(());
                }
                stream.write_all(line).await?;
            }
            after(stream).await
        }
    })
    .await
}

/// Every dialogue cut after every byte: by a close, and by bytes without end.
#[tokio::test]
async fn a_dialogue_that_breaks_off_anywhere_is_told_as_such() {
    let close = |stream: TcpStream| async move {
        // Politely, so that what was said arrives.
        let (mut reader, mut writer) = stream.into_split();
        writer.shutdown().await?;
        let mut sink = [0; 4096];
        while reader.read(&mut sink).await? > 0 {}
        Ok(())
    };
    let flood = |mut stream: TcpStream| async move {
        let piece = [b'7'; 4096];
        loop {
            stream.write_all(&piece).await?;
        }
    };
    for (protocol, lines) in GOOD {
        let whole: usize = lines.iter().map(|line| line.len()).sum();
        for cut in 0..=whole {
            let mut left = cut;
            let mut said: Vec<Vec<u8>> = Vec::new();
            for line in lines {
                said.push(line[..left.min(line.len())].to_vec());
                left = left.saturating_sub(line.len());
                if left == 0 {
                    break;
                }
            }
            let case = format!("{} after {cut} of {whole} bytes", protocol.name());
            let closed = refusal(told_so_far(said.clone(), close).await, protocol).await;
            let told = matches!(
                closed,
                Refusal::Closed { .. } | Refusal::Unexpected { .. } | Refusal::NotOffered { .. }
            );
            assert!(told && !closed.advice().is_empty(), "{case}: {closed:?}");
            if cut == whole {
                assert_eq!(closed, Refusal::Closed { phase: Phase::Tls }, "{case}");
            }
            // Not at every byte: the endings alone differ.
            if cut == whole || said.last().is_some_and(Vec::is_empty) {
                let flooded = refusal(told_so_far(said, flood).await, protocol).await;
                assert!(!matches!(flooded, Refusal::Timeout { .. }), "{case}: {flooded:?}");
                assert!(flooded.describe().len() < 600, "{case}: {flooded:?}");
                if cut == whole {
                    assert!(matches!(flooded, Refusal::Injected { .. }), "{case}: {flooded:?}");
                }
            }
        }
    }
}
