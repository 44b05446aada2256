//! `password_hash`: what `/etc/shadow` holds, by SHA-512 or SHA-256.
//!
//! Source: Ulrich Drepper, "Unix crypt using SHA-256 and SHA-512"; the defaults are those of Ansible and passlib.

use super::filters::bad;
use aws_lc_rs::digest::{Algorithm, Context, SHA256, SHA512};
use minijinja::Error;
use minijinja::value::{Kwargs, Rest, Value};
use rand::Rng;
use zeroize::Zeroizing;

const LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// What a hash without `rounds=` means.
const UNSAID: u64 = 5000;
const LONGEST_SALT: usize = 16;

pub(super) fn password_hash(
    password: String,
    given: Rest<Value>,
    options: Kwargs,
) -> Result<String, Error> {
    let password = Zeroizing::new(password);
    let option = |at: usize, name: &str| -> Result<Option<Value>, Error> {
        let named = options.get::<Option<Value>>(name)?;
        Ok(named.or_else(|| given.get(at).cloned()).filter(Value::is_true))
    };
    let kind = option(0, "hashtype")?.map_or("sha512".to_owned(), |kind| kind.to_string());
    let salt = option(1, "salt")?.map(|salt| salt.to_string());
    let size = option(2, "salt_size")?.and_then(|size| size.as_usize());
    let rounds = option(3, "rounds")?;
    option(4, "ident")?;
    options.assert_all_used()?;
    let (mark, algorithm, usual) = match kind.as_str() {
        "sha512" | "sha512_crypt" => (6, &SHA512, 656_000),
        "sha256" | "sha256_crypt" => (5, &SHA256, 535_000),
        other => {
            return Err(bad(format!(
                "password_hash knows sha512 and sha256, not {other}: give the hash itself, as `mkpasswd` makes it"
            )));
        }
    };
    let rounds = match &rounds {
        None => usual,
        Some(rounds) => {
            let number = rounds.as_i64().or_else(|| rounds.as_str()?.trim().parse().ok());
            let number = number.and_then(|number| u64::try_from(number).ok());
            let fits = number.filter(|number| (1000..=999_999_999).contains(number));
            fits.ok_or_else(|| bad("password_hash: rounds are a number from 1000 to 999999999"))?
        }
    };
    let salt = match salt {
        Some(salt) => salt,
        None => random_salt(size.unwrap_or(LONGEST_SALT).min(LONGEST_SALT)),
    };
    if salt.is_empty() || !salt.bytes().all(|byte| LETTERS.contains(&byte)) {
        return Err(bad("password_hash: a salt has letters, digits, '.' and '/' only"));
    }
    if salt.len() > LONGEST_SALT {
        return Err(bad("password_hash: a salt has at most 16 characters"));
    }
    let digest = crypt(algorithm, password.as_bytes(), salt.as_bytes(), rounds);
    let said = if rounds == UNSAID { String::new() } else { format!("rounds={rounds}$") };
    Ok(format!("${mark}${said}{salt}${}", written(&digest)))
}

fn random_salt(size: usize) -> String {
    let mut rng = rand::rng();
    (0..size.max(1)).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())])).collect()
}

/// The steps have the numbers of the specification.
fn crypt(algorithm: &'static Algorithm, password: &[u8], salt: &[u8], rounds: u64) -> Vec<u8> {
    let of = |parts: &[&[u8]]| {
        let mut context = Context::new(algorithm);
        parts.iter().for_each(|part| context.update(part));
        Zeroizing::new(context.finish().as_ref().to_vec())
    };
    let repeated = |text: &[u8], length: usize| -> Zeroizing<Vec<u8>> {
        Zeroizing::new(text.iter().copied().cycle().take(length).collect())
    };
    // 4 to 12.
    let other = of(&[password, salt, password]);
    let mut context = Context::new(algorithm);
    context.update(password);
    context.update(salt);
    context.update(&repeated(&other, password.len()));
    let mut bits = password.len();
    while bits > 0 {
        context.update(if bits & 1 == 1 { &other } else { password });
        bits >>= 1;
    }
    let mut digest = Zeroizing::new(context.finish().as_ref().to_vec());
    // 13 to 20.
    let many: Vec<&[u8]> = vec![password; password.len()];
    let p = repeated(&of(&many), password.len());
    let many: Vec<&[u8]> = vec![salt; 16 + usize::from(digest[0])];
    let s = repeated(&of(&many), salt.len());
    // 21.
    for round in 0..rounds {
        let odd = round % 2 == 1;
        let mut context = Context::new(algorithm);
        context.update(if odd { &p } else { &digest });
        if round % 3 != 0 {
            context.update(&s);
        }
        if round % 7 != 0 {
            context.update(&p);
        }
        context.update(if odd { &digest } else { &p });
        digest.copy_from_slice(context.finish().as_ref());
    }
    digest.to_vec()
}

/// Six bits a letter, from three bytes each, which are picked in an order of its own.
fn written(digest: &[u8]) -> String {
    let mut text = String::new();
    let mut add = |bytes: [u8; 3], count: usize| {
        let word = bytes.iter().fold(0_usize, |word, byte| (word << 8) | usize::from(*byte));
        text.extend((0..count).map(|at| char::from(LETTERS[(word >> (6 * at)) & 63])));
    };
    let third = digest.len() / 3;
    let mut at = [0, third, 2 * third];
    for _ in 0..third {
        add(at.map(|at| digest[at]), 4);
        let [a, b, c] = at.map(|at| at + 1);
        at = if digest.len() == 64 { [b, c, a] } else { [c, a, b] };
    }
    match digest.len() {
        64 => add([0, 0, digest[63]], 2),
        _ => add([0, digest[31], digest[30]], 3),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's own examples, and others, as glibc's `crypt` gives them.
    #[test]
    fn hashes_are_those_of_crypt() {
        for (algorithm, password, salt, rounds, wanted) in [
            (
                &SHA512,
                "Hello world!",
                "saltstring",
                5000,
                "svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
            ),
            (
                &SHA512,
                "Hello world!",
                "saltstringsaltst",
                10_000,
                "OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
            ),
            (
                &SHA512,
                "secret",
                "saltsalt",
                5000,
                "TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1",
            ),
            (
                &SHA256,
                "Hello world!",
                "saltstring",
                5000,
                "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
            ),
            (&SHA256, "secret", "saltsalt", 5000, "0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA"),
        ] {
            let digest = crypt(algorithm, password.as_bytes(), salt.as_bytes(), rounds);
            assert_eq!(written(&digest), wanted, "{password} {salt}");
        }
        assert_eq!(random_salt(LONGEST_SALT).len(), LONGEST_SALT);
    }
}
