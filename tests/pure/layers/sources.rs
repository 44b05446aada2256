//! The files of a crate as modules: what each defines, what names it brings in, which paths it mentions.

use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use syn::visit::{self, Visit};
use syn::{Attribute, File, Item, UseTree, Visibility};

/// Names below the crate's root: `["engine", "run"]` is `src/engine/run.rs`.
pub(super) type Names = Vec<String>;

/// One file.
#[derive(Default)]
pub(super) struct Module {
    /// Below the source directory, for people.
    pub(super) file: String,
    /// Items written here, modules in files of their own not among them.
    defined: BTreeSet<String>,
    /// Local name → what it stands for, and whether it is only passed on (`pub use`).
    brought_in: BTreeMap<String, (Names, bool)>,
    /// `use …::*`.
    globs: Vec<Names>,
    /// Every path that begins with `crate`, `super`, `self` or a module of this file, from the root.
    mentioned: BTreeSet<Names>,
    /// The first names of all other paths.
    words: BTreeSet<String>,
    /// Modules in files of their own that only tests have.
    tests: Vec<String>,
}

/// All files below `src`, tests left out.
#[derive(Default)]
pub(super) struct Sources {
    pub(super) modules: BTreeMap<Names, Module>,
}

impl Sources {
    /// Reads a directory of sources. `lib.rs` is the root, `main.rs` is left out.
    pub(super) fn read(directory: &Path) -> Self {
        let mut sources = Self::default();
        sources.read_below(directory, directory);
        sources.finish()
    }

    /// From texts by file name, for planted faults.
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let mut sources = Self::default();
        for (file, text) in files {
            sources.add(file, text);
        }
        sources.finish()
    }

    fn read_below(&mut self, root: &Path, directory: &Path) {
        for entry in fs::read_dir(directory).expect("readable source directory") {
            let path = entry.expect("readable entry").path();
            if path.is_dir() {
                self.read_below(root, &path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let file = path.strip_prefix(root).expect("below it").display().to_string();
                self.add(&file, &fs::read_to_string(&path).expect("UTF-8 source"));
            }
        }
    }

    fn add(&mut self, file: &str, text: &str) {
        let mut names: Names = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if names == ["lib"] || names.last().is_some_and(|last| last == "mod") {
            names.pop();
        }
        if names == ["main"] {
            return;
        }
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let mut reader = Reader::new(file, &names, &parsed);
        reader.visit_file(&parsed);
        let module = reader.module;
        self.modules.insert(names, module);
    }

    /// Leaves out the files that are only compiled for tests.
    fn finish(mut self) -> Self {
        let tests: Vec<Names> = self
            .modules
            .iter()
            .flat_map(|(names, module)| {
                module
                    .tests
                    .iter()
                    .map(|test| [names.as_slice(), std::slice::from_ref(test)].concat())
            })
            .collect();
        self.modules.retain(|names, _| !tests.iter().any(|test| names.starts_with(test)));
        self
    }

    /// The files that a file uses: those which define what it mentions, not those which pass it on.
    pub(super) fn uses(&self, of: &Names) -> BTreeSet<&Names> {
        let module = &self.modules[of];
        let brought = module.brought_in.iter().filter_map(|(name, (path, passed_on))| {
            (!passed_on || module.words.contains(name)).then_some(path)
        });
        let named = module.mentioned.iter().chain(brought).chain(&module.globs);
        named.filter_map(|path| self.home(path, 0)).filter(|home| *home != of).collect()
    }

    /// The file that defines what `path` names. `None` for what is no file's, such as another crate's.
    fn home(&self, path: &[String], depth: usize) -> Option<&Names> {
        assert!(depth < 32, "`{}` leads in a circle", path.join("::"));
        let mut at: Names = Vec::new();
        let mut rest = path;
        while let [next, more @ ..] = rest {
            at.push(next.clone());
            if !self.modules.contains_key(&at) {
                at.pop();
                break;
            }
            rest = more;
        }
        let (here, module) = self.modules.get_key_value(&at)?;
        let [name, more @ ..] = rest else { return Some(here) };
        if module.defined.contains(name) {
            return Some(here);
        }
        if let Some((target, _)) = module.brought_in.get(name) {
            return self.home(&[target.as_slice(), more].concat(), depth + 1);
        }
        let through = module.globs.iter().find_map(|glob| {
            let home = self.home(&[glob.as_slice(), rest].concat(), depth + 1)?;
            self.modules[home].defined.contains(name).then_some(home)
        });
        through.or(Some(here))
    }
}

