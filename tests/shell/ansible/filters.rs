//! Expressions give the same values, or fail in both.

use crate::ansible::oracle::{Ansible, Site, flags};
use certroll::testing::source::{Node, SourceFile, Value, Vars, yaml};
use certroll::testing::template::{Scope, Templates};
use serde_json::Value as Json;
use std::sync::Arc;

const VARS: &str = "i: 5\ns: text\nl: [3, 1, 2]\nd: {b: 1, a: {x: yes}}\nn: ~\nt: true\ne: ''\nu: 'a,b,c'\n\
                    r: {rc: 0, failed: false, changed: true, stdout_lines: [one, two]}\np: /etc/ssl/site.tar.gz\n\
                    nested: '{{ i }}-{{ s }}'\nbroken: '{{ nope }}'\nhosts_list: [{n: a, v: 1}, {n: b, v: 2}, {n: c}]\n\
                    long: 'x\ty'\n";

/// Same value in both.
const SAME: &[&str] = &[
    "{'a': 1} | to_yaml",
    "{'a': {'b': [1, 2]}, 'c': 'd'} | to_nice_yaml",
    "{'a': {'b': [1, {'c': [], 'd': {}}]}, 'e': ['x y', none, true, 1.5]} | to_yaml",
    "[[1, 2], [3], {'x': 1, 'y': [1]}] | to_nice_yaml",
    "['yes', '12', '2026-01-02', 'a: b', '#x', '*x', '', '- a', 'a #b', '0x1f', 'it\\'s', '~', 'null', '1.5', 'ü'] | to_nice_yaml",
    "{'long': ('word ' * 40) | trim, 'b': 'x: ' ~ ('word ' * 40) | trim} | to_yaml",
    "{'t': s ~ '\\n' ~ s, 'tab': long} | to_nice_yaml(indent=2)",
    "{'b': 1, 'a': 2} | to_nice_yaml(sort_keys=false)",
    "'text' | to_yaml",
    "i",
    "nested",
    "i ~ i",
    "i + 1",
    "3 / 2",
    "7 // 2",
    "2 ** 3",
    "7 % 4",
    "-i",
    "l",
    "d",
    "d.a.x",
    "d['b']",
    "l[0]",
    "l[-1]",
    "l[1:]",
    "s[1:3]",
    "(1, 2)",
    "1 in l",
    "'b' in d",
    "not t",
    "t and i == 5",
    "n",
    "n is none",
    "i is number",
    "s is string",
    "d is mapping",
    "l is iterable",
    "l is sequence",
    "1 if t else 2",
    "nope | default('z')",
    "nope.x.y | default('z')",
    "d.q.r | default('z')",
    "broken | default('dd')",
    "broken is defined",
    "nope is defined",
    "nope is undefined",
    "e | default('d')",
    "e | default('d', true)",
    "n | default('d')",
    "nope | d(1)",
    "'yes' | bool",
    "'ON' | bool",
    "1 | bool",
    "'0' | bool",
    "'no' | bool",
    "t | ternary('a', 'b')",
    "'false' | ternary('a', 'b')",
    "n | ternary(1, 2, 3)",
    "d | combine({'c': 3})",
    "d | combine({'a': {'y': 2}}, recursive=true)",
    "[d, {'z': 1}] | combine",
    "{'a': [1]} | combine({'a': [2]}, list_merge='append')",
    "s | b64encode",
    "'aMOp' | b64decode",
    "'foo.bar' | regex_replace('^(.*)\\.(.*)$', '\\2-\\1')",
    "'FOO' | regex_replace('o', 'x', ignorecase=true)",
    "'aXbX' | regex_replace('(?P<q>X)', '<\\g<q>>')",
    "'a1b22' | regex_findall('[0-9]+')",
    "'a1b22' | regex_search('[0-9]+')",
    "'a1b22' | regex_search('b(\\d+)', '\\1')",
    "'abc' | regex_search('z')",
    "'a.b*c' | regex_escape",
    "s | ansible.builtin.b64encode",
    "'a/b' | ansible.builtin.basename | ansible.builtin.regex_replace('ansible.builtin.', '')",
    "s is ansible.builtin.match('te')",
    "s is not ansible.builtin.search('zz')",
    "'x' is sequence",
    "d is sequence",
    "i is sequence",
    "'abcdefghij' | truncate(5)",
    "'abcdefghijklmno' | truncate(8)",
    "'one two three four five' | truncate(12)",
    "'one two three four five' | truncate(12, killwords=true, end='~')",
    "1024 | human_readable",
    "0 | human_readable",
    "1536000 | human_readable",
    "1536000 | human_readable(unit='K')",
    "8192 | human_readable(isbits=true)",
    "'1K' | human_to_bytes",
    "'1.5 MB' | human_to_bytes",
    "'10' | human_to_bytes",
    "'10' | human_to_bytes('K')",
    "'http://u:p@H.example:8443/p/q?q=1&r#f' | urlsplit",
    "'http://h.example:8443/p?q=1' | urlsplit('hostname')",
    "'http://h.example/p' | urlsplit('port')",
    "'/just/a/path' | urlsplit",
    "1 | random",
    "{'b': [1, {}], 'a': {'ü': none}, 'l': []} | to_nice_json",
    "{'b': [1, {}], 'a': {'ü': none}} | to_nice_json(sort_keys=false, indent=2)",
    "{'b': 1, 'a': ['ü', true]} | to_json(sort_keys=true)",
    "{'b': 1, 'a': ['ü', 1.5]} | to_json(indent=1, ensure_ascii=false)",
    "60 | random(seed='edge1.example.net')",
    "60 | random(seed=7)",
    "100 | random(1, 10, seed=s)",
    "1000000000000 | random(seed='x')",
    "100 | random(start=50, step=5, seed='ü')",
    "l | random(seed='edge2')",
    "s | random(seed=1)",
    "'one\\n\\ntwo' | comment",
    "s | comment('c')",
    "s | comment('cblock')",
    "s | comment('xml', prefix='', postfix='x\\n', postfix_count=2)",
    "s | comment(decoration='; ', prefix_count=3, end='--')",
    "s | comment(beginning='<<', newline='\\r\\n')",
    "['only'] | random",
    "['b', 'a'] | map('extract', d) | list",
    "'a' | extract(d, 'x')",
    "[{'n': 1, 'l': [1, 2]}, {'n': 2, 'l': [3]}] | subelements('l')",
    "[{'n': 1}] | subelements('l', skip_missing=true)",
    "[1, 2, 3] | zip_longest(['a'], fillvalue='-') | list",
    "d | to_json",
    "{'b': 'é<', 'a': [1, none, true]} | to_json",
    "{'b': 1, 'a': [1, {}]} | to_nice_json",
    "'{\"a\": [1]}' | from_json",
    "'a: [1, yes]' | from_yaml",
    "p | basename",
    "p | dirname",
    "'/etc/ssl/' | basename",
    "p | splitext",
    "['/etc', 'a', 'b'] | path_join",
    "['a', '/b'] | path_join",
    "\"it's\" | quote",
    "'' | quote",
    "'a b' | quote",
    "s | hash('sha256')",
    "s | hash('md5')",
    "s | checksum",
    "s | md5",
    "s | sha1",
    "[1, [2, [3]]] | flatten",
    "[1, [2, [3]]] | flatten(levels=1)",
    "[3, 1, 3, 2, 1] | unique",
    "[1, 2] | union([2, 3])",
    "[1, 2, 3] | difference([2])",
    "[1, 2, 3] | intersect([3, 2])",
    "[1, 2] | symmetric_difference([2, 3])",
    "{'a': 1, 'b': 2} | dict2items",
    "[{'key': 'a', 'value': 1}] | items2dict",
    "[1, 2] | zip([3, 4]) | list",
    "l | max",
    "l | min",
    "l | sum",
    "'x' | int",
    "'x' | int(default=7)",
    "'ff' | int(base=16)",
    "'7' | int + 1",
    "'1.5' | float",
    "1.7 | int",
    "l | sort",
    "l | sort(reverse=true)",
    "l | join('-')",
    "l | first",
    "l | last",
    "l | length",
    "l | reverse | list",
    "s | upper",
    "s | capitalize",
    "'a b' | title",
    "' x ' | trim",
    "s | replace('t', 'T')",
    "s | length",
    "u | split(',')",
    "'a b' | split",
    "u.split(',')",
    "s.upper()",
    "s.startswith('te')",
    "{}.get('z', 5)",
    "d.keys() | list",
    "d.items() | list | length",
    "s is match('te')",
    "s is match('ex')",
    "s is search('ex')",
    "s is regex('^t')",
    "'1.10' is version('1.9', '>')",
    "'2.0' is version('2.0', '<')",
    "'1.2' is version('1.2.0', '=')",
    "[1] is subset([1, 2])",
    "[1, 2] is superset([1])",
    "l is contains(1)",
    "[true, false] is any",
    "[true, true] is all",
    "r is changed",
    "r is failed",
    "r is succeeded",
    "r is success",
    "r is skipped",
    "s is truthy",
    "e is falsy",
    "hosts_list | map(attribute='n') | list",
    "hosts_list | selectattr('v', 'defined') | list",
    "hosts_list | selectattr('n', 'equalto', 'b') | list",
    "hosts_list | rejectattr('n', 'equalto', 'b') | map(attribute='n') | list",
    "l | select('odd') | list",
    "l | reject('equalto', 3) | list",
    "l | map('string') | list",
    "['a', 'b'] | map('upper') | join",
    "l | batch(2) | list",
    "range(3) | list",
    "'abc' | list",
    "'%s-%d' | format(s, i)",
    "d | dictsort",
    "'a' < 'b'",
    "[1, 2] + [3]",
    "[1] * 3",
    "s * 2",
    "'a' 'b'",
    "i if t",
    "l | string",
    "t | string",
    "1.0",
    "1e3",
    "100000000000",
    "{'k': i}",
    "[i, s]",
    "i == 5.0",
    "'5' == 5",
    "none == nope | default(none)",
    "lookup('env', 'CERTROLL_NOT_SET')",
    "lookup('file', 'note')",
    "lookup('fileglob', 'no*such')",
    "query('file', 'missing', errors='ignore')",
    "lookup('file', 'missing', errors='ignore')",
    "lookup('env', 'CERTROLL_NOT_SET', wantlist=true)",
    "lookup('items', [1, 2], 3)",
    "query('items', [1, [2]], 3)",
    "query('list', [1, [2]], 3)",
    "lookup('pipe', 'echo a; echo b')",
    "lookup('ansible.builtin.pipe', 'pwd') | basename | length > 0",
    "query('pipe', 'echo a', 'echo b')",
    "lookup('template', 'page.j2')",
    "lookup('template', 'page.j2', template_vars={'more': 'm'})",
    "lookup('template', 'typed.j2')",
    "now(fmt='%Y-%m-%d') == now().strftime('%Y-%m-%d')",
    "now(utc=true, fmt='%Y-%m-%dT%H')",
    "now(utc=true).year",
    "now(true, '%j')",
    "now().isoformat()[10]",
    "(now() ~ '')[10]",
    "now().timestamp() > 1700000000",
    "now().weekday()",
    "query('dict', d, {'z': 1})",
    "lookup('dict', {'z': 1})",
    "query('together', [1, 2], ['a'], [[5, 6], 7])",
    "query('sequence', '4')",
    "query('sequence', '4:host%02d')",
    "query('sequence', '2-10/2')",
    "query('sequence', 'start=3840 count=4 format=%04x')",
    "query('sequence', 'start=10 end=0 stride=-5')",
    "query('sequence', 'start=1 count=5 stride=2')",
    "query('sequence', start=1, end=3, format='%3d.')",
    "query('sequence', 'count=0')",
    "lookup('first_found', ['missing', 'note']) | basename",
    "query('first_found', {'files': 'missing,nothing', 'skip': true})",
    "query('first_found', 'missing', skip=true)",
    "query('first_found', {'files': ['missing', 'note'], 'paths': ['nowhere', '.']}) | map('basename')",
    "lookup('first_found', files=['missing', 'note']) | basename",
    "l | join(', ', attribute=none)",
    "'a\\nb'",
    "long",
    "'x' ~ n",
    "'x' ~ t",
    "[[1, 2], [3]] | sum(start=[])",
    "'a-b_c' | regex_replace('[-_]', '')",
    "'ABC' | lower | list | last",
    "(l | sort)[0]",
    "l | sort | first",
    "d | length",
    "'b' not in l",
    "1 < i <= 5",
    "'key: v' | from_yaml",
    "'/a/b' is abs",
    "'note' | basename | splitext | first",
    "[1, 2, 3] | product([4]) | list",
    "['a', 'b'] | zip([1, 2]) | map('join', '=') | list",
    "{'a': 1}.a",
    "s | type_debug",
    "'x' | mandatory",
    "[3, [1]] | flatten | sort",
    "'{{ i }}'",
    "0 | bool",
    "'' | length == 0",
    "'a' in 'abc'",
    "l == [3, 1, 2]",
    "1 is odd",
    "2 is even",
    "4 is divisibleby(2)",
    "'a' is lower",
    "'A' is upper",
    "1 is integer",
    "1.5 is float",
    "t is boolean",
    "true is true",
    "false is false",
    "[1, none] | select | list",
    "['a', ''] | select | list",
    "'é' | length",
    "'é' | upper",
    "'a,b' | split(',') | map('trim') | list",
    "u.split(',')[1]",
    "'abc'[::-1]",
    "l[::2]",
];

