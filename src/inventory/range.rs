//! Host ranges: `web[01:20]`, `db-[a:f]`, `x[1:10:3]`, several in one name.

/// Expands every range in `pattern`, the leftmost slowest.
///
/// # Errors
/// What is wrong with a range, in words.
pub(super) fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let Some(open) = pattern.find('[') else { return Ok(vec![pattern.to_owned()]) };
    let close = pattern[open..]
        .find(']')
        .map(|at| open + at)
        .ok_or_else(|| format!("the range in '{pattern}' has no closing bracket"))?;
    let (head, tail) = (&pattern[..open], &pattern[close + 1..]);
    let middle = values(&pattern[open + 1..close])?;
    let tails = expand(tail)?;
    Ok(middle
        .iter()
        .flat_map(|value| tails.iter().map(move |tail| format!("{head}{value}{tail}")))
        .collect())
}

/// Whether a name holds something that looks like a range.
pub(super) fn has_range(text: &str) -> bool {
    text.find('[').is_some_and(|open| text[open..].contains(':') && text[open..].contains(']'))
}

fn values(range: &str) -> Result<Vec<String>, String> {
    let parts: Vec<&str> = range.split(':').collect();
    let (start, end, step) = match parts.as_slice() {
        [start, end] => (*start, *end, "1"),
        [start, end, step] => (*start, *end, *step),
        _ => {
            return Err(format!(
                "'[{range}]' is not a range: it is [start:end] or [start:end:step]"
            ));
        }
    };
    if end.is_empty() {
        return Err(format!("the range '[{range}]' needs an end"));
    }
    let step: usize = step
        .parse()
        .ok()
        .filter(|step| *step > 0)
        .ok_or_else(|| format!("the step of the range '[{range}]' is not a number above 0"))?;
    let start = if start.is_empty() { "0" } else { start };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if digits(start) && digits(end) {
        return numbers(range, start, end, step);
    }
    match (single_letter(start), single_letter(end)) {
        (Some(first), Some(last)) if first.is_ascii_lowercase() == last.is_ascii_lowercase() => {
            if last < first {
                return Err(backwards(range));
            }
            Ok((first..=last).step_by(step).map(String::from).collect())
        }
        _ => Err(format!(
            "the range '[{range}]' must go from number to number or from letter to letter"
        )),
    }
}

fn single_letter(text: &str) -> Option<char> {
    let mut chars = text.chars();
    let letter = chars.next().filter(char::is_ascii_alphabetic)?;
    chars.next().is_none().then_some(letter)
}

fn numbers(range: &str, start: &str, end: &str, step: usize) -> Result<Vec<String>, String> {
    let padded = start.len() > 1 && start.starts_with('0');
    if padded && start.len() != end.len() {
        return Err(format!("in the range '[{range}]' start and end must have the same length"));
    }
    let too_large = || format!("the range '[{range}]' is too large");
    let first: u64 = start.parse().map_err(|_| too_large())?;
    let last: u64 = end.parse().map_err(|_| too_large())?;
    if last < first {
        return Err(backwards(range));
    }
    if (last - first) / step as u64 > 100_000 {
        return Err(too_large());
    }
    let width = if padded { start.len() } else { 0 };
    Ok((first..=last).step_by(step).map(|number| format!("{number:0width$}")).collect())
}

fn backwards(range: &str) -> String {
    format!("the range '[{range}]' ends before it starts, so it names no host")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn gives(pattern: &str, expected: &str) {
        assert_eq!(expand(pattern).map(|names| names.join(" ")), Ok(expected.to_owned()));
    }

    #[test]
    fn ranges_as_ansible_expands_them() {
        gives("a[01:03]", "a01 a02 a03");
        gives("e[08:11]", "e08 e09 e10 e11");
        gives("f[8:011]", "f8 f9 f10 f11");
        gives("b[1:10:3]", "b1 b4 b7 b10");
        gives("d-[a:g:2]", "d-a d-c d-e d-g");
        gives("r[1:2]n[a:b]", "r1na r1nb r2na r2nb");
        gives("j[:2]", "j0 j1 j2");
        gives("plain", "plain");
    }

    #[test]
    fn wrong_ranges_are_errors() {
        for pattern in
            ["a[01:100]", "a[3:]", "a[5:1]", "a[a:5]", "a[1:2", "a[1]", "a[1:9:0]", "a[a:F]"]
        {
            assert!(expand(pattern).is_err(), "{pattern}");
        }
    }
}
