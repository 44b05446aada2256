//! `kubernetes:`, a secret of a cluster in place of files on the host.

use crate::model::RemotePath;
use crate::playbook::certificate::store::ClusterSecret;
use crate::playbook::certificate::task::Dest;
use crate::playbook::values::Values;
use crate::source::{Node, Value};
use std::path::Path;

/// The keys of a secret of type `kubernetes.io/tls`.
const VALUES: [&str; 2] = ["tls.crt", "tls.key"];

/// Renders the mapping of `kubernetes:`.
pub(super) fn cluster(
    given: &Node,
    directory: &Path,
    values: &mut Values<'_>,
) -> Option<ClusterSecret> {
    if cfg!(not(feature = "kubernetes")) {
        values.wrong(
            given,
            "this certroll was built without Kubernetes",
            "build it with the feature `kubernetes`",
        );
    }
    let entry = |key| given.entry(key).filter(|node| node.value != Value::Null);
    let mut name = |key: &'static str, longest: usize, dots: bool| {
        let Some(written) = entry(key) else {
            values.wrong(given, format!("'kubernetes' needs '{key}'"), EXAMPLE);
            return None;
        };
        let text = values.text(Some(written))?;
        if !is_name(&text, longest, dots) {
            let help =
                "lower case letters, digits and '-', beginning and ending with a letter or digit";
            values.wrong(written, format!("'{text}' is not a name of Kubernetes"), help);
            return None;
        }
        Some(text)
    };
    let (namespace, secret) = (name("namespace", 63, false), name("secret", LONGEST, true));
    let kubeconfig = values.text(entry("kubeconfig"));
    let kubeconfig = kubeconfig.map(|text| values.local_file(&text, directory));
    let context = values.text(entry("context"));
    let mut flag = |key| values.flag(entry(key)).unwrap_or(false);
    let (keep_previous, take_over, create) =
        (flag("keep_previous"), flag("take_over"), flag("create"));
    Some(ClusterSecret {
        kubeconfig,
        context,
        namespace: namespace?,
        secret: secret?,
        keep_previous,
        take_over,
        create,
    })
}

/// Names have at most 253 characters; the secret with the previous pair has a longer one.
const LONGEST: usize = 253 - "-certroll-previous".len();
const EXAMPLE: &str = "kubernetes: {namespace: web, secret: www-tls}";

/// A DNS label (RFC 1123), or with `dots` a name of several.
fn is_name(text: &str, longest: usize, dots: bool) -> bool {
    let label = |label: &str| {
        let safe = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty()
            && label.bytes().all(safe)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= longest && if dots { text.split('.').all(label) } else { label(text) }
}

/// Where the pair is in the plan: `/NAMESPACE/SECRET/tls.crt` and `tls.key`.
pub(super) fn dest(cluster: &ClusterSecret) -> Dest {
    let path = |value: &str| {
        RemotePath::new(format!("/{}/{}/{value}", cluster.namespace, cluster.secret)).ok()
    };
    Dest { cert: path(VALUES[0]), key: path(VALUES[1]), ..Dest::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_kubernetes() {
        assert!(is_name("web-1", 63, false));
        assert!(is_name("www.example.net", 253, true));
        for wrong in ["", "-a", "a-", "A", "a/b", "a..b", "a b", ".."] {
            assert!(!is_name(wrong, 253, true), "{wrong}");
        }
        assert!(!is_name("a.b", 63, false));
        assert!(!is_name(&"a".repeat(64), 63, false));
    }
}