/// Both fail.
const FAIL: &[&str] = &[
    "nope",
    "d.q",
    "d['q']",
    "l[9]",
    "nope.x",
    "broken",
    "nope | upper",
    "1 / 0",
    "'a' + 1",
    "nope | mandatory",
    "s | nosuch",
    "s is nosuch",
    "s | comment('nope')",
    "1.5 | random(seed=1)",
    "[] | random(seed=1)",
    "[] | first",
    "'x' | b64decode",
    "i + s",
    "d + 1",
    "lookup('file', 'missing')",
    "query('dict', l)",
    "lookup('pipe', 'exit 3')",
    "lookup('template', 'missing.j2')",
    "lookup('template', 'undefined.j2')",
    "query('sequence', 'start=1')",
    "query('sequence', 'start=0x0f00 count=4')",
    "query('sequence', 'start=5 end=1')",
    "query('sequence', 'count=1 end=2')",
    "query('sequence', 'end=2 format=%d%d')",
    "query('sequence', 'end=2 size=1')",
    "query('first_found', 'missing', 'nothing')",
    "nope == 1",
    "[nope]",
    "{'a': nope}",
    "'x' if false",
    "'[1' | from_json",
    "nope ~ 'x'",
    "l | map(attribute='q') | list",
];

fn scope(site: &Site) -> Scope {
    let decrypt = Arc::new(|_: &str| Err("no".to_owned()));
    let templates = Templates::new(site.path().to_owned(), decrypt);
    let (node, _) = yaml::parse(&SourceFile::new("vars.yml", VARS)).expect("YAML");
    let entries = node.as_map().expect("a mapping").clone();
    let vars: Vars = entries
        .into_iter()
        .map(|(key, value)| (key.as_str().expect("a name").to_owned(), value))
        .collect();
    Scope::new(templates, vec![Arc::new(vars)])
}

