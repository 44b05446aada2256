//! `docs/playbook.schema.json`, for editors: made of the tables of `docs/playbook.md` and `docs/modules.md`, whose keys are the
//! parser's own (`docs.rs` keeps them in step). Every example of the project is held against it, as are the built-in
//! profiles against theirs.

use certroll::testing::services::json_schema;
use certroll::testing::source::{Node, SourceFile, Value as Yaml, yaml};
use serde_json::{Map, Value, json};
use std::path::Path;

const STORED: &str = "docs/playbook.schema.json";

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A row of a table: key, type, default and meaning.
struct Row {
    key: String,
    kind: String,
    required: bool,
    about: String,
}

fn rows(page: &str, heading: &str) -> Vec<Row> {
    let section = page.split(&format!("\n{heading}\n")).nth(1).expect(heading);
    let section = section.split("\n#").next().expect("a part");
    let row = |line: &str| {
        let cells: Vec<&str> = line.strip_prefix("| `")?.split('|').map(str::trim).collect();
        let [key, kind, default, about @ ..] = cells.as_slice() else { return None };
        Some(Row {
            key: key.split('`').next()?.to_owned(),
            kind: (*kind).to_owned(),
            required: *default == "required",
            about: about.join("|").trim_end_matches('|').to_owned(),
        })
    };
    section.lines().filter_map(row).collect()
}

/// What a value may be, by the words of the `Type` column. What is not *plain* may be a template, which is text.
fn kinds(kind: &str) -> Vec<&'static str> {
    let (kind, plain) = match kind.strip_prefix("plain ") {
        Some(rest) => (rest, true),
        None => (kind, false),
    };
    let has = |words: &[&str]| words.iter().any(|word| kind.contains(word));
    let mut kinds = Vec::new();
    if has(&["boolean", "true or false", "condition", "or false"]) {
        kinds.push("boolean");
    }
    if has(&["number", "seconds", "time", "percentage", "text", "list", "name"]) {
        kinds.push("number");
    }
    if has(&["list", "command"]) {
        kinds.push("array");
    }
    if has(&["mapping", "hash", "{", "command", "the same", "as "]) {
        kinds.push("object");
    }
    if !plain || !has(&["boolean", "number"]) || has(&["percentage", "list"]) {
        kinds.push("string");
    }
    kinds
}

fn value(row: &Row) -> Value {
    let about = match row.about.is_empty() {
        true => row.kind.clone(),
        false => format!("{}: {}", row.kind, row.about),
    };
    if row.kind == "any" || row.kind.is_empty() {
        return json!({ "description": about });
    }
    json!({ "type": kinds(&row.kind), "description": about })
}

/// A mapping with the keys of a table.
fn object(page: &str, heading: &str) -> Value {
    let rows = rows(page, heading);
    assert!(!rows.is_empty(), "{heading}");
    let properties: Map<String, Value> =
        rows.iter().map(|row| (row.key.clone(), value(row))).collect();
    let mut made =
        json!({ "type": "object", "additionalProperties": false, "properties": properties });
    let required: Vec<&str> =
        rows.iter().filter(|row| row.required).map(|row| row.key.as_str()).collect();
    if !required.is_empty() {
        made["required"] = json!(required);
    }
    made
}

/// Puts a schema in place of the plain one of a key, which keeps its description.
fn refine(object: &mut Value, key: &str, mut schema: Value) {
    let known = object["properties"].get(key).unwrap_or_else(|| panic!("no {key}"));
    schema["description"] = known["description"].clone();
    object["properties"][key] = schema;
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn template_or(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "string" }] })
}

fn certificate(page: &str) -> Value {
    let mut made = object(page, "## certificate");
    refine(&mut made, "source", template_or(reference("source")));
    refine(&mut made, "dest", template_or(reference("dest")));
    let pairs = json!({ "type": "array", "items": reference("certificates"), "minItems": 1 });
    refine(&mut made, "certificates", template_or(pairs));
    let verify = json!({ "anyOf": [
        { "type": ["boolean", "string"] },
        reference("verify"),
        { "type": "array", "items": template_or(reference("verify")) },
    ] });
    refine(&mut made, "verify", verify);
    let checks = json!({ "type": "array", "items": reference("check") });
    refine(&mut made, "checks", template_or(checks));
    // One of several keys is needed, which the parser tells.
    made.as_object_mut().expect("a mapping").remove("required");
    made
}

