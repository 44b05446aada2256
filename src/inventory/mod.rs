//! Ansible inventories: hosts, groups, variables and host patterns.
//!
//! Sources are INI, YAML, directories of both, executables, and comma-separated lists of hosts; several
//! merge, the later one's values winning. What Ansible only warns about (a file that does not parse, a
//! group that does not exist) is an error here: a vanished group means certificates not renewed.

mod builder;
mod executable;
mod graph;
mod ini;
mod literal;
mod load;
mod model;
mod pattern;
mod range;
mod show;
mod vars;
mod yaml;

pub(crate) use executable::runs_a_program;
pub use load::{LoadOptions, load};
pub use model::Inventory;
pub(crate) use pattern::PatternError;

use crate::model::HostName;
use crate::source::Vars;
use indexmap::IndexMap;
use std::sync::Arc;

impl Inventory {
    /// Every host in the order of the group `all`: own hosts first, then children as attached, level by level.
    pub fn hosts(&self) -> Vec<HostName> {
        self.members("all")
    }

    /// Whether there is such a host.
    pub fn contains(&self, host: &str) -> bool {
        self.hosts.contains_key(host)
    }

    /// The file that names a host first; `None` for hosts of a list, and for those of a program.
    pub fn file_of(&self, host: &str) -> Option<std::path::PathBuf> {
        let span = self.hosts.get(host)?.span.as_ref()?;
        Some(std::path::PathBuf::from(&span.file.name))
    }

    /// Groups of a host, sorted, without `all`.
    pub fn group_names(&self, host: &str) -> Vec<String> {
        self.hosts.get(host).map(|host| host.groups.clone()).unwrap_or_default()
    }

    /// Every group with its hosts, `all` first.
    pub fn groups(&self) -> IndexMap<String, Vec<HostName>> {
        self.groups.keys().map(|name| (name.clone(), self.members(name))).collect()
    }

    /// A host's variables in layers, weakest first, as Ansible's precedence has them (group
    /// variables of the text, `group_vars/all`, `group_vars/GROUP`, host variables of the text, `host_vars`).
    ///
    /// A host that is not listed but called `localhost`, `127.0.0.1` or `::1` has a local connection.
    pub fn layers(&self, host: &str) -> Vec<Arc<Vars>> {
        vars::layers(self, host)
    }

    /// A host's variables, merged.
    pub fn vars(&self, host: &str) -> Vars {
        let mut merged = Vars::new();
        for layer in self.layers(host) {
            for (name, value) in layer.iter() {
                merged.insert(name.clone(), value.clone());
            }
        }
        merged
    }

    /// Hosts of a pattern (Ansible: "Patterns: targeting hosts and groups"), in the pattern's order.
    ///
    /// # Errors
    /// A part that matches nothing, and the forms that Ansible silently misreads.
    pub fn select(&self, pattern: &str) -> Result<Vec<HostName>, PatternError> {
        pattern::select(self, pattern)
    }

    /// Hosts of `pattern` that are also in `limit`, in the order of `pattern`. `limit` may name files of
    /// patterns (`@FILE`, one a line).
    ///
    /// # Errors
    /// As [`select`](Self::select), for either; a limit that leaves nobody in the whole inventory.
    pub fn limited(
        &self,
        hosts: Vec<HostName>,
        limit: &str,
    ) -> Result<Vec<HostName>, PatternError> {
        let allowed = pattern::limit(self, limit)?;
        Ok(hosts.into_iter().filter(|host| allowed.contains(host)).collect())
    }

    /// What `ansible-inventory --list` prints; with `export`, group variables stay in their groups.
    pub fn list_json(&self, export: bool, limit: Option<&[HostName]>) -> String {
        show::list(self, export, limit)
    }

    /// What `ansible-inventory --graph GROUP` prints; `None` for an unknown group.
    pub fn graph(&self, group: &str, vars: bool) -> Option<String> {
        show::graph(self, group, vars)
    }

    /// What `ansible-inventory --host NAME` prints; `None` for an unknown host.
    pub fn host_json(&self, host: &str) -> Option<String> {
        let known = self.contains(host) || vars::is_implicit_localhost(host);
        known.then(|| show::pretty(&show::vars_json(&self.vars(host))))
    }

