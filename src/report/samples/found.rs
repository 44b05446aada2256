//! What `discover` finds.

use super::brief;
use crate::event::found::{FoundCertificate, FoundEndpoint, FoundState};
use crate::model::Fingerprint;

/// A certificate in each state.
pub(in crate::report) fn found() -> Vec<FoundCertificate> {
    let endpoint = |port: u16, starttls: &str, seen: Option<Fingerprint>| FoundEndpoint {
        endpoint: format!("127.0.0.1:{port}").parse().unwrap(),
        starttls: starttls.into(),
        server_name: Some("edge1.example.net".into()),
        fingerprint: seen,
        problem: seen.is_none().then(|| "no connection: refused".to_owned()),
    };
    let leaf = brief("edge1.example.net", 89);
    let other = Some(Fingerprint::of(b"another"));
    let served = FoundCertificate {
        service: Some("nginx".into()),
        file: Some("/etc/nginx/certs/cert.pem".into()),
        access: Some("root:root 0644".into()),
        endpoints: vec![endpoint(443, "none", Some(leaf.fingerprint))],
        certificate: Some(leaf),
        state: FoundState::Served,
        remarks: vec!["shared with postfix".into()],
    };
    let of = |state: FoundState, days: i64, endpoints: Vec<FoundEndpoint>| FoundCertificate {
        certificate: Some(brief("mail.example.net", days)),
        endpoints,
        state,
        remarks: Vec::new(),
        ..served.clone()
    };
    vec![
        served.clone(),
        of(FoundState::Drift, 40, vec![endpoint(25, "smtp", other)]),
        of(FoundState::Shadowed, -3, vec![endpoint(443, "none", other)]),
        of(FoundState::NotSeen, 12, vec![endpoint(993, "none", None)]),
        of(FoundState::Stopped, 60, Vec::new()),
        FoundCertificate { service: None, ..of(FoundState::Unused, -200, Vec::new()) },
        FoundCertificate {
            certificate: None,
            endpoints: Vec::new(),
            state: FoundState::Unreadable,
            remarks: vec!["it is not there".into()],
            ..served.clone()
        },
        FoundCertificate {
            service: None,
            file: None,
            access: None,
            state: FoundState::OnlyServed,
            ..served
        },
    ]
}