/// The arguments of a module: a mapping, or one text.
fn module(arguments: Value) -> Value {
    json!({ "anyOf": [arguments, { "type": ["string", "null"] }] })
}

fn modules(page: &str, of_hosts: &str) -> Map<String, Value> {
    let mut modules = Map::new();
    let loose = |object: Value| {
        let mut object = object;
        object.as_object_mut().expect("a mapping").remove("required");
        object
    };
    let command = json!({ "anyOf": [
        loose(object(page, "## command, shell")),
        { "type": ["string", "array", "null"] },
    ] });
    modules.insert("command".into(), command.clone());
    modules.insert("shell".into(), command);
    for name in ["debug", "assert", "fail", "pause", "wait_for"] {
        modules.insert(name.into(), module(loose(object(page, &format!("## {name}")))));
    }
    for name in of_hosts.lines().filter_map(|line| line.strip_prefix("## ")) {
        if !name.contains(' ') {
            // Arguments may also stand in `args`.
            modules.insert(name.into(), module(loose(object(of_hosts, &format!("## {name}")))));
        }
    }
    for name in
        ["set_fact", "include_vars", "include_tasks", "import_tasks", "include_role", "import_role"]
    {
        modules.insert(name.into(), json!({ "type": ["object", "string"] }));
    }
    modules.insert("meta".into(), json!({ "type": "string" }));
    modules.insert("certificate".into(), template_or(reference("certificate")));
    modules
}

fn task(page: &str, of_hosts: &str) -> Value {
    let mut made = object(page, "## Task");
    refine(&mut made, "loop_control", reference("loop_control"));
    let properties = made["properties"].as_object_mut().expect("a mapping");
    let modules = modules(page, of_hosts);
    let long: Map<String, Value> = modules
        .iter()
        .map(|(name, schema)| (format!("^ansible\\.builtin\\.{name}$"), schema.clone()))
        .collect();
    properties.extend(modules);
    for block in ["block", "rescue", "always"] {
        properties.insert(block.into(), reference("tasks"));
    }
    made["patternProperties"] = Value::Object(long);
    made
}

fn schema() -> Value {
    let (page, of_hosts) = (read("docs/playbook.md"), read("docs/modules.md"));
    let mut play = object(&page, "## Play");
    for key in ["pre_tasks", "tasks", "post_tasks", "handlers"] {
        refine(&mut play, key, reference("tasks"));
    }
    // The list that is not read is one text.
    refine(
        &mut play,
        "roles",
        json!({ "type": "array", "items": { "type": ["object", "string"] } }),
    );
    let import = json!({
        "type": "object",
        "required": ["import_playbook"],
        "properties": {
            "import_playbook": { "type": "string", "description": "the plays of that file" },
            "ansible.builtin.import_playbook": { "type": "string" },
            "name": {}, "vars": {}, "tags": {}, "when": {},
        },
        "additionalProperties": false,
    });
    let mut pair = object(&page, "### certificates");
    refine(&mut pair, "source", template_or(reference("source")));
    refine(&mut pair, "dest", template_or(reference("dest")));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "certroll playbook",
        "anyOf": [
            { "type": "array", "items": { "anyOf": [reference("play"), reference("import")] } },
            reference("tasks"),
        ],
        "$defs": {
            "play": play,
            "import": import,
            "tasks": { "type": ["array", "null"], "items": reference("task") },
            "task": task(&page, &of_hosts),
            "loop_control": object(&page, "### loop_control"),
            "certificate": certificate(&page),
            "source": without_required(object(&page, "### source")),
            "dest": without_required(object(&page, "### dest")),
            "certificates": pair,
            "verify": without_required(object(&page, "### verify")),
            "check": without_required(object(&page, "### checks")),
        },
    })
}

fn without_required(mut object: Value) -> Value {
    object.as_object_mut().expect("a mapping").remove("required");
    object
}

// ---------------------------------------------------------------- holding a value against a schema

