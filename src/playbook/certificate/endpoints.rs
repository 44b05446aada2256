//! `verify:` from values to the places to look at.

use super::spec::{VERIFY, known};
use super::task::{Trust, VerifyChoice, VerifySpec};
use crate::model::{Endpoint, StartTls, Via};
use crate::playbook::values::{Switch, Values, Written, written};
use crate::source::{Node, Value};
use std::path::Path;
use std::time::Duration;

pub(super) fn verify(
    node: Option<&Node>,
    directory: &Path,
    values: &mut Values<'_>,
) -> VerifyChoice {
    let templated = node.is_some_and(|node| node.as_str().is_some());
    let node = match written(node, values) {
        None | Some(Written::Switch(Switch::Default)) => return VerifyChoice::Profile,
        Some(Written::Switch(Switch::Off)) => return VerifyChoice::Off,
        Some(Written::Node(node)) => node,
    };
    let places = match &node.value {
        Value::List(items) => items.clone(),
        _ => vec![node],
    };
    VerifyChoice::Endpoints(
        places
            .iter()
            .flat_map(|place| endpoint_specs(place, templated, directory, values))
            .collect(),
    )
}

/// One mapping may name several endpoints; a bare text is an endpoint.
fn endpoint_specs(
    node: &Node,
    templated: bool,
    directory: &Path,
    values: &mut Values<'_>,
) -> Vec<VerifySpec> {
    // An item of a list may be a template on its own. Keys that are written were looked at already.
    let templated = templated || node.as_str().is_some();
    let Some(Written::Node(node)) = written(Some(node), values) else { return Vec::new() };
    let node = &node;
    if templated && node.as_map().is_some() {
        known(Some(node), "verify", &VERIFY, &mut values.found);
    }
    if node.as_map().is_none() {
        let endpoint = endpoints(node, values);
        return endpoint
            .into_iter()
            .map(|endpoint| VerifySpec { endpoint: Some(endpoint), ..VerifySpec::default() })
            .collect();
    }
    let entry = |key| node.entry(key).filter(|node| node.value != Value::Null);
    let starttls = entry("starttls").and_then(|node| {
        let name = values.text(Some(node))?;
        let known = StartTls::by_name(&name);
        if known.is_none() {
            let names: Vec<_> = StartTls::NAMES.iter().map(|(name, _)| *name).collect();
            values.wrong(
                node,
                format!("'{name}' is not a STARTTLS protocol"),
                &format!("known: {}", names.join(", ")),
            );
        }
        known
    });
    let via = entry("via").and_then(|node| {
        let name = values.text(Some(node))?;
        match name.as_str() {
            "controller" => Some(Via::Controller),
            "host" => Some(Via::Host),
            "bastion" => Some(Via::Bastion),
            _ => {
                values.wrong(
                    node,
                    format!("'via' takes controller, host or bastion, not '{name}'"),
                    "",
                );
                None
            }
        }
    });
    let trust = match written(entry("trust"), values) {
        None | Some(Written::Switch(Switch::Off)) => None,
        Some(Written::Switch(Switch::Default)) => Some(Trust::System),
        Some(Written::Node(node)) => values.text(Some(&node)).map(|text| match text.as_str() {
            "system" => Trust::System,
            path => Trust::File(values.local_file(path, directory)),
        }),
    };
    let addresses = entry("addresses").and_then(|node| {
        let text = values.text(Some(node))?;
        let known = matches!(text.as_str(), "all" | "first");
        if !known {
            values.wrong(node, format!("'addresses' takes all or first, not '{text}'"), "");
        }
        known.then_some(text == "all")
    });
    let consecutive =
        values.number(entry("consecutive"), 1..=1000).and_then(|n| u32::try_from(n).ok());
    let proof_required = entry("proof").and_then(|node| {
        let text = values.text(Some(node))?;
        if !matches!(text.as_str(), "auto" | "required") {
            values.wrong(node, format!("'proof' takes auto or required, not '{text}'"), "");
        }
        Some(text == "required")
    });
    let spec = VerifySpec {
        endpoint: None,
        server_name: values.text(entry("server_name")),
        starttls,
        via: via.unwrap_or_default(),
        timeout: values.limit(entry("timeout")).unwrap_or(Duration::from_secs(10)),
        backoff: values.backoff(entry("attempts"), entry("backoff"), entry("max_backoff")),
        trust,
        all_addresses: addresses.unwrap_or(false),
        consecutive: consecutive.unwrap_or(1),
        proof_required: proof_required.unwrap_or(false),
    };
    match entry("endpoint") {
        None => vec![spec],
        Some(node) => endpoints(node, values)
            .into_iter()
            .map(|endpoint| VerifySpec { endpoint: Some(endpoint), ..spec.clone() })
            .collect(),
    }
}

fn endpoints(node: &Node, values: &mut Values<'_>) -> Vec<Endpoint> {
    let texts = match values.json(node) {
        Some(serde_json::Value::String(text)) => vec![text],
        Some(serde_json::Value::Array(items)) => {
            items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        }
        Some(_) => {
            values.wrong(node, "'endpoint' takes HOST:PORT or a list of them", "");
            Vec::new()
        }
        None => Vec::new(),
    };
    let mut endpoints = Vec::new();
    for text in texts {
        match text.parse::<Endpoint>() {
            Ok(endpoint) => endpoints.push(endpoint),
            Err(error) => values.wrong(node, error.to_string(), ""),
        }
    }
    endpoints
}
