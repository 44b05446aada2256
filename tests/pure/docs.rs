//! The pages say what the program does: every key that the parser knows is in `docs/playbook.md` and the other way
//! round, every example parses, and every file that is named is there.

use certroll::testing::inventory::{self, LoadOptions};
use certroll::testing::playbook;
use certroll::testing::source::SourceFile;
use certroll::testing::source::render::render;
use certroll::testing::template::Templates;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn parse(
    name: &str,
    text: &str,
) -> Result<playbook::Playbook, certroll::testing::source::Diagnostics> {
    let templates =
        Templates::new(PathBuf::from("."), Arc::new(|_: &str| Err("no vault".to_owned())));
    playbook::parse(&SourceFile::new(name, text), Path::new("."), &templates).map(|(book, _)| book)
}

/// Keys that the parser names when it meets one that it does not know.
fn known_keys(text: &str) -> BTreeSet<String> {
    let found = parse("site.yml", text).expect_err("an unknown key");
    let mut helps = found.0.iter().flat_map(|problem| &problem.help);
    let list = helps.find_map(|help| help.strip_prefix("known keys: "));
    list.unwrap_or_else(|| panic!("{}", render(&found, false, 100)))
        .split(", ")
        .map(str::to_owned)
        .collect()
}

/// First column of the table below a heading.
fn documented(page: &str, heading: &str) -> BTreeSet<String> {
    let section =
        page.split(&format!("\n{heading}\n")).nth(1).unwrap_or_else(|| panic!("no {heading}"));
    let section = section.split("\n#").next().expect("a part");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    rows.map(str::to_owned).collect()
}

#[test]
fn every_key_is_documented_and_every_documented_key_is_known() {
    let page = read("docs/playbook.md");
    let task = |text: &str| format!("- hosts: all\n  tasks:\n  - {text}\n");
    let certificate = |text: &str| task(&format!("certificate: {{service: nginx, {text}}}"));
    for (heading, text) in [
        ("## Play", "- hosts: all\n  zzzzzzzzzz: 1\n".to_owned()),
        ("## Task", task("{debug: , zzzzzzzzzz: 1}")),
        ("### loop_control", task("{debug: , loop: [1], loop_control: {zzzzzzzzzz: 1}}")),
        ("## certificate", certificate("source: {cert: a}, zzzzzzzzzz: 1")),
        ("### source", certificate("source: {cert: a, zzzzzzzzzz: 1}")),
        ("### dest", certificate("source: {cert: a}, dest: {zzzzzzzzzz: 1}")),
        ("### certificates", certificate("certificates: [{source: {cert: a}, zzzzzzzzzz: 1}]")),
        ("### verify", certificate("source: {cert: a}, verify: {zzzzzzzzzz: 1}")),
        ("### checks", certificate("source: {cert: a}, checks: [{zzzzzzzzzz: 1}]")),
        ("## command, shell", task("command: {cmd: a, zzzzzzzzzz: 1}")),
        ("## debug", task("debug: {zzzzzzzzzz: 1}")),
        ("## assert", task("assert: {that: true, zzzzzzzzzz: 1}")),
        ("## fail", task("fail: {zzzzzzzzzz: 1}")),
        ("## pause", task("pause: {zzzzzzzzzz: 1}")),
        ("## wait_for", task("wait_for: {port: 1, zzzzzzzzzz: 1}")),
    ] {
        assert_eq!(documented(&page, heading), known_keys(&text), "{heading}");
    }
    let page = read("docs/modules.md");
    let names = page.lines().filter_map(|line| line.strip_prefix("## "));
    let names: Vec<&str> = names.filter(|name| !name.contains(' ')).collect();
    for name in &names {
        let known = known_keys(&task(&format!("{name}: {{zzzzzzzzzz: 1}}")));
        assert_eq!(documented(&page, &format!("## {name}")), known, "{name}");
    }
    assert!(names.len() >= 10, "{names:?}");
}

/// Fenced blocks whose first line is exactly this.
fn blocks(text: &str, fence: &str) -> Vec<String> {
    let opened = format!("```{fence}\n");
    text.split(&opened)
        .skip(1)
        .map(|rest| rest.split("\n```").next().expect("a part").to_owned() + "\n")
        .collect()
}

fn pages() -> Vec<(String, String)> {
    let mut pages = vec![("README.md".to_owned(), read("README.md"))];
    for entry in std::fs::read_dir(root().join("docs")).expect("docs") {
        let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        if name.ends_with(".md") {
            pages.push((format!("docs/{name}"), read(format!("docs/{name}"))));
        }
    }
    pages
}

fn load(sources: &[String]) -> inventory::Inventory {
    let options =
        LoadOptions { playbook_directories: Vec::new(), decrypt: &|_| Err("no vault".to_owned()) };
    match inventory::load(sources, &options) {
        Ok((inventory, _)) => inventory,
        Err(found) => panic!("{}", render(&found, false, 100)),
    }
}