/// What Ansible makes of each expression: the value, or why it fails.
fn evaluated(
    ansible: &mut Ansible,
    site: &Site,
    expressions: &[&str],
) -> Vec<Result<Json, String>> {
    let mut book =
        String::from("- hosts: all\n  gather_facts: false\n  vars_files: [vars.yml]\n  tasks:\n");
    for (index, expression) in expressions.iter().enumerate() {
        let message = serde_json::to_string(&format!("{{{{ {expression} }}}}")).expect("JSON");
        // In a mapping nothing is taken for the message itself; a filter of Ansible's own shows the value.
        book.push_str(&format!(
            "  - name: e{index}\n    debug: {{msg: {{value: {message}}}}}\n    ignore_errors: true\n"
        ));
    }
    std::fs::write(site.path().join("site.yml"), book).expect("a playbook");
    let sources = ["h,".to_owned()];
    let mut args = flags(&sources);
    args.extend(["-e", "ansible_connection=local", "site.yml"]);
    let answer = ansible.ask("ansible-playbook", &args, site.path());
    let mut results = Vec::new();
    for index in 0..expressions.len() {
        let header = format!("TASK [e{index}] ");
        let at = answer
            .stdout
            .find(&header)
            .unwrap_or_else(|| panic!("{}\n{}", answer.stdout, answer.stderr));
        let rest = &answer.stdout[at + header.len()..];
        let body = rest.split("\nTASK [").next().expect("a part");
        results.push(match body.split_once("ok: [h] => ") {
            Some((_, json)) => {
                let end = json.find("\n}").expect("an end") + 2;
                let json: Json = serde_json::from_str(&json[..end]).expect("JSON");
                Ok(json["msg"]["value"].clone())
            }
            None => Err(body.to_owned()),
        });
    }
    results
}

