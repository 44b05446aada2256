use super::super::Tee;
use super::super::samples::{apply, every_kind, not_restored};
use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn write(events: &[Event], path: &Path) -> String {
    let mut tee = Tee::default();
    tee.add(Metrics::new(path));
    events.iter().for_each(|event| tee.on_event(event));
    tee.finish().unwrap();
    std::fs::read_to_string(path).unwrap()
}

fn text(events: &[Event]) -> String {
    let directory = tempfile::tempdir().unwrap();
    write(events, &directory.path().join("certroll.prom"))
}

/// A series: its name and its labels in order.
type Series = (String, Vec<(String, String)>);

/// Families with their types, and the samples.
type Parsed = (BTreeMap<String, String>, Vec<(Series, f64)>);

/// Reads the text format (version 0.0.4) and refuses everything that it does not allow.
fn parse(text: &str) -> Result<Parsed, String> {
    let (mut types, mut helps, mut closed) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    let mut samples: Vec<(Series, f64)> = Vec::new();
    let mut current = String::new();
    if !text.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    for line in text.lines() {
        let wrong = |why: &str| format!("{why}: {line}");
        let rest = if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or_else(|| wrong("no help"))?;
            if help.is_empty() || !helps.insert(name.to_owned()) {
                return Err(wrong("help twice or empty"));
            }
            continue;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or_else(|| wrong("no type"))?;
            if !["gauge", "counter", "histogram", "summary", "untyped"].contains(&kind) {
                return Err(wrong("no such type"));
            }
            if types.insert(name.to_owned(), kind.to_owned()).is_some() {
                return Err(wrong("type twice"));
            }
            continue;
        } else {
            line
        };
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
        let (name, mut rest) = rest.split_at(end.ok_or_else(|| wrong("no value"))?);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(wrong("bad name"));
        }
        let mut labels = Vec::new();
        if let Some(inner) = rest.strip_prefix('{') {
            rest = parse_labels(inner, &mut labels).ok_or_else(|| wrong("bad labels"))?;
        }
        let value = rest.strip_prefix(' ').ok_or_else(|| wrong("no blank before the value"))?;
        let value: f64 = value.parse().map_err(|_| wrong("bad value"))?;
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .filter(|family| types.get(*family).is_some_and(|kind| kind == "histogram"))
            .unwrap_or(name);
        if !types.contains_key(family) {
            return Err(wrong("a sample before its type"));
        }
        if current != family && !closed.insert(family.to_owned()) {
            return Err(wrong("a family in two places"));
        }
        current = family.to_owned();
        let series = (name.to_owned(), labels);
        if samples.iter().any(|(known, _)| *known == series) {
            return Err(wrong("a series twice"));
        }
        samples.push((series, value));
    }
    check_histograms(&types, &samples)?;
    Ok((types, samples))
}

fn parse_labels<'a>(mut rest: &'a str, labels: &mut Vec<(String, String)>) -> Option<&'a str> {
    loop {
        let (name, value) = rest.split_once("=\"")?;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return None;
        }
        let mut text = String::new();
        let mut chars = value.char_indices();
        let end = loop {
            match chars.next()? {
                (_, '\\') => text.push(match chars.next()?.1 {
                    'n' => '\n',
                    '\\' => '\\',
                    '"' => '"',
                    _ => return None,
                }),
                (at, '"') => break at,
                (_, c) => text.push(c),
            }
        };
        labels.push((name.to_owned(), text));
        rest = &value[end + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return rest.strip_prefix('}'),
        }
    }
}

/// Buckets grow, the last is `+Inf` and equals the count.
fn check_histograms(
    types: &BTreeMap<String, String>,
    samples: &[(Series, f64)],
) -> Result<(), String> {
    for (family, _) in types.iter().filter(|(_, kind)| *kind == "histogram") {
        let mut last: BTreeMap<Vec<(String, String)>, (f64, f64)> = BTreeMap::new();
        for ((name, labels), value) in samples {
            let (bounds, others): (Vec<_>, Vec<_>) =
                labels.iter().cloned().partition(|(name, _)| name == "le");
            if *name == format!("{family}_bucket") {
                let bound = match bounds[0].1.as_str() {
                    "+Inf" => f64::INFINITY,
                    bound => bound.parse().map_err(|_| format!("bad bound {bound}"))?,
                };
                let before = last.insert(others, (bound, *value));
                if before.is_some_and(|(b, v)| b >= bound || v > *value) {
                    return Err(format!("buckets of {family} do not grow"));
                }
            } else if *name == format!("{family}_count")
                && last.get(&others) != Some(&(f64::INFINITY, *value))
            {
                return Err(format!("the last bucket of {family} is not its count"));
            }
        }
    }
    Ok(())
}