/// Where and why a value does not fit; `None`: it does. Knows the words that the two schemas use, and stops at any other.
fn misfit(schema: &Value, root: &Value, value: &Value, at: &str) -> Option<String> {
    const ABOUT: [&str; 4] = ["$schema", "title", "description", "$defs"];
    let schema = schema.as_object().expect("a schema is a mapping");
    schema.iter().filter(|(word, _)| !ABOUT.contains(&word.as_str())).find_map(|(word, rule)| {
        let list = || rule.as_array().expect("a list");
        match word.as_str() {
            "$ref" => {
                let name = rule.as_str()?.strip_prefix('#').expect("a place in the schema");
                misfit(root.pointer(name).expect("a known place"), root, value, at)
            }
            "anyOf" => {
                let misfits: Vec<String> =
                    list().iter().map_while(|one| misfit(one, root, value, at)).collect();
                let none = misfits.len() == list().len();
                none.then(|| misfits.join("; or "))
            }
            "type" => {
                let of = match value {
                    Value::Null => "null",
                    Value::Bool(_) => "boolean",
                    Value::Number(_) => "number",
                    Value::String(_) => "string",
                    Value::Array(_) => "array",
                    Value::Object(_) => "object",
                };
                let fits =
                    |name: &Value| name == of || (name == "integer" && value.as_i64().is_some());
                let any = rule.as_array().map_or_else(|| fits(rule), |all| all.iter().any(fits));
                (!any).then(|| format!("{at} is {of}, not {rule}"))
            }
            "enum" => (!list().contains(value)).then(|| format!("{at} is none of {rule}")),
            "required" => {
                let object = value.as_object()?;
                let absent = list()
                    .iter()
                    .find(|key| !object.contains_key(key.as_str().expect("a name")))?;
                Some(format!("{at} has no {absent}"))
            }
            "properties" => {
                let object = value.as_object()?;
                let rules = rule.as_object().expect("a mapping");
                rules.iter().find_map(|(key, rule)| {
                    misfit(rule, root, object.get(key)?, &format!("{at}.{key}"))
                })
            }
            "patternProperties" => value.as_object()?.iter().find_map(|(key, inner)| {
                let rules = rule.as_object().expect("a mapping");
                let (_, rule) = rules.iter().find(|(pattern, _)| matches(pattern, key))?;
                misfit(rule, root, inner, &format!("{at}.{key}"))
            }),
            "additionalProperties" => value.as_object()?.iter().find_map(|(key, inner)| {
                let named = schema.get("properties").is_some_and(|known| known.get(key).is_some());
                let patterns = schema.get("patternProperties").and_then(Value::as_object);
                let matched = patterns.is_some_and(|all| all.keys().any(|one| matches(one, key)));
                match rule {
                    _ if named || matched => None,
                    Value::Bool(allowed) => (!allowed).then(|| format!("{at}.{key} is not known")),
                    rule => misfit(rule, root, inner, &format!("{at}.{key}")),
                }
            }),
            "propertyNames" => value
                .as_object()?
                .keys()
                .find_map(|key| misfit(rule, root, &json!(key), &format!("the name {at}.{key}"))),
            "not" => {
                misfit(rule, root, value, at).is_none().then(|| format!("{at} is one of {rule}"))
            }
            "items" => value
                .as_array()?
                .iter()
                .enumerate()
                .find_map(|(index, inner)| misfit(rule, root, inner, &format!("{at}[{index}]"))),
            "pattern" => {
                let text = value.as_str()?;
                (!matches(rule.as_str().expect("a text"), text))
                    .then(|| format!("{at} '{text}' does not match {rule}"))
            }
            "minLength" => value.as_str()?.is_empty().then(|| format!("{at} is empty")),
            "minItems" => value.as_array()?.is_empty().then(|| format!("{at} is empty")),
            "minProperties" => value.as_object()?.is_empty().then(|| format!("{at} is empty")),
            "minimum" => {
                (value.as_i64()? < rule.as_i64()?).then(|| format!("{at} is below {rule}"))
            }
            "maximum" => {
                (value.as_i64()? > rule.as_i64()?).then(|| format!("{at} is above {rule}"))
            }
            other => panic!("this test does not know '{other}'"),
        }
    })
}

fn matches(pattern: &str, text: &str) -> bool {
    fancy_regex::Regex::new(pattern).expect("a pattern").is_match(text).expect("a verdict")
}

