//! What a server speaks that turned down every offer which could be verified.
//!
//! A hello that names everything, also what nobody here can speak, is answered by a server that is well and old or
//! odd, and is turned down by one that has no usable certificate. Only the first bytes of the answer are read: they
//! prove nothing about a certificate, but they tell the two apart.

use crate::verify::dial::Dial;
use crate::verify::probe::{Phase, Probe};
use crate::verify::starttls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// RSA key exchange, DHE and ECDHE with everything, TLS 1.3 with CCM too (IANA, TLS cipher suites).
const SUITES: [u16; 40] = [
    0x1301, 0x1302, 0x1303, 0x1304, 0x1305, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc0ac,
    0xc0ad, 0xc023, 0xc027, 0xc024, 0xc028, 0xc009, 0xc013, 0xc00a, 0xc014, 0xc008, 0xc012, 0x009e,
    0x009f, 0xccaa, 0x0067, 0x006b, 0x0033, 0x0039, 0x0016, 0x009c, 0x009d, 0x003c, 0x003d, 0x002f,
    0x0035, 0x000a, 0x0005, 0x0004,
];
/// X25519, P-256, P-384, P-521, X448, ffdhe2048 to 8192, the Brainpool curves, secp256k1.
const GROUPS: [u16; 14] = [
    0x001d, 0x0017, 0x0018, 0x0019, 0x001e, 0x0100, 0x0101, 0x0102, 0x0103, 0x0104, 0x001a, 0x001b,
    0x001c, 0x0016,
];
/// Groups that a handshake here can be completed with.
const OURS: [u16; 4] = [0x001d, 0x0017, 0x0018, 0x0019];
/// ECDSA, Ed25519, Ed448, RSA-PSS, PKCS#1, Brainpool; with SHA-1 and SHA-224 too.
const SIGNATURES: [u16; 22] = [
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401,
    0x0501, 0x0601, 0x081a, 0x081b, 0x081c, 0x0301, 0x0303, 0x0201, 0x0203, 0x0202,
];
/// The random of a ServerHello that asks for another hello (RFC 8446 §4.1.3).
const AGAIN: [u8; 8] = [0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11];
/// A ServerHello is shorter than this.
const MOST: usize = 1024;

/// In what way a server that shared nothing with any usual offer does speak TLS; `None`: it turns this down too, or
/// answers nothing that can be understood.
pub(super) async fn speaks(probe: &Probe, dial: &dyn Dial) -> Option<String> {
    timeout(probe.timeout, answer(probe, dial)).await.ok().flatten()
}

async fn answer(probe: &Probe, dial: &dyn Dial) -> Option<String> {
    let host = match probe.address {
        Some(address) => address.ip().to_string(),
        None => probe.endpoint.host.clone(),
    };
    let port = probe.address.map_or(probe.endpoint.port, |address| address.port());
    let mut stream = dial.dial(&host, port).await.ok()?;
    let mut phase = Phase::Connect;
    starttls::upgrade(&mut *stream, probe, &mut phase).await.ok()?;
    stream.write_all(&hello(probe)).await.ok()?;
    stream.flush().await.ok()?;
    let mut heard = Vec::new();
    loop {
        let mut more = [0; MOST];
        match stream.read(&mut more).await {
            Ok(count) if count > 0 => heard.extend_from_slice(&more[..count]),
            _ => return None,
        }
        if let Some(told) = server_hello(&heard) {
            return told;
        }
        if heard.len() >= MOST {
            return None;
        }
    }
}

/// `None`: more is needed. What a ServerHello (RFC 8446 §4.1.3) says; nothing for any other answer.
fn server_hello(heard: &[u8]) -> Option<Option<String>> {
    // A handshake record, and in it a ServerHello, behind which others may follow.
    if *heard.get(..5)?.first()? != 22 {
        return Some(None);
    }
    let [2, a, b, c] = *heard.get(5..)?.first_chunk::<4>()? else { return Some(None) };
    let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
    let hello = heard.get(9..)?.get(..length)?;
    Some(read_hello(hello))
}

fn read_hello(hello: &[u8]) -> Option<String> {
    let (version, rest) = hello.split_at_checked(2)?;
    let (random, rest) = rest.split_at_checked(32)?;
    let session = usize::from(*rest.first()?);
    let rest = rest.get(1 + session..)?;
    let suite = u16::from_be_bytes(rest.get(..2)?.try_into().ok()?);
    let extensions = rest.get(5..).unwrap_or_default();
    let is_13 = extension(extensions, 43).is_some();
    let group = extension(extensions, 51).and_then(|share| share.first_chunk::<2>());
    let group = group.map(|group| u16::from_be_bytes(*group));
    if !is_13 {
        let name = match version {
            [3, 0] => "SSL 3.0",
            [3, 1] => "TLS 1.0",
            [3, 2] => "TLS 1.1",
            _ => "TLS 1.2",
        };
        let how = if name == "TLS 1.2" { suite_words(suite) } else { String::new() };
        return Some(format!("{name}{how}"));
    }
    match (group, suite) {
        (Some(group), _) if !OURS.contains(&group) => {
            Some(format!("TLS 1.3 with the group {}", group_name(group)))
        }
        // It only asks for another share of a group that is spoken here: then something else is wrong with it.
        _ if random.starts_with(&AGAIN) => None,
        (_, 0x1304 | 0x1305) => Some("TLS 1.3 with AES-CCM".to_owned()),
        _ => Some("TLS 1.3 with signature algorithms that are not known here".to_owned()),
    }
}

