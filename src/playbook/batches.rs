//! Which hosts a play takes, in which order, how many at a time, and how many may fail.

use super::model::{OnFailure, Order, Serial};
use super::reader::{Reader, templated, wrong_type};
use crate::source::{Diagnostic, Diagnostics, Node, Value};

pub(super) fn pattern(node: Node, found: &mut Diagnostics) -> Node {
    match &node.value {
        Value::Text(text) | Value::Unsafe(text) if !text.trim().is_empty() => node,
        Value::List(items)
            if items.iter().all(|item| item.as_str().is_some()) && !items.is_empty() =>
        {
            let joined = items.iter().filter_map(Node::as_str).collect::<Vec<_>>().join(",");
            Node { value: Value::Text(joined), span: node.span }
        }
        Value::Text(_) | Value::Unsafe(_) => {
            let problem = Diagnostic::error("'hosts' is empty").at(node.span.as_ref());
            found.push(problem.help("name a group or a pattern; `hosts: all` is everybody"));
            node
        }
        _ => {
            found.push(wrong_type("hosts", "a pattern or a list of patterns", &node));
            Node { value: Value::Text(String::new()), span: node.span }
        }
    }
}

pub(super) fn serial(reader: &mut Reader<'_>, found: &mut Diagnostics) -> Vec<Serial> {
    let mut steps = Vec::new();
    for node in reader.list("serial") {
        let step = match &node.value {
            Value::Int(count) => Some(Serial::Count(*count)),
            Value::Text(text) | Value::Unsafe(text) => match text.trim().strip_suffix('%') {
                Some(number) => number.trim().parse().ok().map(Serial::Percent),
                None => text.trim().parse().ok().map(Serial::Count),
            },
            _ => None,
        };
        match step {
            Some(Serial::Percent(percent)) if !(0.0..=10_000.0).contains(&percent) => {
                found.push(wrong_serial(&node));
            }
            Some(step) => steps.push(step),
            None => found.push(wrong_serial(&node)),
        }
    }
    steps
}

fn wrong_serial(node: &Node) -> Diagnostic {
    const WANTED: &str = "numbers and percentages";
    templated("serial", WANTED, node)
        .unwrap_or_else(|| {
            Diagnostic::error(format!("'serial' takes {WANTED}")).at(node.span.as_ref())
        })
        .help("for example `serial: 5`, `serial: 25%`, or `serial: [1, 10%, 100%]`")
}

/// What happens when more of a batch fail than is tolerated. Only certroll has this keyword.
pub(super) fn on_failure(reader: &mut Reader<'_>, found: &mut Diagnostics) -> OnFailure {
    let Some(node) = reader.take("on_failure") else { return OnFailure::default() };
    match node.as_str() {
        Some("stop") => OnFailure::Stop,
        Some("rollback_run") => OnFailure::RollbackRun,
        _ => {
            const WANTED: &str = "'stop' or 'rollback_run'";
            let problem = templated("on_failure", WANTED, node).unwrap_or_else(|| {
                Diagnostic::error(format!("'on_failure' takes {WANTED}")).at(node.span.as_ref())
            });
            let help = "`on_failure: rollback_run` takes back what the run has confirmed";
            found.push(problem.help(help));
            OnFailure::Stop
        }
    }
}

pub(super) fn percentage(reader: &mut Reader<'_>, found: &mut Diagnostics) -> Option<f64> {
    let node = reader.take("max_fail_percentage")?;
    let percent = match &node.value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::Text(text) | Value::Unsafe(text) => {
            text.trim().trim_end_matches('%').trim().parse().ok()
        }
        _ => None,
    };
    match percent.filter(|percent| (0.0..=100.0).contains(percent)) {
        Some(percent) => Some(percent),
        None => {
            const WANTED: &str = "a number from 0 to 100";
            let problem = templated("max_fail_percentage", WANTED, node).unwrap_or_else(|| {
                Diagnostic::error(format!("'max_fail_percentage' takes {WANTED}"))
                    .at(node.span.as_ref())
            });
            found.push(problem.help("for example `max_fail_percentage: 10`"));
            None
        }
    }
}

pub(super) fn order(reader: &mut Reader<'_>, found: &mut Diagnostics) -> Order {
    const NAMES: [(&str, Order); 5] = [
        ("inventory", Order::Inventory),
        ("reverse_inventory", Order::ReverseInventory),
        ("sorted", Order::Sorted),
        ("reverse_sorted", Order::ReverseSorted),
        ("shuffle", Order::Shuffle),
    ];
    let Some(node) = reader.take("order") else { return Order::default() };
    let known = NAMES.iter().find(|(name, _)| node.as_str() == Some(name));
    if known.is_none() {
        let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
        found.push(wrong_type("order", &format!("one of {}", names.join(", ")), node));
    }
    known.map(|(_, order)| *order).unwrap_or_default()
}