/// Walks through one file.
struct Reader<'a> {
    names: &'a Names,
    /// Modules in files of their own below this one.
    children: BTreeSet<String>,
    module: Module,
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Ident>().is_ok_and(|word| word == "test"))
    })
}

impl<'a> Reader<'a> {
    fn new(file: &str, names: &'a Names, parsed: &File) -> Self {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        let mut children = BTreeSet::new();
        for item in &parsed.items {
            let name = match item {
                Item::Mod(item) if item.content.is_none() => {
                    if is_test(&item.attrs) {
                        module.tests.push(item.ident.to_string());
                    } else {
                        children.insert(item.ident.to_string());
                    }
                    continue;
                }
                Item::Const(item) => &item.ident,
                Item::Enum(item) => &item.ident,
                Item::Fn(item) => &item.sig.ident,
                Item::Mod(item) => &item.ident,
                Item::Static(item) => &item.ident,
                Item::Struct(item) => &item.ident,
                Item::Trait(item) => &item.ident,
                Item::Type(item) => &item.ident,
                Item::Union(item) => &item.ident,
                Item::Macro(syn::ItemMacro { ident: Some(ident), .. }) => ident,
                _ => continue,
            };
            module.defined.insert(name.to_string());
        }
        Self { names, children, module }
    }

    /// A path as it is written here, from the root; `None` when it does not begin in this crate.
    fn rooted(&self, written: &[String]) -> Option<Names> {
        let mut at = self.names.clone();
        let mut rest = written;
        match rest.first()?.as_str() {
            "crate" => {
                at.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    at.pop()?;
                    rest = &rest[1..];
                }
            }
            child if self.children.contains(child) => {}
            _ => return None,
        }
        at.extend_from_slice(rest);
        Some(at)
    }

    fn mention(&mut self, written: &[String]) {
        match (written, self.rooted(written)) {
            ([_, _, ..], Some(path)) => drop(self.module.mentioned.insert(path)),
            ([word, ..], _) => drop(self.module.words.insert(word.clone())),
            ([], _) => {}
        }
    }

    fn bring_in(&mut self, before: &mut Names, tree: &UseTree, passes_on: bool) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.bring_in(before, &path.tree, passes_on);
                before.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.bring_in(before, tree, passes_on);
                }
            }
            UseTree::Glob(_) => {
                if let Some(path) = self.rooted(before) {
                    self.module.globs.push(path);
                }
            }
            UseTree::Name(name) => {
                self.bring_in_as(before, &name.ident.to_string(), None, passes_on);
            }
            UseTree::Rename(rename) => {
                let local = rename.rename.to_string();
                self.bring_in_as(before, &rename.ident.to_string(), Some(local), passes_on);
            }
        }
    }

    fn bring_in_as(&mut self, before: &Names, name: &str, local: Option<String>, passes_on: bool) {
        let mut written = before.clone();
        if name != "self" {
            written.push(name.to_owned());
        }
        let local = local.or_else(|| written.last().cloned()).expect("a use names something");
        if let Some(path) = self.rooted(&written) {
            self.module.brought_in.insert(local, (path, passes_on));
        }
    }

    /// Paths within a macro's tokens.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Names = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(word) => {
                    if colons != 2 {
                        self.mention(&path);
                        path.clear();
                    }
                    path.push(word.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                other => {
                    self.mention(&path);
                    path.clear();
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.mention(&path);
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let passes_on = !matches!(item.vis, Visibility::Inherited);
        self.bring_in(&mut Vec::new(), &item.tree, passes_on);
    }

    /// `pub(in crate::cli)` uses nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let written: Names =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.mention(&written);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }
}