fn ours(scope: &Scope, expression: &str) -> Result<Json, String> {
    let node = Node { value: Value::Text(format!("{{{{ {expression} }}}}")), span: None };
    scope.render(&node).map_err(|error| error.diagnostic().message)
}

#[test]
fn expressions_give_the_same_values() {
    let Some(mut ansible) = Ansible::start() else { return };
    let site = Site::new(&[
        ("vars.yml", VARS),
        ("note", "a note\n"),
        (
            "templates/page.j2",
            "{% for x in l | sort %}\n{{ x }} {{ nested }}\n{% endfor %}\n{{ more | default('-') }}\n",
        ),
        ("templates/typed.j2", "{{ d }}"),
    ]);
    let scope = scope(&site);
    let mut found = Vec::new();
    for (expression, theirs) in SAME.iter().zip(evaluated(&mut ansible, &site, SAME)) {
        let ours = ours(&scope, expression);
        if theirs.as_ref().ok() != ours.as_ref().ok() || ours.is_err() {
            found.push(format!("{expression}\n    Ansible  {theirs:?}\n    certroll {ours:?}"));
        }
    }
    assert!(found.is_empty(), "{} differences\n{}", found.len(), found.join("\n"));
}

#[test]
fn expressions_fail_in_both() {
    let Some(mut ansible) = Ansible::start() else { return };
    let site = Site::new(&[("vars.yml", VARS), ("templates/undefined.j2", "{{ nope }}\n")]);
    let scope = scope(&site);
    let mut found = Vec::new();
    for (expression, theirs) in FAIL.iter().zip(evaluated(&mut ansible, &site, FAIL)) {
        let ours = ours(&scope, expression);
        if theirs.is_ok() || ours.is_ok() {
            found.push(format!("{expression}\n    Ansible  {theirs:?}\n    certroll {ours:?}"));
        }
    }
    assert!(found.is_empty(), "{} differences\n{}", found.len(), found.join("\n"));
}
