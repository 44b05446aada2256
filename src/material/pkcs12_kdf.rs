//! Keys of a password as PKCS#12 derives them (RFC 7292 appendix B).

use aws_lc_rs::digest::{Algorithm, digest};
use zeroize::Zeroizing;

/// More rounds than any tool writes, and fewer than would look like a hang.
pub(super) const MOST_ROUNDS: u32 = 10_000_000;

/// What the derived bytes are for (appendix B.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

/// `length` bytes for that purpose, after `rounds` of the digest.
pub(super) fn derive(
    algorithm: &'static Algorithm,
    password: &str,
    salt: &[u8],
    rounds: u32,
    purpose: Purpose,
    length: usize,
) -> Zeroizing<Vec<u8>> {
    let block = algorithm.block_len();
    // UTF-16 with the zero behind it (appendix B.1).
    let units = password.encode_utf16().chain([0]).flat_map(u16::to_be_bytes);
    let password = Zeroizing::new(units.collect::<Vec<u8>>());
    let filled = |bytes: &[u8]| {
        let length = bytes.len().div_ceil(block) * block;
        bytes.iter().copied().cycle().take(length).collect::<Vec<u8>>()
    };
    let mut input = Zeroizing::new(filled(salt));
    input.extend(Zeroizing::new(filled(&password)).iter());
    let mut derived = Zeroizing::new(Vec::with_capacity(length + algorithm.output_len()));
    while derived.len() < length {
        let first = Zeroizing::new([&vec![purpose as u8; block], input.as_slice()].concat());
        let mut round = digest(algorithm, &first);
        for _ in 1..rounds {
            round = digest(algorithm, round.as_ref());
        }
        derived.extend_from_slice(round.as_ref());
        let addend = filled(round.as_ref());
        input.chunks_exact_mut(block).for_each(|part| add_one_and(&addend, part));
    }
    derived.truncate(length);
    derived
}

/// `block + addend + 1`, as numbers with the highest byte first; what does not fit is dropped.
fn add_one_and(addend: &[u8], block: &mut [u8]) {
    let mut carry = 1;
    for (byte, other) in block.iter_mut().zip(addend).rev() {
        let [low, high] = (u16::from(*byte) + u16::from(*other) + carry).to_le_bytes();
        *byte = low;
        carry = u16::from(high);
    }
}
