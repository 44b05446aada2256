//! Which Ingresses and Gateways use a secret, and for which names: what a change of it should be verified by.

use crate::model::Secret;
use crate::model::text::printable;
use serde::Deserialize;

/// What uses a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// As `Ingress shop`.
    pub what: String,
    /// The names for which it asks for the secret.
    pub names: Vec<String>,
}

/// Where Ingresses of a namespace are listed.
pub(crate) fn ingresses_path(namespace: &str) -> String {
    format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses?limit=500")
}

/// Where Gateways of a namespace are listed.
pub(crate) fn gateways_path(namespace: &str) -> String {
    format!("/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/gateways?limit=500")
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct List<T: Default> {
    items: Vec<T>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

/// Ingresses of a list that name this secret.
pub(crate) fn ingresses(list: &Secret<Vec<u8>>, secret: &str) -> Vec<User> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Ingress {
        metadata: Named,
        spec: Spec,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Spec {
        tls: Vec<Tls>,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Tls {
        hosts: Vec<String>,
        secret_name: String,
    }
    let list: List<Ingress> = serde_json::from_slice(list.expose()).unwrap_or_default();
    let uses = list.items.into_iter().filter_map(|one| {
        let mut tls = one.spec.tls.into_iter().filter(|tls| tls.secret_name == secret).peekable();
        tls.peek()?;
        let names = tls.flat_map(|tls| tls.hosts).map(|name| shown(&name)).collect();
        Some(User { what: format!("Ingress {}", shown(&one.metadata.name)), names })
    });
    uses.take(100).collect()
}

/// Gateways of a list, in the secret's own namespace, that name this secret.
pub(crate) fn gateways(list: &Secret<Vec<u8>>, secret: &str) -> Vec<User> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Gateway {
        metadata: Named,
        spec: Spec,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Spec {
        listeners: Vec<Listener>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Listener {
        hostname: Option<String>,
        tls: Option<Tls>,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Tls {
        certificate_refs: Vec<Reference>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Reference {
        name: String,
        kind: Option<String>,
    }
    let list: List<Gateway> = serde_json::from_slice(list.expose()).unwrap_or_default();
    let uses = list.items.into_iter().filter_map(|one| {
        let of_secret = |listener: &Listener| {
            let references = listener.tls.iter().flat_map(|tls| &tls.certificate_refs);
            references.into_iter().any(|one| {
                one.name == secret && one.kind.as_deref().unwrap_or("Secret") == "Secret"
            })
        };
        let mut listeners = one.spec.listeners.into_iter().filter(of_secret).peekable();
        listeners.peek()?;
        let names = listeners.filter_map(|one| one.hostname).map(|name| shown(&name)).collect();
        Some(User { what: format!("Gateway {}", shown(&one.metadata.name)), names })
    });
    uses.take(100).collect()
}

fn shown(text: &str) -> String {
    printable(text.as_bytes(), 253).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_name_the_secret_are_told_with_their_names() {
        let list = br#"{"items":[
            {"metadata":{"name":"shop"},"spec":{"tls":[{"hosts":["a.example","b.example"],"secretName":"www"}]}},
            {"metadata":{"name":"other"},"spec":{"tls":[{"hosts":["c.example"],"secretName":"else"}]}}]}"#;
        let found = ingresses(&Secret::new(list.to_vec()), "www");
        let names = vec!["a.example".to_owned(), "b.example".to_owned()];
        assert_eq!(found, [User { what: "Ingress shop".to_owned(), names }]);
        let list = br#"{"items":[{"metadata":{"name":"edge"},"spec":{"listeners":[
            {"hostname":"a.example","tls":{"certificateRefs":[{"name":"www"}]}}, {"tls":null}]}}]}"#;
        let found = gateways(&Secret::new(list.to_vec()), "www");
        assert_eq!(
            found,
            [User { what: "Gateway edge".to_owned(), names: vec!["a.example".to_owned()] }]
        );
        assert!(ingresses(&Secret::new(b"not found".to_vec()), "www").is_empty());
    }
}
