//! `random`: numbers below a limit, and items. With a seed they are Python's own, as Ansible gives them.
//!
//! Source: CPython's `random.py` and `_randommodule.c` (MT19937, `init_by_array`, `_randbelow_with_getrandbits`).

use super::convert::{from_json, json};
use super::filters::bad;
use aws_lc_rs::digest::{SHA512, digest};
use minijinja::Error;
use minijinja::value::{Kwargs, Rest, Value};
use serde_json::Value as Json;

const SIZE: usize = 624;
const AHEAD: usize = 397;

/// A Mersenne Twister.
struct Python {
    state: Vec<u32>,
    next: usize,
}

impl Python {
    /// As `random.Random(seed)`, of a number or a text.
    fn new(seed: &Json) -> Option<Self> {
        let words: Vec<u32> = match seed {
            Json::Bool(flag) => vec![u32::from(*flag)],
            Json::Number(number) => {
                let number = number.as_i64()?.unsigned_abs();
                let (low, high) = (number as u32, (number >> 32) as u32);
                if high == 0 { vec![low] } else { vec![low, high] }
            }
            Json::String(text) => {
                // One great number, the text's bytes and then their digest; its last word comes first.
                let mut bytes = text.as_bytes().to_vec();
                bytes.extend_from_slice(digest(&SHA512, text.as_bytes()).as_ref());
                let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
                let word = |chunk: &[u8]| {
                    chunk.iter().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte))
                };
                bytes[start..].rchunks(4).map(word).collect()
            }
            _ => return None,
        };
        let mut this = Self { state: vec![0; SIZE], next: SIZE };
        this.begin(19_650_218);
        this.mix(&words);
        Some(this)
    }

    fn begin(&mut self, seed: u32) {
        self.state[0] = seed;
        for at in 1..SIZE {
            let before = self.state[at - 1];
            let mixed = 1_812_433_253_u32.wrapping_mul(before ^ (before >> 30));
            self.state[at] = mixed.wrapping_add(at as u32);
        }
    }

    fn mix(&mut self, words: &[u32]) {
        let (mut at, mut word) = (1, 0);
        let wrap = |state: &mut Vec<u32>, at: &mut usize| {
            *at += 1;
            if *at >= SIZE {
                state[0] = state[SIZE - 1];
                *at = 1;
            }
        };
        for _ in 0..SIZE.max(words.len()) {
            let before = self.state[at - 1];
            let mixed = self.state[at] ^ (before ^ (before >> 30)).wrapping_mul(1_664_525);
            self.state[at] = mixed.wrapping_add(words[word]).wrapping_add(word as u32);
            wrap(&mut self.state, &mut at);
            word = (word + 1) % words.len();
        }
        for _ in 0..SIZE - 1 {
            let before = self.state[at - 1];
            let mixed = self.state[at] ^ (before ^ (before >> 30)).wrapping_mul(1_566_083_941);
            self.state[at] = mixed.wrapping_sub(at as u32);
            wrap(&mut self.state, &mut at);
        }
        self.state[0] = 0x8000_0000;
    }

    fn word(&mut self) -> u32 {
        if self.next >= SIZE {
            for at in 0..SIZE {
                let (high, low) = (self.state[at], self.state[(at + 1) % SIZE]);
                let joined = (high & 0x8000_0000) | (low & 0x7fff_ffff);
                let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[at] = self.state[(at + AHEAD) % SIZE] ^ (joined >> 1) ^ odd;
            }
            self.next = 0;
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn bits(&mut self, count: u32) -> u64 {
        match count {
            0..=32 => u64::from(self.word()).checked_shr(32 - count).unwrap_or(0),
            _ => {
                let low = u64::from(self.word());
                low | (u64::from(self.word() >> (64 - count)) << 32)
            }
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        let count = u64::BITS - limit.leading_zeros();
        loop {
            let drawn = self.bits(count);
            if drawn < limit {
                return drawn;
            }
        }
    }
}

/// A number below the given one, or an item.
pub(super) fn random(end: &Value, given: Rest<Value>, options: Kwargs) -> Result<Value, Error> {
    let number = |at: usize, name: &str| match options.get::<Option<i64>>(name)? {
        Some(number) => Ok::<_, Error>(Some(number)),
        None => Ok(given.get(at).and_then(Value::as_i64)),
    };
    let start = number(0, "start")?.filter(|start| *start != 0);
    let step = number(1, "step")?.filter(|step| *step != 0);
    let seed = options.get::<Option<Value>>("seed")?.or_else(|| given.get(2).cloned());
    options.assert_all_used()?;
    let mut python = match seed.filter(|seed| !seed.is_none()) {
        None => None,
        Some(seed) => {
            let seed = Python::new(&json(&seed)?);
            Some(seed.ok_or_else(|| bad("random: the seed is a whole number or a text"))?)
        }
    };
    let mut below = |limit: u64| match &mut python {
        Some(python) => python.below(limit),
        None => rand::random_range(0..limit),
    };
    let mut chosen = |items: Vec<Json>| match items.len() {
        0 => Err(bad("random: the list is empty")),
        _ if start.is_some() || step.is_some() => {
            Err(bad("random: start and step are for numbers"))
        }
        count => Ok(from_json(&items[below(count as u64) as usize])),
    };
    match json(end)? {
        Json::Array(items) => chosen(items),
        Json::String(text) => chosen(text.chars().map(|c| Json::from(c.to_string())).collect()),
        Json::Number(number) => {
            let end = number.as_i64().ok_or_else(|| bad("random takes a whole number"))?;
            let (start, step) = (start.unwrap_or(0), step.unwrap_or(1));
            let width = end.checked_sub(start).filter(|width| *width > 0 && step > 0);
            let width = width.ok_or_else(|| bad("random: the range is empty"))?;
            let drawn = below((width as u64).div_ceil(step as u64));
            Ok(Value::from(start + step * drawn as i64))
        }
        _ => Err(bad("random takes a number, a list or a text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// `random.Random(seed)`, then twice `getrandbits(32)`, `getrandbits(40)` and `randrange(60)`.
    #[test]
    fn a_seed_gives_pythons_own_numbers() {
        for (seed, wanted) in [
            (json!("edge1"), SEEDED[0]),
            (json!(""), SEEDED[1]),
            (json!(0), SEEDED[2]),
            (json!(-12_345_678_901_i64), SEEDED[3]),
        ] {
            let mut python = Python::new(&seed).unwrap();
            let drawn = [python.bits(32), python.bits(32), python.bits(40), python.below(60)];
            assert_eq!(drawn, wanted, "{seed}");
        }
        assert!(Python::new(&json!(1.5)).is_none());
    }
    const SEEDED: [[u64; 4]; 4] = [
        [4250413887, 892499315, 417309090539, 15],
        [4124137760, 1951988028, 225895574272, 24],
        [3626764237, 1654615998, 978212965548, 26],
        [4063089813, 2562312935, 954891488787, 24],
    ];
}
