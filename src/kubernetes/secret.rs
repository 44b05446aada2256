//! A secret as the API server shows it. Its values go from the answer into wiped memory at once.

use crate::model::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Namespace and name of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SecretName {
    /// The namespace.
    pub namespace: String,
    /// The name in it.
    pub name: String,
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl SecretName {
    /// Its path at the API server. Both names are checked before: they hold nothing that would need escaping.
    pub(crate) fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets/{}", self.namespace, self.name)
    }
}

/// What every object says of itself.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metadata {
    /// Differs when it is deleted and created again.
    pub uid: String,
    /// Differs after every change.
    pub resource_version: String,
    /// It is being deleted.
    pub deletion_timestamp: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations: one that `kubectl apply` makes holds a copy of the private key.
    pub annotations: BTreeMap<String, Hidden>,
    /// Objects that own it.
    pub owner_references: Vec<OwnerReference>,
    /// Who wrote which fields.
    pub managed_fields: Vec<ManagedFields>,
}

/// An object that owns another.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct OwnerReference {
    /// As `Certificate`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// It writes what it owns.
    pub controller: bool,
}

/// What one writer wrote.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ManagedFields {
    /// The writer's name.
    pub manager: String,
    /// `Apply` for controllers as a rule, `Update` for people and scripts.
    pub operation: String,
    /// The fields.
    pub fields_v1: serde_json::Value,
}

impl ManagedFields {
    /// Whether it wrote the certificate or the key.
    pub(crate) fn holds_pair(&self) -> bool {
        let data = self.fields_v1.get("f:data");
        data.is_some_and(|data| data.get("f:tls.crt").is_some() || data.get("f:tls.key").is_some())
    }
}

/// A text that may be a secret.
pub(crate) struct Hidden(Secret<String>);

impl Hidden {
    /// The text.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(Secret::new(String::deserialize(from)?)))
    }
}

/// A value of a secret, decoded.
#[derive(Debug)]
struct Value(Secret<Vec<u8>>);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // Borrowed from the answer, which is wiped: base64 needs no unescaping.
        let text = Option::<Cow<'de, str>>::deserialize(from)?.unwrap_or_default();
        let decoded = STANDARD.decode(text.as_bytes());
        let decoded =
            decoded.map_err(|_| serde::de::Error::custom("a value that is not base64"))?;
        Ok(Self(Secret::new(decoded)))
    }
}

/// A secret that may hold a certificate and its key.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct TlsSecret {
    /// What it says of itself.
    pub metadata: Metadata,
    /// `kubernetes.io/tls`, `Opaque`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Its values cannot be changed.
    pub immutable: Option<bool>,
    data: Option<BTreeMap<String, Value>>,
}

impl TlsSecret {
    /// Reads an answer.
    ///
    /// # Errors
    /// It is not a secret; the reason never quotes it.
    pub(crate) fn read(body: &Secret<Vec<u8>>) -> Result<Self, String> {
        serde_json::from_slice(body.expose()).map_err(|error| {
            format!("the API server's answer is not a secret (column {})", error.column())
        })
    }

    /// One of its values.
    pub(crate) fn value(&self, key: &str) -> Option<&Secret<Vec<u8>>> {
        self.data.as_ref()?.get(key).map(|value| &value.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_never_shown() {
        let body = br#"{"kind":"Secret","metadata":{"uid":"u","resourceVersion":"7","annotations":
            {"kubectl.kubernetes.io/last-applied-configuration":"aGVsbG8="}},
            "type":"kubernetes.io/tls","data":{"tls.crt":"aGVsbG8=","tls.key":null}}"#;
        let secret = TlsSecret::read(&Secret::new(body.to_vec())).unwrap();
        assert_eq!(secret.value("tls.crt").unwrap().expose(), b"hello");
        assert_eq!(secret.value("tls.key").unwrap().expose(), b"");
        assert!(secret.value("ca.crt").is_none());
        let shown = format!("{secret:?}");
        assert!(
            !shown.contains("aGVs") && !shown.contains("hello") && !shown.contains("104"),
            "{shown}"
        );
        let bad = Secret::new(br#"{"data":{"tls.key":"c2VjcmV0 "}}"#.to_vec());
        let error = TlsSecret::read(&bad).unwrap_err();
        assert!(!error.contains("c2Vj"), "{error}");
    }
}
