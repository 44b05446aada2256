use super::*;
use crate::model::*;
use crate::source::render::render as shown;
use crate::source::{Diagnostics, Node};
use crate::source::{SourceFile, Vars, yaml};
use crate::template::Scope;
use crate::template::Templates;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

fn rendered(text: &str) -> Result<CertificateTask, RenderError> {
    let (node, _) = yaml::parse(&SourceFile::new("task.yml", text)).unwrap();
    let mut found = Diagnostics::default();
    let spec = CertificateSpec::parse(&node, &mut found).unwrap();
    assert!(!found.has_errors(), "{}", shown(&found, false, 100));
    let templates = Templates::new(PathBuf::from("."), Arc::new(|_| Err("no".to_owned())));
    let vars = Vars::from([
        ("host".to_owned(), Node::text("h1")),
        ("odd".to_owned(), Node::text("a b; $(c) 'd")),
        (
            "places".to_owned(),
            yaml::parse(&SourceFile::new("v", "{cert: /c.pem, key: /k.pem}")).unwrap().0,
        ),
    ]);
    let scope =
        Scope::new(templates, vec![Arc::new(vars)]).mark_unknown(["later".to_owned()].into());
    render(&spec, &scope, Path::new("/play"))
}

fn refused(text: &str) -> String {
    match rendered(text) {
        Err(RenderError::Wrong(found)) => shown(&found, false, 100),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_template_may_give_a_whole_mapping() {
    let written =
        |dest: &str| format!("service: nginx\nsource: \"{{{{ places }}}}\"\ndest: {dest}\n");
    let pair = &rendered(&written("\"{{ places }}\"")).unwrap().pairs[0];
    assert_eq!(pair.cert.label(), "/c.pem");
    assert_eq!(
        (
            pair.dest.cert.as_ref().and_then(RemotePath::to_str),
            pair.dest.key.as_ref().and_then(RemotePath::to_str)
        ),
        (Some("/c.pem"), Some("/k.pem"))
    );
    let list = "service: nginx\ncertificates: ['{{ {\"source\": places, \"dest\": places} }}']\n";
    assert_eq!(
        rendered(list).unwrap().pairs[0].dest.cert.as_ref().and_then(RemotePath::to_str),
        Some("/c.pem")
    );
    // What is none is not left out silently.
    assert!(refused(&written("'{{ host }}'")).contains("'dest' takes a mapping"));
    let misspelt = list.replace("\"dest\"", "\"desk\"");
    assert!(refused(&misspelt).contains("unknown key 'desk'"));
}

#[test]
fn omitted_places_are_the_profile_s() {
    let written = |dest: &str| {
        let text = format!("service: nginx\nsource: {{cert: a.pem}}\ndest: \"{dest}\"\n");
        rendered(&text).unwrap().pairs
    };
    let pairs = written("{{ nothing | default(omit) }}");
    assert_eq!((pairs.len(), pairs[0].dest.cert.as_ref()), (1, None));
    let pairs = written("{{ places | default(omit) }}");
    assert!(pairs[0].dest.cert.is_some());
}

#[test]
fn words_of_templates_count_as_if_written() {
    let task = |keys: &str| {
        rendered(&format!("service: nginx\nsource: {{cert: a, key: b}}\n{keys}\n")).unwrap()
    };
    for off in ["'{{ \"none\" }}'", "'{{ false }}'", "'{{ \"False\" }}'", "'{{ \"no\" }}'", "none"]
    {
        assert_eq!(task(&format!("reload: {off}")).reload, Some(ReloadChoice::None), "{off}");
        assert_eq!(task(&format!("validate: {off}")).validate, Some(Validation::Off), "{off}");
        assert!(matches!(task(&format!("verify: {off}")).verify, VerifyChoice::Off), "{off}");
    }
    for default in ["'{{ true }}'", "'{{ \"yes\" }}'", "'{{ none }}'", "true"] {
        assert_eq!(task(&format!("reload: {default}")).reload, None, "{default}");
        assert_eq!(task(&format!("validate: {default}")).validate, None, "{default}");
        assert!(matches!(task(&format!("verify: {default}")).verify, VerifyChoice::Profile));
    }
    assert_eq!(task("validate: '{{ \"boot\" }}'").validate, Some(Validation::Boot));
    let shell = task("reload: '{{ {\"shell\": \"a | b\"} }}'").reload;
    assert_eq!(shell, Some(ReloadChoice::Command(CommandLine::Shell("a | b".into()))));
    let places = |keys: &str| match task(keys).verify {
        VerifyChoice::Endpoints(specs) => specs
            .iter()
            .map(|spec| (spec.endpoint.as_ref().map(ToString::to_string), spec.consecutive))
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let one = vec![(Some("a:1".to_owned()), 2)];
    assert_eq!(places("verify: '{{ {\"endpoint\": \"a:1\", \"consecutive\": 2} }}'"), one);
    assert_eq!(places("verify: '{{ [{\"endpoint\": \"a:1\", \"consecutive\": 2}] }}'"), one);
    assert_eq!(places("verify: ['{{ {\"endpoint\": \"a:1\", \"consecutive\": 2} }}']"), one);
    assert_eq!(places("verify: '{{ \"a:1\" }}'"), [(Some("a:1".to_owned()), 1)]);
    let misspelt =
        "service: nginx\nsource: {cert: a, key: b}\nverify: '{{ {\"endpiont\": \"a:1\"} }}'\n";
    assert!(refused(misspelt).contains("unknown key 'endpiont'"));
}

#[test]
fn every_key_becomes_its_type() {
    let task = rendered(
        "service: [postfix, dovecot]\nsource: {cert: 'c/{{ host }}.pem', key: /k.pem}\n\
         dest: {cert: /etc/c.pem, key: /etc/k.pem}\nowner: root\nmode: '0644'\nkey_mode: 0600\n\
         validate: postfix check\nreload: [postfix, reload, '{{ odd }}']\nconfirm: prompt\nbackups: 5\n\
         validate_timeout: 1m\nverify:\n- {endpoint: ['{{ host }}:25', 'x:587'], starttls: smtp, attempts: 5, \
         backoff: 2s, max_backoff: 2s}\n- '[::1]:993'\nchecks:\n- {command: CHECK, on: host}\n"
            .replace("CHECK", "'curl -f {{ odd }}'")
            .as_str(),
    )
    .unwrap();
    assert_eq!(task.services, ["postfix", "dovecot"]);
    assert_eq!(task.pairs[0].cert.label(), "/play/c/h1.pem");
    assert_eq!(task.pairs[0].key.as_ref().unwrap().label(), "/k.pem");
    assert_eq!(task.ownership.key_mode, Some(FileMode::new(0o600)));
    let argv = |words: &[&str]| CommandLine::Argv(words.iter().map(|&w| w.to_owned()).collect());
    assert_eq!(task.validate, Some(Validation::Command(argv(&["postfix", "check"]))));
    let reload = argv(&["postfix", "reload", "a b; $(c) 'd"]);
    assert_eq!(task.reload, Some(ReloadChoice::Command(reload)));
    assert_eq!(task.checks[0].command, argv(&["curl", "-f", "a b; $(c) 'd"]));
    assert_eq!(task.validate_timeout, Duration::from_secs(60));
    let VerifyChoice::Endpoints(specs) = &task.verify else { panic!() };
    let places: Vec<_> = specs.iter().map(|s| s.endpoint.as_ref().unwrap().to_string()).collect();
    assert_eq!(places, ["h1:25", "x:587", "[::1]:993"]);
    assert_eq!(specs[0].backoff.waits().map(|w| w.as_secs()).collect::<Vec<_>>(), [2, 2, 2, 2]);
}

#[test]
fn every_wrong_value_is_told_at_once() {
    insta::assert_snapshot!(refused(
        "service: nginx\nsource: {cert: a.pem}\ndest: {cert: relative.pem}\nmode: 640\n\
         verify: {endpoint: nowhere, timeout: soon, starttls: tls}\nconfirm: maybe\nowner: '{{ hots }}'\n"
    ));
}

#[test]
fn waits_that_make_no_sense_are_told() {
    let wrong = [
        "attempts: 0, timeout: 0s",
        "attempts: -1, backoff: -1",
        "attempts: 1001, max_backoff: -5s",
        "attempts: 2.5, backoff: 20s",
        "backoff: 10s, max_backoff: 5s",
        "attempts: yes, consecutive: 0",
    ];
    let list: Vec<String> =
        wrong.iter().map(|keys| format!("- {{endpoint: 'h:443', {keys}}}\n")).collect();
    insta::assert_snapshot!(refused(&format!(
        "service: nginx\nsource: {{cert: a.pem}}\nverify:\n{}",
        list.concat()
    )));
}

#[test]
fn a_wait_that_is_given_alone_counts() {
    let waits = |keys: &str| {
        let text = format!(
            "service: nginx\nsource: {{cert: a.pem}}\nverify: {{endpoint: 'h:443', attempts: 4, {keys}}}\n"
        );
        let VerifyChoice::Endpoints(places) = rendered(&text).unwrap().verify else { panic!() };
        places[0].backoff.waits().map(|wait| wait.as_millis()).collect::<Vec<_>>()
    };
    assert_eq!(waits("backoff: 20s"), [20_000; 3]);
    assert_eq!(waits("max_backoff: 500ms"), [500; 3]);
    assert_eq!(waits("backoff: 100ms, max_backoff: 300ms"), [100, 200, 300]);
}

#[test]
fn what_the_run_will_set_is_not_an_error() {
    let result = rendered("service: nginx\nsource: {cert: '{{ later.stdout }}'}\n");
    assert!(matches!(result, Err(RenderError::NotYetKnown(name)) if name == "later"));
}