fn json_of(node: &Node) -> Value {
    match &node.value {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => json!(value),
        Yaml::Int(value) => json!(value),
        Yaml::Float(value) => json!(value),
        Yaml::List(items) => items.iter().map(json_of).collect(),
        Yaml::Map(entries) => {
            let entry = |(key, value): (&Node, &Node)| {
                // What `on` is in YAML 1.1, which no editor's server reads.
                let key = key.as_str().filter(|key| *key != "True").unwrap_or("on");
                (key.to_owned(), json_of(value))
            };
            Value::Object(entries.iter().map(|(key, value)| entry((key, value))).collect())
        }
        _ => json!(node.as_str().unwrap_or("a secret")),
    }
}

fn parsed(name: &str, text: &str) -> Value {
    match yaml::parse(&SourceFile::new(name, text)) {
        Ok((node, _)) => json_of(&node),
        Err(_) => panic!("{name} is no YAML"),
    }
}

fn files(directory: &str, ending: &str) -> Vec<(String, String)> {
    let listed = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory));
    let names = listed.expect(directory).map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().expect("UTF-8")).collect();
    names.retain(|name| name.ends_with(ending));
    names.sort();
    names
        .into_iter()
        .map(|name| (format!("{directory}/{name}"), read(&format!("{directory}/{name}"))))
        .collect()
}

#[test]
fn the_schema_in_docs_is_made_of_the_parser_s_tables() {
    let wanted = format!("{:#}\n", schema());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(STORED);
    if std::env::var_os("CERTROLL_BLESS").is_some() {
        std::fs::write(&path, &wanted).expect("written");
    }
    assert!(read(STORED) == wanted, "run this test once with CERTROLL_BLESS=1 and commit the file");
}

#[test]
fn every_example_fits_the_schema() {
    let schema = schema();
    let mut examples = files("playbooks", ".yml");
    let pages =
        files("docs", ".md").into_iter().chain([("README.md".to_owned(), read("README.md"))]);
    for (name, text) in pages {
        for block in text.split("```yaml playbook\n").skip(1) {
            let block = block.split("\n```").next().expect("a part");
            examples.push((name.clone(), format!("{block}\n")));
        }
    }
    assert!(examples.len() > 20, "{}", examples.len());
    for (name, text) in examples {
        if let Some(why) = misfit(&schema, &schema, &parsed(&name, &text), "") {
            panic!("{name}: {why}\n{text}");
        }
    }
}

#[test]
fn what_the_parser_refuses_is_marked_in_the_editor() {
    let schema = schema();
    let refused = |text: &str| misfit(&schema, &schema, &parsed("site.yml", text), "");
    assert_eq!(
        refused("- hosts: all\n  tasks:\n  - certificate: {service: nginx, source: {cert: a}}\n"),
        None
    );
    for wrong in [
        "- host: all\n",
        "- hosts: all\n  serail: 1\n",
        "- hosts: all\n  any_errors_fatal: often\n",
        "- hosts: all\n  tasks: {debug: }\n",
        "- hosts: all\n  tasks:\n  - certficate: {service: nginx}\n",
        "- hosts: all\n  tasks:\n  - certificate: {service: nginx, sorce: {cert: a}}\n",
        "- hosts: all\n  tasks:\n  - certificate: {service: nginx, source: {crt: a}}\n",
        "- hosts: all\n  tasks:\n  - certificate: {service: nginx, source: {cert: a}, verify: {prot: 1}}\n",
        "- hosts: all\n  tasks:\n  - file: {pth: /a}\n",
        "- hosts: all\n  tasks:\n  - block: [{debg: }]\n",
    ] {
        assert!(refused(wrong).is_some(), "{wrong}");
    }
}

#[test]
fn every_built_in_profile_fits_the_schema_of_profiles() {
    let schema = json_schema();
    let profiles = files("src/services/builtin", ".yml");
    assert!(profiles.len() > 40, "{}", profiles.len());
    for (name, text) in profiles {
        if let Some(why) = misfit(&schema, &schema, &parsed(&name, &text), "") {
            panic!("{name}: {why}");
        }
    }
    for (name, text) in files("docs", ".md") {
        for block in text.split("```yaml profile\n").skip(1) {
            let block = format!("{}\n", block.split("\n```").next().expect("a part"));
            if let Some(why) = misfit(&schema, &schema, &parsed(&name, &block), "") {
                panic!("{name}: {why}\n{block}");
            }
        }
    }
    let wrong = parsed("x.yml", "layout: {key: both}\nreload: none\n");
    assert!(misfit(&schema, &schema, &wrong, "").is_some());
}
