//! Host patterns and limits choose the same hosts, in the same order.

use crate::ansible::oracle::{Ansible, Answer, Site, flags};
use certroll::testing::inventory::Inventory;

/// A fleet with groups that overlap, hosts like groups, addresses, and an order of its own.
const FLEET: &str = "lone\n[web]\nweb[5:9]\nweb[1:4]\n[db]\ndb2\ndb1\nweb5\n[prod:children]\nfront\nback\n[front]\nweb1\nweb2\n\
                     extra\n[back]\ndb1\n[v6]\n2001:db8::1\n2001:db8::2\n[net]\n10.0.0.1\n10.0.0.2\n[a-b]\nx.example.net\n\
                     y.example.net\n";

/// What `ansible PATTERN --list-hosts` names.
fn named(answer: &Answer) -> Vec<String> {
    let lines = answer.stdout.lines().filter(|line| line.starts_with("    "));
    lines.map(|line| line.trim().to_owned()).collect()
}

fn ours(inventory: &Inventory, pattern: &str, limit: Option<&str>) -> Result<Vec<String>, String> {
    let mut hosts = inventory.select(pattern).map_err(|error| error.to_string())?;
    if let Some(limit) = limit {
        hosts = inventory.limited(hosts, limit).map_err(|error| error.to_string())?;
    }
    Ok(hosts.iter().map(ToString::to_string).collect())
}

fn compare(cases: &[(&str, Option<&str>)], files: &[(&str, &str)]) {
    let Some(mut ansible) = Ansible::start() else { return };
    let mut all = vec![("hosts", FLEET)];
    all.extend(files);
    let site = Site::new(&all);
    let inventory = site.load(&["hosts"]).expect("it loads");
    let sources = site.sources(&["hosts"]);
    let mut found = Vec::new();
    for (pattern, limit) in cases {
        // Files of limits are looked for from where the program runs.
        let here = limit.map(|limit| limit.replace('@', &format!("@{}/", site.path().display())));
        let mut args = flags(&sources);
        args.extend(["--list-hosts"]);
        if let Some(limit) = &here {
            args.extend(["--limit", limit]);
        }
        args.push(pattern);
        let theirs = named(&ansible.ask("ansible", &args, site.path()));
        match ours(&inventory, pattern, here.as_deref()) {
            Ok(hosts) if hosts == theirs => {}
            other => {
                found.push(format!("{pattern} {limit:?}: Ansible {theirs:?}, certroll {other:?}"))
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn patterns() {
    let patterns = [
        "all",
        "*",
        "web",
        "web:db",
        "web,db",
        "db:web",
        "db,web",
        "web:!prod",
        "!prod:web",
        "!web",
        "web:&prod",
        "&prod:web",
        "web:!web1:&prod",
        "&prod",
        "web,!web1,&prod",
        "web*",
        "web?",
        "*1",
        "*.example.net",
        "10.0.0.*",
        "~web[12]",
        "~(web|db)1",
        "~we",
        "~.*\\.net$",
        "web[0]",
        "web[-1]",
        "web[-3]",
        "web[0:2]",
        "web[1:]",
        "web[0:99]",
        "web*[0]",
        "all[0:2]",
        "web[1-2]",
        "web:!web[0]",
        "web:!web[0:3]",
        "prod",
        "prod[0]",
        "prod[-1]",
        "front:back",
        "2001:db8::1",
        "2001:db8::1,lone",
        "v6",
        "lone",
        "lone:lone",
        "web:web",
        "lone,web1,lone",
        "ungrouped",
        "ungrouped:web[0]",
        "all:!ungrouped",
        "a-b",
        "web:&db",
        "web:&db:!prod",
        "web1:web2:web3",
        "x.example.net",
        "*:!web*",
        "w*:d*",
        "p*",
        "[wd]*",
        "web[1:2]:db[0]",
        "~^w.*:!web1",
        " web : db ",
        "web , db",
        "web::db",
        ",web,",
        "localhost",
        "web:localhost",
        "127.0.0.1",
        "~db",
        "f*:&web",
        "prod:!front",
        "!web:!db",
        "&web:&db",
    ];
    let cases: Vec<(&str, Option<&str>)> =
        patterns.iter().map(|pattern| (*pattern, None)).collect();
    compare(&cases, &[]);
}

#[test]
fn limits() {
    compare(
        &[
            ("web", Some("web3,web1")),
            ("all", Some("prod")),
            ("web", Some("!web1")),
            ("web", Some("prod:!web1")),
            ("db:web", Some("web5:db1")),
            ("all", Some("web[0:1]")),
            ("web", Some("~web[12]")),
            ("web", Some("*1")),
            ("all", Some("@retry")),
            ("all", Some("@retry,db2")),
            ("all", Some("db2,@retry")),
            ("web", Some("web:&prod")),
            ("prod", Some("all")),
            ("all", Some("2001:db8::1")),
        ],
        &[("retry", "web2\n\nfront\n")],
    );
}
