//! `kubernetes:`, a secret of a cluster in place of files on the host.

use super::spec::{KUBERNETES, known};
use super::task::{ClusterSecret, Pair, VerifyChoice};
use crate::model::RemotePath;
use crate::playbook::values::Values;
use crate::source::{Node, Value};
use std::path::Path;

/// The keys of a secret of type `kubernetes.io/tls`.
const VALUES: [&str; 2] = ["tls.crt", "tls.key"];

/// Renders `kubernetes:`.
pub(super) fn cluster(
    node: Option<&Node>,
    directory: &Path,
    values: &mut Values<'_>,
) -> Option<ClusterSecret> {
    let node = node.filter(|node| node.value != Value::Null)?;
    let rendered = match node.as_map() {
        Some(_) => node.clone(),
        None => Node::from_json(&values.json(node)?, node.span.as_ref()),
    };
    if rendered.as_map().is_none() {
        values.wrong(node, "'kubernetes' takes a mapping", EXAMPLE);
        return None;
    }
    known(Some(&rendered), "kubernetes", &KUBERNETES, &mut values.found);
    if cfg!(not(feature = "kubernetes")) {
        values.wrong(
            node,
            "this certroll was built without Kubernetes",
            "build it with the feature `kubernetes`",
        );
    }
    let entry = |key| rendered.entry(key).filter(|node| node.value != Value::Null);
    let mut name = |key: &'static str, longest: usize, dots: bool| {
        let Some(written) = entry(key) else {
            values.wrong(&rendered, format!("'kubernetes' needs '{key}'"), EXAMPLE);
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
pub(super) fn destinations(cluster: &ClusterSecret, pairs: &mut [Pair]) {
    let path = |value: &str| {
        RemotePath::new(format!("/{}/{}/{value}", cluster.namespace, cluster.secret)).ok()
    };
    for pair in pairs {
        pair.dest.cert = path(VALUES[0]);
        pair.dest.key = path(VALUES[1]);
    }
}

/// Where a cluster's certificate is served cannot be guessed.
pub(super) fn needs_verify(verify: &VerifyChoice, node: &Node, values: &mut Values<'_>) {
    let message = match verify {
        VerifyChoice::Profile => {
            "a cluster's secret needs 'verify': where it is served cannot be guessed"
        }
        VerifyChoice::Endpoints(places) if places.iter().any(|place| place.endpoint.is_none()) => {
            "each place of a cluster's secret needs its 'endpoint'"
        }
        VerifyChoice::Endpoints(_) | VerifyChoice::Off => return,
    };
    values.wrong(node, message, WHERE);
}

const WHERE: &str = "verify: {endpoint: 'www.example.net:443'}, or verify: false";

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
