//! What is written: bodies of changes, each in wiped memory.

use crate::model::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// As whom certroll writes: `fieldManager` of every change.
pub(crate) const MANAGER: &str = "certroll";

/// Values by their keys in the secret.
pub(crate) type Values<'a> = [(&'a str, &'a Secret<Vec<u8>>)];

/// A merge patch of values that holds only while the secret is the one that was read: other keys, labels, annotations
/// and owners stay. `None` removes a key.
pub(crate) fn values(
    uid: &str,
    resource_version: &str,
    values: &[(&str, Option<&Secret<Vec<u8>>>)],
) -> Secret<Vec<u8>> {
    let head = json!({"uid": uid, "resourceVersion": resource_version});
    Text::new(&format!("{{\"metadata\":{head},\"data\":{{"), values).entries(values)
}

/// A merge patch of annotations.
pub(crate) fn annotations(values: &BTreeMap<&str, String>) -> Secret<Vec<u8>> {
    Secret::new(json!({"metadata": {"annotations": values}}).to_string().into_bytes())
}

/// A whole secret for a server-side apply: created where it is absent.
pub(crate) fn whole(
    name: &str,
    kind: &str,
    labels: &serde_json::Value,
    notes: &BTreeMap<&str, String>,
    values: &Values<'_>,
) -> Secret<Vec<u8>> {
    let head = json!({"name": name, "labels": labels, "annotations": notes});
    let kind = json!(kind);
    let head = format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"type\":{kind},\"metadata\":{head},\"data\":{{"
    );
    let values: Vec<_> = values.iter().map(|(key, value)| (*key, Some(*value))).collect();
    Text::new(&head, &values).entries(&values)
}

/// A deletion of the very object that was read.
pub(crate) fn deletion(uid: &str, resource_version: &str) -> Secret<Vec<u8>> {
    let body = json!({"kind": "DeleteOptions", "apiVersion": "v1",
        "preconditions": {"uid": uid, "resourceVersion": resource_version}});
    Secret::new(body.to_string().into_bytes())
}

/// A question whether this account may do something with a secret.
pub(crate) fn review(verb: &str, namespace: &str, name: &str) -> Secret<Vec<u8>> {
    let body = json!({"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
        "spec": {"resourceAttributes":
            {"verb": verb, "resource": "secrets", "namespace": namespace, "name": name}}});
    Secret::new(body.to_string().into_bytes())
}

/// JSON that is put together without copies that nobody wipes: as large from the beginning as it can become.
struct Text(Zeroizing<Vec<u8>>);

impl Text {
    fn new(head: &str, values: &[(&str, Option<&Secret<Vec<u8>>>)]) -> Self {
        let base64 = |value: &Secret<Vec<u8>>| value.expose().len().div_ceil(3) * 4;
        let values = values.iter().map(|(key, value)| key.len() + 16 + value.map_or(4, base64));
        let mut bytes = Zeroizing::new(Vec::with_capacity(head.len() + values.sum::<usize>() + 16));
        bytes.extend_from_slice(head.as_bytes());
        Self(bytes)
    }

    fn push(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn entries(mut self, values: &[(&str, Option<&Secret<Vec<u8>>>)]) -> Secret<Vec<u8>> {
        for (index, (key, value)) in values.iter().enumerate() {
            self.push(if index > 0 { "," } else { "" });
            self.push(&json!(key).to_string());
            match value {
                Some(value) => {
                    let encoded = Secret::new(STANDARD.encode(value.expose()));
                    self.push(":\"");
                    self.push(encoded.expose());
                    self.push("\"");
                }
                None => self.push(":null"),
            }
        }
        self.push("}}");
        Secret::new(std::mem::take(&mut *self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_json() {
        let (one, two) = (Secret::new(b"new".to_vec()), Secret::new(Vec::new()));
        let body =
            values("u", "7", &[("tls.crt", Some(&one)), ("tls.key", Some(&two)), ("x", None)]);
        let read: serde_json::Value = serde_json::from_slice(body.expose()).unwrap();
        assert_eq!(
            read,
            json!({"metadata": {"uid": "u", "resourceVersion": "7"},
                "data": {"tls.crt": "bmV3", "tls.key": "", "x": null}})
        );
        let notes = BTreeMap::from([("certroll/run", "a\"b".to_owned())]);
        let body = whole("www", "kubernetes.io/tls", &json!({}), &notes, &[("tls.crt", &one)]);
        let read: serde_json::Value = serde_json::from_slice(body.expose()).unwrap();
        assert_eq!(read["metadata"]["annotations"]["certroll/run"], "a\"b");
        assert_eq!(read["data"]["tls.crt"], "bmV3");
    }
}
