//! What `status` finds.

use super::brief;
use crate::event::status::{
    BackupStatus, FileStatus, HostStatus, JournalStatus, ServedStatus, UnfinishedState,
};
use crate::model::Fingerprint;

const BY: &str = "certroll apply by ops@deploy1 since 2026-11-24T10:00:00Z, run 5d1f0a4c9be2d713";

/// What `status` finds on a host where a run was interrupted.
pub(in crate::report) fn status() -> HostStatus {
    let (old, new) = (brief("edge1.example.net", 12), brief("edge1.example.net", 89));
    let backup = BackupStatus {
        generation: "20260901T101500Z-5d1f0a4c".into(),
        digest: Some(Fingerprint::of(b"backup")),
        certificate: Some(brief("edge1.example.net", -60)),
    };
    let cert = FileStatus {
        service: "nginx".into(),
        file: "/etc/nginx/certs/cert.pem".into(),
        digest: Some(Fingerprint::of(b"cert")),
        access: Some("root:root 0644".into()),
        holds_key: false,
        certificate: Some(new),
        serial: Some("03A1B2C3D4".into()),
        as_wanted: Some(true),
        problem: None,
        backups: vec![backup],
    };
    let key = FileStatus {
        file: "/etc/nginx/certs/key.pem".into(),
        digest: None,
        access: None,
        certificate: None,
        serial: None,
        as_wanted: None,
        problem: Some("not there".into()),
        backups: vec![],
        ..cert.clone()
    };
    HostStatus {
        files: vec![cert, key],
        served: vec![ServedStatus {
            service: "nginx".into(),
            endpoint: "edge1.example.net:443".parse().unwrap(),
            server_name: Some("edge1.example.net".into()),
            certificate: Some(old),
            as_in_file: Some(false),
            problem: None,
        }],
        lock: Some(format!("process 4711: {BY}")),
        journals: vec![JournalStatus {
            id: "20261124T100000Z-5d1f0a4c".into(),
            state: UnfinishedState::Undo,
            by: Some(BY.to_owned()),
        }],
    }
}