#[test]
fn a_run_as_text() {
    let text = text(&apply());
    parse(&text).unwrap();
    insta::assert_snapshot!(text);
}

#[test]
fn counts_are_per_service_and_result() {
    let (_, samples) = parse(&text(&apply())).unwrap();
    let count = |result: &str| {
        let labels = [("result", result), ("service", "nginx")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let series = ("certroll_last_run_services".to_owned(), labels.to_vec());
        samples.iter().find(|(known, _)| *known == series).map(|(_, value)| *value)
    };
    let counts = RESULTS.map(|result| count(result).expect("every result is there"));
    assert_eq!(counts, [1.0, 1.0, 2.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
}

#[test]
fn hostile_names_stay_inside_their_label() {
    let mut events = every_kind();
    for event in &mut events {
        if let Kind::CertificateEnd { services, .. } = &mut event.kind {
            services[0].service = "a\"} 1\nevil{x=\"\u{1b}[2J\\".to_owned();
        }
    }
    let text = text(&events);
    let (types, samples) = parse(&text).unwrap();
    assert!(!types.contains_key("evil") && !samples.is_empty());
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn the_parser_refuses_what_it_should() {
    let good = "# HELP a b\n# TYPE a gauge\na{x=\"1\"} 2\n";
    assert!(parse(good).is_ok());
    for (from, to) in [
        ("2\n", "2"),
        ("gauge", "guage"),
        ("} 2\n", "} 2\na{x=\"1\"} 3\n"),
        ("x=\"1\"", "x=1"),
        (" 2", " two"),
        ("# TYPE a gauge\n", ""),
        ("a{", "0{"),
    ] {
        assert!(parse(&good.replace(from, to)).is_err(), "{from} {to}");
    }
}

#[test]
fn the_file_is_replaced_whole_and_readable() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("certroll.prom");
    std::fs::write(&path, "old and longer than nothing").unwrap();
    let text = write(&apply(), &path);
    assert!(text.starts_with("# HELP ") && !text.contains("old and"), "{text}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left over");
}

#[test]
fn a_missing_directory_is_named() {
    let mut metrics = Metrics::new("/nonexistent/dir/certroll.prom");
    let error = metrics.on_event(apply().last().unwrap(), &RunView::default()).unwrap_err();
    assert!(error.to_string().starts_with("cannot write metrics to /nonexistent/dir/"), "{error}");
}

#[test]
fn every_metric_and_result_is_documented() {
    let page = include_str!("../../../docs/metrics.md");
    // The file is written at the end of a run: once more when everything was seen.
    let mut events = every_kind();
    events.extend(apply().pop());
    let (types, _) = parse(&text(&events)).unwrap();
    for (name, kind) in types {
        assert!(page.contains(&format!("| `{name}` | {kind} |")), "{name} {kind}");
    }
    for word in RESULTS.iter().chain(&OUTCOMES) {
        assert!(page.contains(&format!("`{word}`")), "{word}");
    }
    // Alerts name only metrics that there are.
    let (types, _) = parse(&text(&events)).unwrap();
    for word in page.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
        if word.starts_with("certroll_") {
            let family = word.trim_end_matches("_bucket").trim_end_matches("_count");
            assert!(types.contains_key(family), "{word}");
        }
    }
}

#[test]
#[ignore = "needs promtool (Debian: apt install prometheus)"]
fn promtool_agrees() {
    use std::process::{Command, Stdio};
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("promtool in PATH");
    child.stdin.take().unwrap().write_all(text(&apply()).as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_is_not_restored_is_counted_by_itself() {
    let text = text(&not_restored());
    for line in [
        "certroll_last_run_hosts{outcome=\"not_restored\"} 1",
        "certroll_last_run_hosts{outcome=\"rolled_back\"} 0",
        "certroll_last_run_services{result=\"not_restored\",service=\"nginx\"} 1",
    ] {
        assert!(text.lines().any(|known| known == line), "{line}: {text}");
    }
}