    fn members(&self, group: &str) -> Vec<HostName> {
        graph::members(self, group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::render::render;
    use std::path::Path;

    fn write(dir: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = dir.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    fn try_read(files: &[(&str, &str)]) -> Result<Inventory, String> {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), files);
        let source = dir.path().join(files[0].0).display().to_string();
        let options =
            LoadOptions { playbook_directories: Vec::new(), decrypt: &|_| Err("no".to_owned()) };
        match load(&[source], &options) {
            Ok((inventory, _)) => Ok(inventory),
            Err(found) => {
                let place = format!("{}/", dir.path().display());
                Err(render(&found, false, 100).replace(&place, ""))
            }
        }
    }

    fn read(text: &str) -> Inventory {
        try_read(&[("hosts.ini", text)]).unwrap_or_else(|shown| panic!("{shown}"))
    }

    fn joined(hosts: &[HostName]) -> String {
        hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(" ")
    }

    const FLEET: &str = "lone\n[web]\nweb[1:5]\n[db]\ndb1\ndb2\nweb5\n[prod]\nweb1\nweb2\ndb1\n";

    #[test]
    fn patterns_as_ansible_evaluates_them() {
        let inventory = read(FLEET);
        for (pattern, expected) in [
            ("web:db", "web1 web2 web3 web4 web5 db1 db2"),
            ("web,db", "web1 web2 web3 web4 web5 db1 db2"),
            ("db:web", "db1 db2 web5 web1 web2 web3 web4"),
            ("web:!prod", "web3 web4 web5"),
            ("!prod:web", "web3 web4 web5"),
            ("!web", "lone db1 db2"),
            ("web:!web1:&prod", "web2"),
            ("&prod", "web1 web2 db1"),
            ("web?", "web1 web2 web3 web4 web5"),
            ("*1", "web1 db1"),
            ("~web[12]", "web1 web2"),
            ("~(web|db)1", "web1 db1"),
            ("web[0]", "web1"),
            ("web[-1]", "web5"),
            ("web[0:2]", "web1 web2 web3"),
            ("web[1:]", "web2 web3 web4 web5"),
            ("web:!web[0]", "web2 web3 web4 web5"),
            ("all[0:1]", "lone web1"),
            ("localhost", "localhost"),
        ] {
            let hosts =
                inventory.select(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert_eq!(joined(&hosts), expected, "{pattern}");
        }
    }

    #[test]
    fn patterns_that_would_mislead_are_refused() {
        let inventory = read(FLEET);
        for pattern in ["nosuch", "web:nosuch", "web1:db1,db2", "web[:2]", "web[9]", ""] {
            assert!(inventory.select(pattern).is_err(), "{pattern}");
        }
        let error = inventory.select("wbe").unwrap_err().to_string();
        assert_eq!(error, "the pattern 'wbe' matches no group and no host; did you mean 'web'?");
    }

    #[test]
    fn a_limit_keeps_the_order_of_the_play() {
        let inventory = read(FLEET);
        let hosts = inventory.select("web").unwrap();
        let limited = inventory.limited(hosts.clone(), "web3,web1").unwrap();
        assert_eq!(joined(&limited), "web1 web3");
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[("retry", "# failed\nweb2\n\nweb4 # later\n")]);
        let file = dir.path().join("retry").display().to_string();
        assert_eq!(
            joined(&inventory.limited(hosts.clone(), &format!("@{file}")).unwrap()),
            "web2 web4"
        );
        let without = inventory.limited(hosts.clone(), &format!("web,!@{file}")).unwrap();
        assert_eq!(joined(&without), "web1 web3 web5");
        assert!(inventory.limited(hosts.clone(), "").is_err());
        assert!(inventory.limited(hosts, "@/nonexistent").is_err());
    }

    #[test]
    fn deeper_groups_win_then_priority_then_name() {
        let inventory = read(
            "[alpha]\nh1 own=host\n[zeta]\nh1\n[mid:children]\nalpha\n[top:children]\nmid\n\
             [alpha:vars]\nv=alpha\nw=alpha\nown=group\n[zeta:vars]\nv=zeta\nx=zeta\n[mid:vars]\nw=mid\n[all:vars]\nx=all\n",
        );
        let vars = inventory.vars("h1");
        let text = |name: &str| vars[name].as_str().unwrap().to_owned();
        assert_eq!(
            (text("v"), text("w"), text("x"), text("own")),
            ("alpha".into(), "alpha".into(), "zeta".into(), "host".into())
        );
        assert_eq!(inventory.group_names("h1"), ["alpha", "mid", "top", "zeta"]);
        let priority =
            read("[a]\nh\n[b]\nh\n[a:vars]\nansible_group_priority=10\nv=a\n[b:vars]\nv=b\n");
        assert_eq!(priority.vars("h")["v"].as_str(), Some("a"));
    }

    #[test]
    fn files_beside_the_inventory_beat_its_text() {
        let inventory = try_read(&[
            ("hosts.ini", "[web]\nh1 a=text\n[web:vars]\nv=text\n"),
            ("group_vars/all.yml", "v: all_file\nz: all_file\n"),
            ("group_vars/web/10.yml", "w: ten\nz: web_file\n"),
            ("group_vars/web/20", "w: twenty\n"),
            ("group_vars/web/.hidden", "w: hidden\n"),
            ("host_vars/h1.yaml", "a: file\n"),
        ])
        .unwrap();
        let vars = inventory.vars("h1");
        let text = |name: &str| vars[name].as_str().unwrap().to_owned();
        assert_eq!((text("v"), text("w")), ("all_file".into(), "twenty".into()));
        assert_eq!((text("z"), text("a")), ("web_file".into(), "file".into()));
    }

    #[test]
    fn yaml_and_ini_give_the_same_model() {
        let yaml = try_read(&[(
            "hosts.yml",
            "prod:\n  children:\n    web:\n      hosts:\n        www[01:02]: {v: 1}\n        'b:2222':\n      vars: {g: yes}\n",
        )])
        .unwrap();
        assert_eq!(joined(&yaml.hosts()), "www01 www02 b");
        assert_eq!(yaml.vars("b")["ansible_port"].value, crate::source::Value::Int(2222));
        insta::assert_snapshot!(yaml.graph("all", true).unwrap());
        insta::assert_snapshot!(yaml.list_json(false, None));
    }

    #[test]
    fn what_is_wrong_is_said_at_once_with_its_place() {
        let refused = |files: &[(&str, &str)]| try_read(files).unwrap_err();
        insta::assert_snapshot!(refused(&[(
            "hosts.ini",
            "a foo\n[web:foo]\nb x=\"open\n[prod:children]\nwbe\n[web]\nc[5:1]\nd:abc\n[gone:vars]\nx=1\n"
        )]));
        insta::assert_snapshot!(refused(&[("hosts.yml", "web:\n  hosst: {a: }\n  hosts: [a]\n")]));
        insta::assert_snapshot!(refused(&[("hosts.yml", "- hosts: web\n")]));
        insta::assert_snapshot!(refused(&[("hosts.yml", "web:\n\thosts:\n")]));
        insta::assert_snapshot!(refused(&[("hosts.ini", "[a:children]\nb\n[b:children]\na\n")]));
    }

    #[test]
    fn executables_answer_in_json() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let script = "#!/bin/sh\ncase $1 in --list) echo '{\"web\": [\"h1\"], \"db\": {\"hosts\": [\"h2\"], \
                      \"vars\": {\"v\": 1}}, \"_meta\": {\"hostvars\": {\"h1\": {\"x\": 2}, \"only\": {}}}}';; esac\n";
        write(dir.path(), &[("inv", script), ("bad", "#!/bin/sh\necho oops >&2; exit 3\n")]);
        let options =
            LoadOptions { playbook_directories: Vec::new(), decrypt: &|_| Err("no".to_owned()) };
        let run = |name: &str| {
            let path = dir.path().join(name);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            load(&[path.display().to_string()], &options)
        };
        let (inventory, _) = run("inv").unwrap();
        assert_eq!(joined(&inventory.hosts()), "h1 h2");
        assert_eq!(inventory.vars("h1")["x"].value, crate::source::Value::Int(2));
        let error = run("bad").unwrap_err();
        assert!(error.0[0].help[0].contains("oops"), "{error:?}");
    }
}