/// An extension's content.
fn extension(mut list: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (head, rest) = list.split_first_chunk::<4>()?;
        let kind = u16::from_be_bytes([head[0], head[1]]);
        let (content, rest) =
            rest.split_at_checked(u16::from_be_bytes([head[2], head[3]]).into())?;
        if kind == wanted {
            return Some(content);
        }
        list = rest;
    }
}

fn suite_words(suite: u16) -> String {
    match suite {
        0x009c | 0x009d | 0x003c | 0x003d | 0x002f | 0x0035 | 0x000a | 0x0005 | 0x0004 => {
            " with RSA key exchange".to_owned()
        }
        0xc008 | 0xc012 | 0x0016 => " with 3DES".to_owned(),
        _ => " with signature algorithms or groups that are not known here".to_owned(),
    }
}

fn group_name(group: u16) -> String {
    match group {
        0x001e => "X448".to_owned(),
        0x0100..=0x0104 => {
            format!("ffdhe{}", [2048, 3072, 4096, 6144, 8192][usize::from(group - 0x0100)])
        }
        other => format!("{other:#06x}"),
    }
}

/// A ClientHello (RFC 8446 §4.1.2) that names all of the above, in a record of its own. Its one key share is for
/// X25519; nobody goes on from there, so any number will do.
fn hello(probe: &Probe) -> Vec<u8> {
    let mut extensions = Vec::new();
    let name = probe.name().trim_end_matches('.');
    if name.parse::<std::net::IpAddr>().is_err() && name.len() < 256 {
        let entry = [&[0][..], &sized(name.as_bytes())].concat();
        put(&mut extensions, 0, &sized(&entry));
    }
    put(&mut extensions, 10, &sized(&words(&GROUPS)));
    put(&mut extensions, 11, &[1, 0]);
    put(&mut extensions, 13, &sized(&words(&SIGNATURES)));
    put(&mut extensions, 43, &[8, 3, 4, 3, 3, 3, 2, 3, 1]);
    let share = [&[0x00, 0x1d][..], &sized(&rand::random::<[u8; 32]>())].concat();
    put(&mut extensions, 51, &sized(&share));
    let mut hello = vec![3, 3];
    hello.extend(rand::random::<[u8; 32]>());
    hello.push(0);
    hello.extend(sized(&words(&SUITES)));
    hello.extend([1, 0]);
    hello.extend(sized(&extensions));
    // Bounded by the lists above.
    let length = u32::try_from(hello.len()).unwrap_or_default().to_be_bytes();
    let message = [&[1][..], &length[1..], &hello].concat();
    [&[22, 3, 1][..], &sized(&message)].concat()
}

fn put(list: &mut Vec<u8>, kind: u16, content: &[u8]) {
    list.extend(kind.to_be_bytes());
    list.extend(sized(content));
}

/// With its length in two bytes before it.
fn sized(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or_default();
    [&length.to_be_bytes()[..], content].concat()
}

fn words(list: &[u16]) -> Vec<u8> {
    list.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(version: [u8; 2], suite: u16, extensions: &[u8]) -> Option<Option<String>> {
        let mut hello = version.to_vec();
        hello.extend([7; 32]);
        hello.push(0);
        hello.extend(suite.to_be_bytes());
        hello.push(0);
        hello.extend(sized(extensions));
        let message = [&[2, 0, 0, u8::try_from(hello.len()).unwrap()][..], &hello].concat();
        server_hello(&[&[22, 3, 3][..], &sized(&message)].concat())
    }

    #[test]
    fn a_server_hello_tells_what_is_spoken() {
        let told = |version, suite| answered(version, suite, &[]).unwrap().unwrap();
        assert_eq!(told([3, 1], 0x002f), "TLS 1.0");
        assert_eq!(told([3, 3], 0x009c), "TLS 1.2 with RSA key exchange");
        let version = [0, 43, 0, 2, 3, 4];
        let share = [&version[..], &[0, 51, 0, 2, 0, 0x1e]].concat();
        let told = answered([3, 3], 0x1301, &share).unwrap().unwrap();
        assert_eq!(told, "TLS 1.3 with the group X448");
        assert_eq!(answered([3, 3], 0x1304, &version).unwrap().unwrap(), "TLS 1.3 with AES-CCM");
    }

    #[test]
    fn other_answers_tell_nothing() {
        let again = |group: u8| {
            let extensions = [0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0, group];
            let mut hello = vec![3, 3];
            hello.extend(AGAIN);
            hello.extend([0; 24]);
            hello.extend([0, 0x13, 0x01, 0]);
            hello.extend(sized(&extensions));
            read_hello(&hello)
        };
        assert_eq!(again(0x17), None, "a share for P-256, which is spoken here");
        assert_eq!(again(0x1e).as_deref(), Some("TLS 1.3 with the group X448"));
        // An alert; a hello that is not there yet; nonsense.
        assert_eq!(server_hello(&[21, 3, 3, 0, 2, 2, 40]), Some(None));
        assert_eq!(server_hello(&[22, 3, 3, 1, 0, 2]), None);
        assert_eq!(server_hello(&[22, 3, 3, 0, 4, 2, 0, 0, 0]), Some(None));
    }
}
