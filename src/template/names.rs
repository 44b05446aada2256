//! Names of filters and tests, to find what was meant by one that is not there. The engine does not list its own.

/// Filters, without second names.
pub(super) const FILTERS: &[&str] = &[
    "abs",
    "attr",
    "b64decode",
    "b64encode",
    "basename",
    "batch",
    "bool",
    "capitalize",
    "checksum",
    "combine",
    "comment",
    "d",
    "default",
    "dict2items",
    "dictsort",
    "difference",
    "dirname",
    "e",
    "escape",
    "extract",
    "first",
    "flatten",
    "float",
    "format",
    "from_json",
    "from_yaml",
    "hash",
    "human_readable",
    "human_to_bytes",
    "int",
    "intersect",
    "items2dict",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "mandatory",
    "map",
    "max",
    "md5",
    "min",
    "password_hash",
    "path_join",
    "product",
    "quote",
    "random",
    "regex_escape",
    "regex_findall",
    "regex_replace",
    "regex_search",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "sha1",
    "sort",
    "split",
    "splitext",
    "string",
    "subelements",
    "sum",
    "symmetric_difference",
    "ternary",
    "title",
    "to_json",
    "to_nice_json",
    "to_nice_yaml",
    "to_yaml",
    "trim",
    "truncate",
    "type_debug",
    "union",
    "unique",
    "upper",
    "urlsplit",
    "zip",
    "zip_longest",
];

/// Tests, without second names.
pub(super) const TESTS: &[&str] = &[
    "abs",
    "all",
    "any",
    "boolean",
    "changed",
    "contains",
    "defined",
    "directory",
    "divisibleby",
    "equalto",
    "even",
    "exists",
    "failed",
    "falsy",
    "file",
    "float",
    "ge",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lower",
    "lt",
    "mapping",
    "match",
    "ne",
    "none",
    "number",
    "odd",
    "reachable",
    "regex",
    "sameas",
    "search",
    "sequence",
    "skipped",
    "string",
    "subset",
    "succeeded",
    "success",
    "superset",
    "truthy",
    "undefined",
    "unreachable",
    "upper",
    "version",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Templates;
    use minijinja::ErrorKind;
    use std::sync::Arc;

    #[test]
    fn each_is_there() {
        let templates = Templates::new(std::env::temp_dir(), Arc::new(|_| Err("no".to_owned())));
        let kind = |template: String| {
            templates.strict.render_str(&template, ()).err().map(|error| error.kind())
        };
        for name in FILTERS {
            let kind = kind(format!("{{{{ [] | {name} }}}}"));
            assert_ne!(kind, Some(ErrorKind::UnknownFilter), "{name}");
        }
        for name in TESTS {
            let kind = kind(format!("{{{{ [] is {name} }}}}"));
            assert!(
                !matches!(kind, Some(ErrorKind::UnknownTest | ErrorKind::SyntaxError)),
                "{name}"
            );
        }
        assert_eq!(kind("{{ [] | nosuch }}".to_owned()), Some(ErrorKind::UnknownFilter));
    }
}
