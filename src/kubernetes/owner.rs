//! Who else writes a secret: controllers that would put their own pair back, and pipelines that hold the old one.

use super::secret::Metadata;
use crate::model::text::printable;

/// Somebody who writes a secret as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Who, as `cert-manager (Certificate www)`.
    pub who: String,
    /// What to do instead of writing the secret.
    pub instead: &'static str,
}

/// Annotations and labels by which controllers mark what is theirs.
const MARKS: [(&str, &str, &str); 9] = [
    ("cert-manager.io/certificate-name", "cert-manager", "renew its Certificate"),
    (
        "argocd.argoproj.io/tracking-id",
        "Argo CD",
        "change it in the repository that Argo CD follows",
    ),
    ("kustomize.toolkit.fluxcd.io/name", "Flux", "change it in the repository that Flux follows"),
    ("helm.toolkit.fluxcd.io/name", "Flux", "change it in the repository that Flux follows"),
    ("meta.helm.sh/release-name", "Helm", "change the values of its release"),
    (
        "reconcile.external-secrets.io/managed",
        "External Secrets",
        "change it in the store that it is read from",
    ),
    (
        "reconcile.external-secrets.io/data-hash",
        "External Secrets",
        "change it in the store that it is read from",
    ),
    (
        "reflector.v1.k8s.emberstack.com/reflects",
        "Reflector",
        "change the secret that it is copied from",
    ),
    (
        "replicator.v1.mittwald.de/replicate-from",
        "Replicator",
        "change the secret that it is copied from",
    ),
];

/// Managers of fields that are controllers, as they name themselves.
const MANAGERS: [(&str, &str, &str); 4] = [
    ("cert-manager-certificates-issuing", "cert-manager", "renew its Certificate"),
    ("argocd-controller", "Argo CD", "change it in the repository that Argo CD follows"),
    ("kustomize-controller", "Flux", "change it in the repository that Flux follows"),
    ("externalsecrets", "External Secrets", "change it in the store that it is read from"),
];

/// The controllers that own a secret.
pub(crate) fn owners(metadata: &Metadata) -> Vec<Owner> {
    let mut found: Vec<Owner> = Vec::new();
    let mut add = |who: String, instead: &'static str| {
        let known = |one: &Owner| one.who.split(" (").next() == who.split(" (").next();
        if !found.iter().any(known) {
            found.push(Owner { who, instead });
        }
    };
    for reference in metadata.owner_references.iter().filter(|one| one.controller) {
        let (kind, name) = (shown(&reference.kind), shown(&reference.name));
        let (who, instead) = match kind.as_str() {
            "Certificate" => {
                (format!("cert-manager (Certificate {name})"), "renew its Certificate")
            }
            "ExternalSecret" => {
                let instead = "change it in the store that it is read from";
                (format!("External Secrets (ExternalSecret {name})"), instead)
            }
            "SealedSecret" => (
                format!("Sealed Secrets (SealedSecret {name})"),
                "seal the new pair and apply that",
            ),
            _ => (format!("{kind} {name}"), "change it there"),
        };
        add(who, instead);
    }
    for (mark, who, instead) in MARKS {
        let annotation = metadata.annotations.get(mark).map(|value| shown(value.expose()));
        let label = metadata.labels.get(mark).map(|value| shown(value));
        if let Some(value) = annotation.or(label) {
            add(format!("{who} ({value})"), instead);
        }
    }
    if metadata.labels.get("app.kubernetes.io/managed-by").is_some_and(|by| by == "Helm") {
        add("Helm".to_owned(), "change the values of its release");
    }
    for field in metadata.managed_fields.iter().filter(|one| one.holds_pair()) {
        for (manager, who, instead) in MANAGERS {
            if field.manager == manager {
                add(format!("{who} (manager {manager})"), instead);
            }
        }
    }
    found
}

/// What copies a secret to other namespaces, where its annotations say so: writing it writes those.
pub(crate) fn copied_by(metadata: &Metadata) -> Option<&'static str> {
    const SOURCES: [(&str, &str); 4] = [
        ("reflector.v1.k8s.emberstack.com/reflection-allowed", "Reflector"),
        ("replicator.v1.mittwald.de/replication-allowed", "Replicator"),
        ("replicator.v1.mittwald.de/replicate-to", "Replicator"),
        ("replicator.v1.mittwald.de/replicate-to-matching", "Replicator"),
    ];
    let says = |mark: &str| {
        metadata.annotations.get(mark).is_some_and(|value| !matches!(value.expose(), "" | "false"))
    };
    SOURCES.into_iter().find(|(mark, _)| says(mark)).map(|(_, who)| who)
}

/// Whether `kubectl apply` left a copy of the whole secret in an annotation, the private key included.
pub(crate) fn last_applied(metadata: &Metadata) -> bool {
    metadata.annotations.contains_key("kubectl.kubernetes.io/last-applied-configuration")
}

fn shown(text: &str) -> String {
    printable(text.as_bytes(), 100).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(json: &str) -> Vec<String> {
        let metadata: Metadata = serde_json::from_str(json).unwrap();
        owners(&metadata).into_iter().map(|owner| owner.who).collect()
    }

    #[test]
    fn controllers_are_known_by_what_they_leave() {
        let owned = r#"{"ownerReferences":[{"kind":"Certificate","name":"www","controller":true}],
            "annotations":{"cert-manager.io/certificate-name":"www"}}"#;
        assert_eq!(who(owned), ["cert-manager (Certificate www)"]);
        assert_eq!(who(r#"{"labels":{"app.kubernetes.io/managed-by":"Helm"}}"#), ["Helm"]);
        assert_eq!(
            who(r#"{"annotations":{"argocd.argoproj.io/tracking-id":"a:b"}}"#),
            ["Argo CD (a:b)"]
        );
        let by = r#"{"managedFields":[{"manager":"argocd-controller","operation":"Apply",
            "fieldsV1":{"f:data":{"f:tls.crt":{}}}}]}"#;
        assert_eq!(who(by), ["Argo CD (manager argocd-controller)"]);
    }

    #[test]
    fn sources_of_copies_are_known() {
        let copied = |json: &str| copied_by(&serde_json::from_str(json).unwrap());
        let source =
            r#"{"annotations":{"reflector.v1.k8s.emberstack.com/reflection-allowed":"true"}}"#;
        assert_eq!(copied(source), Some("Reflector"));
        assert!(who(source).is_empty());
        let off = r#"{"annotations":{"replicator.v1.mittwald.de/replication-allowed":"false"}}"#;
        assert_eq!(copied(off), None);
    }

    #[test]
    fn people_and_scripts_own_nothing() {
        let by = r#"{"managedFields":[{"manager":"kubectl-create","operation":"Update",
            "fieldsV1":{"f:data":{"f:tls.crt":{}}}}],"ownerReferences":[{"kind":"X","name":"y"}]}"#;
        assert!(who(by).is_empty());
    }
}
