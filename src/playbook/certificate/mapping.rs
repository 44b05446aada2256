//! Mappings within a certificate task, which a template may give.

use super::spec::known;
use crate::playbook::values::Values;
use crate::source::Node;

/// The node, rendered if it is a template: it must be a mapping with these keys.
pub(super) fn mapping(
    node: &Node,
    what: &'static str,
    keys: &[&str],
    values: &mut Values<'_>,
) -> Option<Node> {
    let rendered = match node.as_map() {
        Some(_) => node.clone(),
        None => Node::from_json(&values.json(node)?, node.span.as_ref()),
    };
    if rendered.as_map().is_none() {
        values.wrong(node, format!("'{what}' takes a mapping"), "");
        return None;
    }
    known(Some(&rendered), what, keys, &mut values.found);
    Some(rendered)
}
