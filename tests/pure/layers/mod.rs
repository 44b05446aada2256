//! Imports go downwards only: a room may use those above it in [`LAYERS`] and none below; and within a room no
//! file uses one that leads back to it. What a file passes on (`pub use`) counts for the file that defines it.

mod sources;

use sources::{Names, Sources};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Lowest first. `docs/architecture.md` describes each.
const LAYERS: [&str; 27] = [
    "model",
    "source",
    "clock",
    "load",
    "event",
    "journal",
    "material",
    "host",
    "vault",
    "template",
    "services",
    "inventory",
    "playbook",
    "transport",
    "verify",
    "plan",
    "discover",
    "remote",
    "bigip",
    "kubernetes",
    "windows",
    "inputs",
    "engine",
    "report",
    "lab",
    "cli",
    "testing",
];

fn sources() -> Sources {
    Sources::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

fn rank(room: &str) -> usize {
    let found = LAYERS.iter().position(|layer| *layer == room);
    found.unwrap_or_else(|| panic!("room '{room}' is not listed in LAYERS"))
}

/// `FILE uses FILE` for every import that points to a room further down.
fn upward_imports(sources: &Sources) -> Vec<String> {
    let mut wrong = Vec::new();
    for (names, module) in &sources.modules {
        let Some(room) = names.first() else { continue };
        for used in sources.uses(names) {
            if used.first().is_some_and(|other| rank(other) > rank(room)) {
                wrong.push(format!("{} uses {}", module.file, sources.modules[used].file));
            }
        }
    }
    wrong
}

/// Groups of files that lead to each other, each in the order of its names.
fn circles(sources: &Sources) -> Vec<Vec<String>> {
    let mut search = Search { sources, path: Vec::new(), seen: Vec::new(), found: Vec::new() };
    for names in sources.modules.keys() {
        if !search.seen.iter().any(|seen| seen.names == names) {
            search.visit(names);
        }
    }
    search.found
}

/// Tarjan's search for strongly connected components, depth first.
struct Search<'a> {
    sources: &'a Sources,
    path: Vec<&'a Names>,
    seen: Vec<Seen<'a>>,
    found: Vec<Vec<String>>,
}

struct Seen<'a> {
    names: &'a Names,
    /// The earliest file on the path to which this one leads.
    lowest: usize,
}

impl<'a> Search<'a> {
    fn number(&self, names: &Names) -> Option<usize> {
        self.seen.iter().position(|seen| seen.names == names)
    }

    /// Gives the file's `lowest`.
    fn visit(&mut self, names: &'a Names) -> usize {
        let own = self.seen.len();
        self.seen.push(Seen { names, lowest: own });
        self.path.push(names);
        for used in self.sources.uses(names) {
            let lowest = match self.number(used) {
                None => self.visit(used),
                Some(number) if self.path.contains(&used) => number,
                Some(_) => continue,
            };
            self.seen[own].lowest = self.seen[own].lowest.min(lowest);
        }
        if self.seen[own].lowest == own {
            let begin = self.path.iter().position(|on| *on == names).expect("it is on the path");
            let mut files: Vec<String> = self
                .path
                .split_off(begin)
                .into_iter()
                .map(|names| self.sources.modules[names].file.clone())
                .collect();
            if files.len() > 1 {
                files.sort();
                self.found.push(files);
            }
        }
        self.seen[own].lowest
    }
}

#[test]
fn imports_go_downwards() {
    let wrong = upward_imports(&sources());
    assert!(wrong.is_empty(), "upward imports:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_leads_back_to_itself() {
    let circles: Vec<String> = circles(&sources()).iter().map(|files| files.join(", ")).collect();
    assert!(circles.is_empty(), "circles of files:\n{}", circles.join("\n"));
}

#[test]
fn every_room_is_in_the_table_and_in_its_order() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let after = page.split("## The layers").nth(1).expect("it has that section");
    let section = after.split("\n## ").next().expect("never empty");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(rows.collect::<Vec<_>>(), LAYERS);
    let rooms: BTreeSet<String> =
        sources().modules.into_keys().filter_map(|names| names.into_iter().next()).collect();
    assert_eq!(rooms, LAYERS.iter().map(|&room| room.to_owned()).collect());
}

#[test]
fn planted_upward_imports_are_found() {
    let found = |text| {
        upward_imports(&Sources::of(&[
            ("plan/mod.rs", text),
            ("model.rs", "pub struct Step;"),
            ("verify.rs", "pub fn x() {}"),
            ("engine/mod.rs", "mod a; pub use a::A;"),
            ("engine/a.rs", "pub struct A;"),
            ("cli.rs", "pub fn run() {}"),
        ]))
    };
    assert_eq!(
        found("use crate::{model::Step, engine::{A, b}};"),
        ["plan/mod.rs uses engine/mod.rs", "plan/mod.rs uses engine/a.rs"]
    );
    assert_eq!(found("fn f() { crate::cli::run() } // crate::lab"), ["plan/mod.rs uses cli.rs"]);
    assert_eq!(
        found("fn f() { println!(\"{}\", super::cli::run()) }"),
        ["plan/mod.rs uses cli.rs"]
    );
    assert_eq!(found("fn f() -> &str { \"crate::cli::run\" }"), [""; 0]);
    assert_eq!(found("use crate::model::Step; use crate::verify::x;"), [""; 0]);
    assert_eq!(found("#[cfg(test)] mod tests { use crate::cli::run; }"), [""; 0]);
}

#[test]
fn planted_circles_are_found() {
    let found = |files: &[(&str, &str)]| circles(&Sources::of(files));
    let room = ("plan/mod.rs", "mod a; mod b; mod c; pub use c::C;");
    let circle = [
        room,
        ("plan/a.rs", "use super::b::{self, B}; pub struct A;"),
        ("plan/b.rs", "pub struct B; fn f() { super::C::new(); }"),
        ("plan/c.rs", "pub struct C(crate::plan::a::A);"),
    ];
    assert_eq!(found(&circle), [["plan/a.rs", "plan/b.rs", "plan/c.rs"]]);
    let straight = [
        room,
        ("plan/a.rs", "use super::b::B; pub struct A;"),
        ("plan/b.rs", "pub struct B; fn f() { super::C::new(); }"),
        ("plan/c.rs", "pub struct C; #[cfg(test)] mod tests { use crate::plan::a::A; }"),
    ];
    assert_eq!(found(&straight), [[""; 0]; 0]);
    // The room's own file takes part like any other.
    let with_its_room = [
        ("plan/mod.rs", "mod a; pub struct Shared; fn f() { a::go() }"),
        ("plan/a.rs", "use super::Shared; pub fn go() {}"),
    ];
    assert_eq!(found(&with_its_room), [["plan/a.rs", "plan/mod.rs"]]);
    let only_its_tests = [
        ("plan/mod.rs", "mod a; #[cfg(test)] mod tests; pub struct Shared;"),
        ("plan/a.rs", "use super::Shared; pub fn go() {}"),
        ("plan/tests.rs", "use super::a::go;"),
    ];
    assert_eq!(found(&only_its_tests), [[""; 0]; 0]);
}
