//! `lookup('sequence', …)`: numbers as texts, in a shortcut (`2-10/2:host%02d`) or with names
//! (`start=2 end=10 stride=2 format=host%02d`).
//!
//! Source: Ansible, `plugins/lookup/sequence.py`.

/// More items than any play has use for.
const MOST: usize = 100_000;

/// What a term and the options of the call say.
#[derive(Clone, Debug, Default)]
pub(super) struct Sequence {
    start: Option<i64>,
    end: Option<i64>,
    count: Option<i64>,
    stride: Option<i64>,
    format: Option<String>,
}

impl Sequence {
    /// Sets `start`, `end`, `count`, `stride` or `format`.
    ///
    /// # Errors
    /// Another name; what should be a number.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let number = |value: &str| {
            number(value).ok_or_else(|| format!("sequence: {name}={value} is not a number"))
        };
        match name {
            "start" => self.start = Some(number(value)?),
            "end" => self.end = Some(number(value)?),
            "count" => self.count = Some(number(value)?),
            "stride" => self.stride = Some(number(value)?),
            "format" => self.format = Some(value.to_owned()),
            _ => {
                return Err(format!(
                    "sequence takes start, end, count, stride and format, not '{name}'"
                ));
            }
        }
        Ok(())
    }

    /// With what a term says.
    ///
    /// # Errors
    /// It is neither the shortcut nor `name=value` words.
    pub(super) fn with(mut self, term: &str) -> Result<Self, String> {
        if let Some(parts) = shortcut(term) {
            for (name, value) in parts {
                self.set(name, &value)?;
            }
            return Ok(self);
        }
        let words = shlex::split(term).ok_or("sequence: a quote is not closed")?;
        for word in words {
            let (name, value) = word
                .split_once('=')
                .ok_or_else(|| format!("sequence: '{word}' is not of the form name=value"))?;
            self.set(name, value)?;
        }
        Ok(self)
    }

    /// Its items.
    ///
    /// # Errors
    /// Neither `end` nor `count`, or both; a stride of the wrong sign; a wrong format; too many items.
    pub(super) fn items(&self) -> Result<Vec<String>, String> {
        let start = self.start.unwrap_or(1);
        let stride = self.stride.unwrap_or(1);
        let end = match (self.count, self.end) {
            (None, None) => return Err("sequence: `count` or `end` must be given".to_owned()),
            (Some(_), Some(_)) => {
                return Err("sequence takes `count` or `end`, not both".to_owned());
            }
            (Some(0), None) => return Ok(Vec::new()),
            (Some(count), None) => {
                let length = count.checked_mul(stride);
                let end = length.and_then(|length| start.checked_add(length)?.checked_sub(1));
                end.ok_or("sequence: the numbers are too large")?
            }
            (None, Some(end)) => end,
        };
        match stride {
            0 => return Ok(Vec::new()),
            1.. if end < start => {
                return Err("sequence: to count backwards make the stride negative".to_owned());
            }
            ..0 if end > start => {
                return Err("sequence: to count forwards make the stride positive".to_owned());
            }
            _ => {}
        }
        let format = self.format.as_deref().unwrap_or("%d");
        let mut items = Vec::new();
        let mut number = start;
        while (stride > 0 && number <= end) || (stride < 0 && number >= end) {
            if items.len() == MOST {
                return Err(format!("sequence: more than {MOST} items"));
            }
            items.push(printed(format, number)?);
            let Some(next) = number.checked_add(stride) else { break };
            number = next;
        }
        Ok(items)
    }
}

/// `[START-]END[/STRIDE][:FORMAT]`.
fn shortcut(term: &str) -> Option<Vec<(&'static str, String)>> {
    let (numbers, format) = match term.split_once(':') {
        Some((numbers, format)) if !format.is_empty() => (numbers, Some(format)),
        Some(_) => return None,
        None => (term, None),
    };
    let (range, stride) = match numbers.split_once('/') {
        Some((range, stride)) => (range, Some(stride)),
        None => (numbers, None),
    };
    let (start, end) = match range.split_once('-') {
        Some((start, end)) => (Some(start), end),
        None => (None, range),
    };
    let parts = [("start", start), ("end", Some(end)), ("stride", stride), ("format", format)];
    let parts: Vec<_> =
        parts.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned()))).collect();
    let numeric = |(name, value): &(&str, String)| *name == "format" || number(value).is_some();
    (!end.is_empty() && parts.iter().all(numeric)).then_some(parts)
}

/// Ansible's documentation has hexadecimal numbers too; Ansible itself (2.21) refuses them.
fn number(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

/// One whole number by a format of `printf` with a single `%`.
fn printed(format: &str, number: i64) -> Result<String, String> {
    let wrong = || format!("sequence: '{format}' is not a format for one number, as host%02d is");
    let (before, rest) = format.split_once('%').ok_or_else(wrong)?;
    if rest.contains('%') {
        return Err(wrong());
    }
    let kind = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?;
    let (flags, rest) = rest.split_at(kind);
    let after = &rest[1..];
    let left = flags.contains('-');
    let zeros = flags.trim_start_matches('-').starts_with('0') && !left;
    let width = flags.trim_start_matches(['-', '0']);
    let width: usize = if width.is_empty() { 0 } else { width.parse().map_err(|_| wrong())? };
    if width > 1000 {
        return Err(wrong());
    }
    let digits = number.unsigned_abs();
    let digits = match &rest[..1] {
        "d" | "i" | "u" | "s" => digits.to_string(),
        "x" => format!("{digits:x}"),
        "X" => format!("{digits:X}"),
        "o" => format!("{digits:o}"),
        _ => return Err(wrong()),
    };
    let sign = if number < 0 { "-" } else { "" };
    let filled = match (left, zeros && &rest[..1] != "s") {
        (true, _) => format!("{:<width$}", format!("{sign}{digits}")),
        (false, true) => {
            format!("{sign}{digits:0>width$}", width = width.saturating_sub(sign.len()))
        }
        (false, false) => format!("{:>width$}", format!("{sign}{digits}")),
    };
    Ok(format!("{before}{filled}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(term: &str) -> Result<Vec<String>, String> {
        Sequence::default().with(term)?.items()
    }

    #[test]
    fn both_forms() {
        for (term, expected) in [
            ("3", "1 2 3"),
            ("5-8", "5 6 7 8"),
            ("2-10/4", "2 6 10"),
            ("2:host%02d", "host01 host02"),
            ("start=3840 count=2 format=%04x", "0f00 0f01"),
            ("start=10 end=6 stride=-2", "10 8 6"),
            ("count=3 start=1 stride=2", "1 3 5"),
            ("count=0", ""),
            ("end=2 format='a b%3d.'", "a b  1. a b  2."),
        ] {
            assert_eq!(items(term).map(|items| items.join(" ")), Ok(expected.to_owned()), "{term}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (term, words) in [
            ("start=1", "`count` or `end`"),
            ("count=1 end=2", "not both"),
            ("start=5 end=1", "backwards"),
            ("end=5 stride=-1", "forwards"),
            ("end=5 format=%d%d", "not a format"),
            ("end=5 format=none", "not a format"),
            ("end=5 size=2", "not 'size'"),
            ("end=five", "not a number"),
            ("one", "name=value"),
            ("end=9999999999", "more than"),
            ("count=9223372036854775807 stride=2", "too large"),
        ] {
            let error = items(term).expect_err(term);
            assert!(error.contains(words), "{term}: {error}");
        }
    }
}
