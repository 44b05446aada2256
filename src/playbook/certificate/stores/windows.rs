//! `windows:`, a certificate store of Windows, and what there refers to the certificate.

use crate::model::RemotePath;
use crate::playbook::certificate::store::{WindowsStore, WindowsUse};
use crate::playbook::certificate::task::Dest;
use crate::playbook::values::Values;
use crate::source::{Node, Value};

const EXAMPLE: &str = "windows: {iis: {site: Default Web Site, binding: '*:443:www.example.net'}}, or {rdp: true}, or {winrm: true}";

/// Renders the mapping of `windows:`.
pub(super) fn windows(given: &Node, values: &mut Values<'_>) -> Option<WindowsStore> {
    let entry = |key| given.entry(key).filter(|node| node.value != Value::Null);
    let rdp = values.flag(entry("rdp")).unwrap_or(false);
    let winrm = values.flag(entry("winrm")).unwrap_or(false);
    let used = match (entry("iis"), rdp, winrm) {
        (Some(iis), false, false) => binding(iis, values)?,
        (None, true, false) => WindowsUse::Rdp,
        (None, false, true) => WindowsUse::WinRm,
        _ => {
            values.wrong(given, "'windows' takes one of 'iis', 'rdp' and 'winrm'", EXAMPLE);
            return None;
        }
    };
    let written = entry("store");
    let store = values.text(written);
    let store = match (store.as_deref(), written) {
        (None, _) => "My",
        (Some(text), _) if text.eq_ignore_ascii_case("My") => "My",
        (Some(text), Some(node)) if text.eq_ignore_ascii_case("WebHosting") => {
            if !matches!(used, WindowsUse::Iis { .. }) {
                values.wrong(node, "only IIS looks into WebHosting", "leave 'store' out");
            }
            "WebHosting"
        }
        (Some(text), node) => {
            let message = format!("'store' takes My or WebHosting, not '{text}'");
            values.wrong(node.unwrap_or(given), message, "");
            return None;
        }
    };
    Some(WindowsStore { used, store })
}

fn binding(node: &Node, values: &mut Values<'_>) -> Option<WindowsUse> {
    let mut part = |key: &'static str| {
        let Some(written) = node.entry(key) else {
            values.wrong(node, format!("'iis' needs '{key}'"), EXAMPLE);
            return None;
        };
        let text = values.text(Some(written))?;
        let odd = |c: char| c.is_control() || "'\"/\\".contains(c);
        if text.is_empty() || text.len() > 300 || text.contains(odd) {
            values.wrong(written, format!("this is no {key} of IIS"), EXAMPLE);
            return None;
        }
        Some((text, written))
    };
    let (site, at) = (part("site"), part("binding"));
    let ((site, _), (text, written)) = (site?, at?);
    if port(&text).is_none() {
        let help = "IP:port:host as IIS has it, the host perhaps empty: '*:443:www.example.net', '10.0.0.5:443:'";
        values.wrong(written, format!("'{text}' is no binding"), help);
        return None;
    }
    Some(WindowsUse::Iis { site, binding: text })
}

/// The port of `IP:port:host`; an IPv6 address is in brackets.
pub(super) fn port(binding: &str) -> Option<u16> {
    let (rest, host) = binding.rsplit_once(':')?;
    let (ip, port) = rest.rsplit_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "*.-_".contains(c);
    let is_ip = ip == "*"
        || ip.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok();
    if !is_ip || !host.chars().all(plain) {
        return None;
    }
    port.parse().ok().filter(|port| *port != 0)
}

/// Where the pair is in the plan: below its store, by what refers to it.
pub(super) fn dest(store: &WindowsStore) -> Dest {
    let path = |value: &str| {
        let place = match &store.used {
            WindowsUse::Iis { site, binding } => format!("iis/{site}/{binding}"),
            WindowsUse::Rdp => "rdp".to_owned(),
            WindowsUse::WinRm => "winrm".to_owned(),
        };
        RemotePath::new(format!("/LocalMachine/{}/{place}/{value}", store.store)).ok()
    };
    Dest { cert: path("certificate"), key: path("key"), ..Dest::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_is_ip_port_host() {
        for (text, expected) in [
            ("*:443:www.example.net", Some(443)),
            ("*:8443:", Some(8443)),
            ("10.0.0.5:443:", Some(443)),
            ("[::1]:443:*.example.net", Some(443)),
            ("443", None),
            ("*:443", None),
            ("*:0:", None),
            ("www:443:x", None),
            ("*:443:a b", None),
        ] {
            assert_eq!(port(text), expected, "{text}");
        }
    }
}
