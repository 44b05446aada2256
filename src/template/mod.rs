//! Jinja templates as Ansible renders them, over lazily resolved variables.
//!
//! [`Templates`] holds the engine with its filters and tests, [`Scope`] the variables that one host sees in
//! one task. A text that is a single expression keeps its type, anything around it makes text; a name
//! that is not defined is an error unless `default`, `defined` or `undefined` looked at it. Values that only
//! the run itself can know ([`Scope::mark_unknown`]) give [`TemplateError::NotYetKnown`].

mod backslashes;
mod collections;
mod convert;
mod draw;
mod engine;
mod error;
mod evaluation;
pub(crate) mod facts;
mod filters;
mod json_text;
mod lookups;
mod moment;
mod names;
mod omit;
mod opened;
mod passwords;
mod predicates;
mod problems;
mod record;
mod rendering;
mod scope;
mod setup;
mod text;
mod yaml_text;

pub(crate) use convert::python_repr;
pub use engine::Templates;
pub(crate) use engine::{Decrypt, is_template};
pub(crate) use error::TemplateError;
pub(crate) use filters::{replacement, to_json};
pub(crate) use opened::Opened;
pub(crate) use scope::ANYTHING;
pub(crate) use scope::HostVars;
pub use scope::Scope;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Node, SourceFile, Value as Source, Vars, yaml};
    use serde_json::{Value as Json, json};
    use std::path::PathBuf;
    use std::sync::Arc;

    fn scope(vars: &str) -> Scope {
        let decrypt: Decrypt = Arc::new(|_| Ok("opened".to_owned()));
        let templates = Templates::new(PathBuf::from("."), decrypt);
        let (node, _) = yaml::parse(&SourceFile::new("vars.yml", vars)).unwrap();
        let Source::Map(entries) = node.value else { panic!("no mapping") };
        let vars: Vars = entries
            .into_iter()
            .map(|(key, value)| (key.as_str().unwrap().to_owned(), value))
            .collect();
        Scope::new(templates, vec![Arc::new(vars)])
    }

    fn text(template: &str) -> Node {
        Node { value: Source::Text(template.to_owned()), span: None }
    }

    #[track_caller]
    fn gives(vars: &str, template: &str, expected: Json) {
        assert_eq!(scope(vars).render(&text(template)), Ok(expected), "{template}");
    }

    #[track_caller]
    fn fails(vars: &str, template: &str) -> String {
        let error = scope(vars).render(&text(template)).expect_err(template);
        error.diagnostic().to_string()
    }

    #[test]
    fn a_single_expression_keeps_its_type() {
        gives("i: 5", "{{ i }}", json!(5));
        gives("i: 5", "{{ i }}{{ i }}", json!("55"));
        gives("i: 5", " {{ i }}", json!(" 5"));
        gives("i: 5\nj: '{{ i }}'\nk: '{{ j }}'", "{{ k }}", json!(5));
        gives("l: [1, '{{ i }}']\ni: 2", "{{ l }}", json!([1, 2]));
        gives("d: {a: {b: yes}}", "{{ d }}", json!({"a": {"b": true}}));
        gives("d: {a: x}", "{{ '}}' ~ d.a }}", json!("}}x"));
    }

    #[test]
    fn text_is_spelt_as_python_does() {
        gives("t: true\nn: ~", "x{{ t }}{{ n }}y", json!("xTruey"));
        gives("l: [1, a]", "{{ l }} ", json!("[1, 'a'] "));
        gives("d: {'a': 1}", "is {{ d }}", json!("is {'a': 1}"));
        gives("x: 1", "{{ 3 / 2 }} {{ 7 // 2 }} {{ 2 ** 3 }}", json!("1.5 3 8"));
        gives("x: a\n", "{{ x }}\n", json!("a\n"));
    }

    #[test]
    fn undefined_names_are_errors_unless_asked_about() {
        assert_eq!(fails("host: 1", "a {{ hots }}"), "'hots' is undefined");
        gives("a: 1", "{{ nope | default('z') }}", json!("z"));
        gives("a: 1", "{{ nope.x.y | default('z') }}", json!("z"));
        gives("d: {}", "{{ d.b.c | default('z') }}", json!("z"));
        gives("a: 1", "{{ nope is defined }}", json!(false));
        gives("a: '{{ nope }}'", "{{ a | default('dd') }}", json!("dd"));
        gives("a: '{{ nope }}'", "{{ a is defined }}", json!(false));
        assert!(fails("a: 1", "{{ nope == 1 }}").contains("'nope' is undefined"));
        assert!(fails("a: 1", "{{ nope or 2 }}").contains("'nope' is undefined"));
        assert!(fails("a: '{{ nope }}'", "{{ a }}").contains("vars.yml:1:8: 'nope' is undefined"));
        assert!(fails("d: {a: 1}", "{{ d.b }}").contains("undefined"));
    }

    #[test]
    fn a_variable_that_refers_to_itself_is_named() {
        let error = fails("a: '{{ b }}'\nb: '{{ a }}'", "{{ a }}");
        assert!(error.contains("refers to itself") && error.contains("a → b"), "{error}");
    }

    #[test]
    fn unsafe_text_is_not_a_template_and_vault_text_is_opened() {
        gives("u: !unsafe '{{ x }}'", "{{ u }}", json!("{{ x }}"));
        gives("v: !vault '$ANSIBLE_VAULT'", "<{{ v }}>", json!("<opened>"));
    }

    #[test]
    fn conditions_must_be_boolean() {
        let scope = scope("yes_text: 'yes'\nn: 3\nr: {rc: 0, failed: false}");
        let holds = |condition: &str| scope.condition(&text(condition));
        assert_eq!(holds("n == 3 and yes_text == 'yes'"), Ok(true));
        assert_eq!(holds("{{ n > 3 }}"), Ok(false));
        assert_eq!(holds("yes_text | bool"), Ok(true));
        assert_eq!(holds("r is succeeded and r.rc == 0"), Ok(true));
        let error = |condition: &str| holds(condition).unwrap_err().diagnostic().message;
        assert_eq!(error("n"), "a condition must be true or false, this gives a number");
        assert_eq!(error(""), "a condition must not be empty");
        assert_eq!(error("nope"), "'nope' is undefined");
        assert_eq!(error("nope and true"), "'nope' is undefined");
    }

    #[test]
    fn what_the_run_will_know_is_told_apart() {
        let scope = scope("a: '{{ later.stdout }}'").mark_unknown(["later".to_owned()].into());
        let unknown = Err(TemplateError::NotYetKnown("later".to_owned()));
        assert_eq!(scope.render(&text("{{ a }}")), unknown);
        assert_eq!(scope.condition(&text("later.rc == 0")), unknown.map(|_: Json| true));
        let named = scope.clone().mark_unknown(["now".to_owned()].into());
        let unknown = Err(TemplateError::NotYetKnown("now".to_owned()));
        assert_eq!(named.render(&text("{{ now.stdout }}")), unknown);
        assert!(scope.condition(&text("later is defined")).is_err());
    }

    #[test]
    fn filters_do_as_ansibles_do() {
        for (template, expected) in [
            ("{{ 'x' | bool }}", json!(false)),
            ("{{ 'ON' | bool }}", json!(true)),
            ("{{ 1 | bool }}", json!(true)),
            ("{{ '' | default('d', true) }}", json!("d")),
            ("{{ '' | default('d') }}", json!("")),
            ("{{ true | ternary('a', 'b') }}", json!("a")),
            ("{{ {'a': 1} | combine({'b': 2}) }}", json!({"a": 1, "b": 2})),
            (
                "{{ {'a': {'x': 1}} | combine({'a': {'y': 2}}, recursive=true) }}",
                json!({"a": {"x": 1, "y": 2}}),
            ),
            ("{{ 'héllo' | b64encode | b64decode }}", json!("héllo")),
            ("{{ 'foo.bar' | regex_replace('^(.*)\\.(.*)$', '\\2-\\1') }}", json!("bar-foo")),
            ("{{ 'a1b22' | regex_findall('[0-9]+') }}", json!(["1", "22"])),
            ("{{ 'a1b22' | regex_search('b(\\d+)', '\\1') }}", json!(["22"])),
            ("{{ 'abc' | regex_search('z') }}", json!(null)),
            ("{{ {'b': 1, 'a': 'é<'} | to_json }}", json!("{\"b\": 1, \"a\": \"\\u00e9<\"}")),
            ("{{ '/etc/ssl/x.pem' | basename }}", json!("x.pem")),
            ("{{ '/etc/ssl/x.pem' | dirname }}", json!("/etc/ssl")),
            ("{{ 'x.tar.gz' | splitext }}", json!(["x.tar", ".gz"])),
            ("{{ ['/etc', 'a', 'b'] | path_join }}", json!("/etc/a/b")),
            ("{{ \"it's\" | quote }}", json!("'it'\"'\"'s'")),
            (
                "{{ 'a' | hash('sha256') }}",
                json!("ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
            ),
            ("{{ [1, [2, [3]]] | flatten }}", json!([1, 2, 3])),
            ("{{ [1, [2, [3]]] | flatten(1) }}", json!([1, 2, [3]])),
            ("{{ [1, 2] | union([2, 3]) }}", json!([1, 2, 3])),
            ("{{ [1, 2] | difference([2]) }}", json!([1])),
            ("{{ {'a': 1} | dict2items }}", json!([{"key": "a", "value": 1}])),
            ("{{ 'x' | int }}", json!(0)),
            ("{{ '7' | int + 1 }}", json!(8)),
            ("{{ '1.10' is version('1.9', '>') }}", json!(true)),
            ("{{ 'abc' is match('b') }}", json!(false)),
            ("{{ 'abc' is search('b') }}", json!(true)),
            ("{{ 'a-b'.split('-') }}", json!(["a", "b"])),
            ("{{ 'abc'.upper() }}", json!("ABC")),
            ("{{ {}.get('z', 5) }}", json!(5)),
            ("{{ [3, 1, 2] | sort | join(',') }}", json!("1,2,3")),
            ("{{ 'b' in {'b': 1} }}", json!(true)),
            ("{{ [{'n': 1}, {'n': 2}] | map(attribute='n') | list }}", json!([1, 2])),
            ("{{ lookup('env', 'CERTROLL_NOT_SET') }}", json!("")),
        ] {
            gives("a: 1", template, expected);
        }
    }

    #[test]
    fn templates_and_commands_are_looked_up() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("templates")).unwrap();
        for (name, text) in [
            (
                "a.j2",
                "{% for x in l %}\n{{ x }}={{ d.q.r | default('z') }} {{ more | default('') }}\n{% endfor %}\n",
            ),
            ("typed.j2", "{{ l }}"),
            ("missing.j2", "{{ nope }}"),
            ("wrong.j2", "\n{{ l | nosuch }}"),
            ("again.j2", "{{ lookup('template', 'again.j2') }}"),
        ] {
            std::fs::write(directory.path().join("templates").join(name), text).unwrap();
        }
        let templates =
            Templates::new(directory.path().to_owned(), Arc::new(|_| Err("no".to_owned())));
        let (node, _) = yaml::parse(&SourceFile::new("vars.yml", "[1, 2]")).unwrap();
        let (mapping, _) = yaml::parse(&SourceFile::new("vars.yml", "{p: 1}")).unwrap();
        let vars = Vars::from([("l".to_owned(), node), ("d".to_owned(), mapping)]);
        let scope = Scope::new(templates, vec![Arc::new(vars)]);
        let render = |template: &str| {
            scope.render(&text(template)).map_err(|error| error.diagnostic().to_string())
        };
        assert_eq!(render("{{ lookup('template', 'a.j2') }}"), Ok(json!("1=z \n2=z \n")));
        let more = "{{ lookup('template', 'a.j2', template_vars={'more': 'm'}) }}";
        assert_eq!(render(more), Ok(json!("1=z m\n2=z m\n")));
        assert_eq!(render("{{ lookup('template', 'typed.j2') }}"), Ok(json!([1, 2])));
        let error = |template: &str| render(template).unwrap_err();
        let missing = error("{{ lookup('template', 'missing.j2') }}");
        assert!(missing.contains("'nope' is undefined in the template missing.j2"), "{missing}");
        let wrong = error("{{ lookup('template', 'wrong.j2') }}");
        assert_eq!(wrong, "the template wrong.j2, line 2: unknown filter 'nosuch'");
        let again = error("{{ lookup('template', 'again.j2') }}");
        assert!(again.contains("the template again.j2 refers to itself"), "{again}");
        assert!(error("{{ lookup('template', 'no.j2') }}").contains("no.j2"));
        assert_eq!(render("{{ lookup('pipe', 'ls templates | head -1') }}"), Ok(json!("a.j2")));
        assert!(error("{{ lookup('pipe', 'exit 3') }}").contains("exited with code 3"));
        assert_eq!(render("{{ now(fmt='%Y') == now().year | string }}"), Ok(json!(true)));
        assert_eq!(render("{{ now(utc=true).isoformat()[10] }}"), Ok(json!("T")));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let missing = fails("d: {a: 1}", "{{ d.b }}");
        assert_eq!(missing, "'d.b' is undefined: 'd' has no 'b'");
        assert_eq!(fails("d: {a: 1}", "x {{ d.b }} y"), "'d.b' is undefined");
        let filter =
            |template: &str| scope("a: 1").render(&text(template)).unwrap_err().diagnostic();
        assert_eq!(filter("{{ a | to_nice_jsn }}").message, "unknown filter 'to_nice_jsn'");
        assert_eq!(filter("{{ a | to_nice_jsn }}").help, ["did you mean 'to_nice_json'?"]);
        assert!(filter("{{ a | ipaddr }}").help[0].starts_with("filters: "));
        assert_eq!(filter("{{ a is defned }}").help, ["did you mean 'defined'?"]);
    }

    #[test]
    fn syntax_is_checked_without_variables() {
        let templates = Templates::new(PathBuf::from("."), Arc::new(|_| Err("no".to_owned())));
        assert!(templates.syntax(&text("{{ a | }}"))[0].message.contains("not a template"));
        assert!(templates.syntax(&text("{{ a }} {% if b %}{% endif %}")).is_empty());
        assert!(templates.condition_syntax(&text("a ==")).is_some());
        assert!(templates.condition_syntax(&text("a == 1")).is_none());
    }
}