#[test]
fn examples_of_the_pages_parse() {
    let mut count = 0;
    for (name, text) in pages() {
        for block in blocks(&text, "yaml playbook") {
            if let Err(found) = parse(&name, &block) {
                panic!("{name}: {}\n{block}", render(&found, false, 100));
            }
            count += 1;
        }
        // A block of a whole playbook begins with a play, marked or not.
        for block in blocks(&text, "yaml")
            .into_iter()
            .filter(|block| block.contains("- hosts:") || block.contains("\n  hosts:"))
        {
            if let Err(found) = parse(&name, &block) {
                panic!("{name}: {}\n{block}", render(&found, false, 100));
            }
            count += 1;
        }
        for fence in ["ini", "ini inventory"] {
            for block in blocks(&text, fence) {
                let directory = tempfile::tempdir().expect("a directory");
                let path = directory.path().join("inventory.ini");
                std::fs::write(&path, block).expect("a file");
                assert!(!load(&[path.display().to_string()]).hosts().is_empty(), "{name}");
                count += 1;
            }
        }
    }
    assert!(count >= 3, "{count} examples were found");
}

#[test]
fn example_files_parse_and_their_patterns_match() {
    for (book, hosts) in [
        ("nginx-edge.yml", "edge.ini"),
        ("postfix-mail.yml", "mail.yml"),
        ("bastion-batch.yml", "bastion.ini"),
    ] {
        let parsed = match parse(book, &read(format!("playbooks/{book}"))) {
            Ok(parsed) => parsed,
            Err(found) => panic!("{}", render(&found, false, 100)),
        };
        let inventory = load(&[root().join("inventories").join(hosts).display().to_string()]);
        for play in &parsed.plays {
            let pattern = play.hosts.as_str().expect("a pattern");
            assert!(!inventory.select(pattern).expect(pattern).is_empty(), "{book}: {pattern}");
        }
    }
    let listed = std::fs::read_dir(root().join("playbooks")).expect("playbooks");
    let books = listed
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|ending| ending == "yml"));
    for entry in books {
        let name = entry.file_name().into_string().expect("UTF-8");
        assert!(parse(&name, &read(format!("playbooks/{name}"))).is_ok(), "{name}");
    }
}

/// Every line of the files below a directory.
fn lines_below(directory: &Path) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            lines.extend(lines_below(&path));
        } else {
            lines
                .extend(std::fs::read_to_string(&path).expect("a file").lines().map(str::to_owned));
        }
    }
    lines
}

/// What `docs/from-ansible.md` shows of each deployment is what its two forms differ in.
/// Files of the project that are named in a text in code style, such as `tests/run.sh`.
fn named_files(text: &str) -> impl Iterator<Item = &str> {
    const FOLDERS: [&str; 6] =
        ["src/", "tests/", "docs/", "findings/", "playbooks/", "inventories/"];
    let is_plain = |name: &&str| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
    };
    let inline = text.split('`').skip(1).step_by(2).filter(is_plain);
    inline.filter(|name| FOLDERS.iter().any(|folder| name.starts_with(folder)))
}

#[test]
fn every_file_that_a_page_names_is_there() {
    assert_eq!(named_files("`tests/run.sh` or `cargo x`, `docs/a.md`").count(), 2);
    let mut count = 0;
    for (page, text) in pages() {
        for name in named_files(&text) {
            count += 1;
            assert!(root().join(name).exists(), "{page}: {name}");
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn the_deployments_are_shown_as_they_are() {
    let deployments = root().join("tests/fleet/from_ansible/deployments");
    let page = read("docs/from-ansible.md");
    let mut shown = 0;
    for part in page.split("<!-- ").skip(1) {
        let (name, rest) = part.split_once(" -->").expect("the name of a deployment");
        let (_, rest) = rest.split_once("```diff\n").expect("a difference");
        let (diff, _) = rest.split_once("```").expect("its end");
        let marked = |mark: char| -> BTreeSet<String> {
            diff.lines().filter_map(|line| line.strip_prefix(mark)).map(str::to_owned).collect()
        };
        let of = |whose: &str| lines_below(&deployments.join(name).join(whose));
        let (theirs, ours) = (of("ansible"), of("certroll"));
        let only = |these: &BTreeSet<String>, those: &BTreeSet<String>| -> BTreeSet<String> {
            these.difference(those).cloned().collect()
        };
        // A line that moves, or stands in both somewhere, is shown as well.
        assert!(only(&theirs, &ours).is_subset(&marked('-')), "{name}");
        assert!(only(&ours, &theirs).is_subset(&marked('+')), "{name}");
        assert!(marked('-').is_subset(&theirs) && marked('+').is_subset(&ours), "{name}");
        shown += 1;
    }
    assert_eq!(shown, std::fs::read_dir(&deployments).expect("a directory").count());
}
