//! Where certroll refuses what Ansible reads some way or other: each case is shown to both, so that a
//! difference which goes away is noticed too. `docs/inventory.md` lists them.

use crate::ansible::oracle::{Ansible, Site, flags};

/// Ansible goes on with exit code 0, certroll ends with these words.
fn refused(files: &[(&str, &str)], sources: &[&str], words: &str) {
    let Some(mut ansible) = Ansible::start() else { return };
    let site = Site::new(files);
    let paths = site.sources(sources);
    let mut args = flags(&paths);
    args.push("--list");
    let answer = ansible.ask("ansible-inventory", &args, site.path());
    assert_eq!(answer.code, 0, "{files:?}: {}", answer.stderr);
    match site.load(sources) {
        Ok(inventory) => panic!("{files:?} is read: {}", inventory.list_json(false, None)),
        Err(shown) => assert!(shown.contains(words), "{words}\n{shown}"),
    }
}

#[test]
fn what_is_only_warned_about_is_an_error() {
    for (text, words) in [
        ("a\n[prod:children]\nnosuch\n", "hosts:3:1"),
        ("a\n[nosuch:vars]\nx=1\n", "group 'nosuch'"),
        ("[web:foo]\na\n", "unknown kind 'foo'"),
        ("[web\na\n", "closing bracket"),
        ("[we b]\na\n", "is not a valid group name"),
        ("a foo\n", "key=value, not 'foo'"),
        ("a\n[all:vars]\nword\n", "key=value, not 'word'"),
        ("a x=\"open\n", "quote is not closed"),
        ("[a:children]\nb\n[b:children]\na\n", "loop"),
        ("[a:children]\na\n", "loop"),
        ("a[3:]\n", "needs an end"),
        ("a[5:1]\n", "ends before it starts"),
        ("a[a:5]\n", "from number to number or from letter to letter"),
        ("a[01:100]\n", "same length"),
        ("[w]\nh:\n", "ends in a colon"),
        ("h:70000\n", "is not a port number"),
        ("h:abc\n", "is not a port number"),
    ] {
        refused(&[("hosts", text)], &["hosts"], words);
    }
}

#[test]
fn wrong_shapes_of_yaml_are_errors() {
    for (text, words) in [
        ("web: {hosst: {a: }}\n", "unknown key 'hosst'"),
        ("web: {hosts: [a, b]}\n", "'hosts' of 'web' is a mapping, not a list"),
        ("web: {hosts: a}\n", "'hosts' of 'web' is a mapping, not text"),
        ("web: {vars: notadict}\n", "'vars' of 'web' is a mapping, not text"),
        ("- hosts: web\n", "an inventory is a mapping of groups, not a list"),
        ("web: {hosts: {a: }\n", "h.yml:"),
    ] {
        refused(&[("h.yml", text)], &["h.yml"], words);
    }
}

#[test]
fn sources_that_cannot_be_read_are_errors() {
    refused(&[("hosts", "a\n")], &["nosuch"], "there is no file nosuch");
    refused(&[("hosts", "a\n")], &["hosts", "nosuch"], "there is no file nosuch");
    refused(&[("i/1", "a\n"), ("i/2.yml", "x: [\n")], &["i"], "i/2.yml:");
    refused(&[("i.sh", "#!/bin/sh\necho no >&2\nexit 1\n")], &["i.sh"], "it said: no");
    refused(&[("i.sh", "#!/bin/sh\necho '{'\n")], &["i.sh"], "printed no JSON");
    refused(
        &[("i.sh", "#!/bin/sh\necho '{\"w\": \"a\"}'\n")],
        &["i.sh"],
        "'w' is a list or a mapping",
    );
}

/// Ansible chooses other hosts than asked for, or none; certroll says what is wrong.
#[test]
fn patterns_that_mislead_are_errors() {
    let Some(mut ansible) = Ansible::start() else { return };
    let site = Site::new(&[
        ("hosts", "[web]\nweb[1:3]\n[db]\ndb1\ndb2\n"),
        ("nobody", "\n"),
        ("one", "web1\n"),
    ]);
    let inventory = site.load(&["hosts"]).expect("it loads");
    let sources = site.sources(&["hosts"]);
    for (pattern, limit, words) in [
        ("nosuch", None, "matches no group and no host"),
        ("web:nosuch", None, "'nosuch' matches no group and no host"),
        ("web1:db1,db2", None, "either commas or colons"),
        ("web[:2]", None, "a slice begins with a number"),
        ("web[-2:]", None, "a slice begins with a number"),
        ("web[9]", None, "has only 3 hosts"),
        ("web[2:1]", None, "has only 3 hosts"),
        ("", None, "leaves no host"),
        ("web", Some("nosuch"), "matches no group and no host"),
        ("web", Some(""), "an empty limit"),
        ("web", Some("@nobody"), "names no host"),
        ("web", Some("@missing"), "cannot be read"),
    ] {
        let mut args = flags(&sources);
        args.push("--list-hosts");
        let here = limit.map(|limit| limit.replace('@', &format!("@{}/", site.path().display())));
        if let Some(limit) = &here {
            args.extend(["--limit", limit]);
        }
        args.push(pattern);
        let answer = ansible.ask("ansible", &args, site.path());
        let ended = if matches!(limit, Some("nosuch" | "@missing")) { 1 } else { 0 };
        assert_eq!(answer.code, ended, "{pattern} {limit:?}: {}", answer.stderr);
        let chosen = inventory.select(pattern).and_then(|hosts| match &here {
            Some(limit) => inventory.limited(hosts, limit),
            None => Ok(hosts),
        });
        let error = chosen.expect_err(pattern).to_string();
        assert!(error.contains(words), "{pattern} {limit:?}: {error}");
    }
    // `!@FILE` excludes nobody in Ansible.
    let file = format!("!@{}/one", site.path().display());
    let hosts =
        inventory.limited(inventory.select("web").expect("web"), &file).expect("the others");
    assert_eq!(hosts.iter().map(|host| host.as_str()).collect::<Vec<_>>(), ["web2", "web3"]);
    let mut args = flags(&sources);
    args.extend(["--list-hosts", "--limit", &file, "web"]);
    let answer = ansible.ask("ansible", &args, site.path());
    assert!(answer.stdout.contains("web1"), "{}", answer.stdout);
}

/// The hosts of grandchildren come in no order in Ansible; here group by group as attached.
#[test]
fn nested_groups_have_a_stable_order() {
    let text = "[p1:children]\nc1\n[p2:children]\nc2\n[p3:children]\nc3\n[p4:children]\nc4\n[c1]\nh1\n[c2]\nh2\n[c3]\nh3\n[c4]\nh4\n";
    let site = Site::new(&[("hosts", text)]);
    let inventory = site.load(&["hosts"]).expect("it loads");
    let hosts: Vec<String> = inventory.hosts().iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["h1", "h2", "h3", "h4"]);
}
