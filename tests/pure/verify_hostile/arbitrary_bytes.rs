//! Servers that say anything at all.

use super::{MYSQL_GREETING, XMPP_OPEN};
use certroll::testing::model::StartTls;
use certroll::testing::verify::{Dial, Probe, Stream, handshake};
use futures::future::BoxFuture;
use proptest::prelude::*;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PROTOCOLS: usize = StartTls::NAMES.len();

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// Whatever a server says, in whatever pieces: an answer comes, and it is printable.
    #[test]
    fn never_panic_or_hang(
        protocol in 0..PROTOCOLS,
        prefix in 0..PREFIXES.len(),
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..6),
    ) {
        let (name, starttls) = StartTls::NAMES[protocol];
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let pieces = [vec![PREFIXES[prefix].to_vec()], pieces].concat();
        let refusal = runtime.block_on(async {
            let dial = Pieces(pieces);
            let mut probe = Probe::new("www.example.org:443".parse().unwrap());
            probe.starttls = starttls;
            tokio::time::timeout(Duration::from_secs(60), handshake(&probe, &dial)).await
        });
        let refusal = refusal.expect("an answer in time").expect_err("random bytes are no TLS");
        let words = refusal.describe();
        prop_assert!(!words.chars().any(char::is_control), "{name}: {words:?}");
        prop_assert!(words.chars().count() < 600, "{name}: {words:?}");
    }
}

/// Openings that lead deeper into each dialogue.
const PREFIXES: [&[u8]; 9] = [
    b"",
    b"220 x\r\n250-x\r\n250 STARTTLS\r\n",
    b"* OK\r\n* CAPABILITY STARTTLS\r\na1 OK\r\n",
    b"+OK\r\n+OK\r\nSTLS\r\n.\r\n",
    b"\"STARTTLS\"\r\n",
    b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01",
    MYSQL_GREETING,
    XMPP_OPEN,
    b"\x16\x03\x03\x00\x30\x02",
];

/// Sends the pieces one by one, then stays silent.
struct Pieces(Vec<Vec<u8>>);

impl Dial for Pieces {
    fn dial(&self, _: &str, _: u16) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        let pieces = self.0.clone();
        Box::pin(async move {
            let (ours, mut theirs) = tokio::io::duplex(1 << 20);
            tokio::spawn(async move {
                for piece in pieces {
                    theirs.write_all(&piece).await?;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                theirs.read_to_end(&mut Vec::new()).await
            });
            Ok(Box::new(ours) as Box<dyn Stream>)
        })
    }
}
