//! `setup`: what Ansible calls facts, out of what the host says of itself. Names, spellings and rules are those of
//! Ansible's collectors (`module_utils/facts/`).

mod distribution;
mod machine;
mod network;
mod said;

use super::super::action::{Action, Done, Failed};
use super::ask::ask;
use crate::host::{ModuleRequest, Verb};
use crate::inputs::variables::node;
use crate::model::glob::Glob;
use crate::model::text::{plural, printable};
use crate::playbook::modules::Arguments;
use crate::template::facts::is_fact;
use serde_json::{Map, Value as Json};
use std::time::Duration;

/// For the whole of it, unless the task says otherwise.
const USUAL: Duration = Duration::from_secs(60);

pub(super) async fn perform(action: &Action<'_>, arguments: &Arguments) -> Result<Done, Failed> {
    let mut request = ModuleRequest::new(Verb::Facts, true);
    request.timeout = USUAL;
    let reply = ask(action, &request).await?;
    let bytes = reply.content.as_ref().map(|content| content.expose().as_slice());
    let text = printable(bytes.unwrap_or_default(), usize::MAX);
    let mut facts = facts(&said::Said::read(&text));
    if let Some(wanted) = arguments.words("filter") {
        let patterns: Vec<Glob> = wanted.iter().filter_map(|word| Glob::new(word)).collect();
        let is_wanted = |name: &str| {
            let whole = format!("ansible_{name}");
            wanted.iter().any(|word| *word == whole || word == name)
                || patterns.iter().any(|one| one.is_match(&whole) || one.is_match(name))
        };
        facts.retain(|name, _| is_wanted(name));
    }
    let variables = &action.context.inputs.variables;
    variables.gathered(
        action.host,
        &facts.iter().map(|(name, value)| (name.clone(), node(value))).collect(),
    );
    let message = Some(plural(facts.len(), "fact"));
    let named = facts.into_iter().map(|(name, value)| (format!("ansible_{name}"), value));
    let value = Map::from_iter([("ansible_facts".to_owned(), Json::Object(named.collect()))]);
    Ok(Done { message, value, ..Done::default() })
}

/// By their names without `ansible_`; only names that playbooks may ask for.
fn facts(said: &said::Said<'_>) -> Map<String, Json> {
    let mut facts = machine::facts(said);
    facts.extend(distribution::facts(said));
    let managers = machine::managers(said, &facts);
    facts.extend(managers);
    facts.extend(network::facts(said));
    facts.retain(|name, _| is_fact(&format!("ansible_{name}")));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const DEBIAN: &str = "== uname\n Linux\n web1\n 6.1.0\n #1 SMP\n x86_64\n 64\n== fqdn\n web1 web1.example.net web1\n\
        == file /etc/os-release\n PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n NAME=\"Debian GNU/Linux\"\n VERSION_ID=\"12\"\n \
        VERSION=\"12 (bookworm)\"\n VERSION_CODENAME=bookworm\n ID=debian\n== file /etc/debian_version\n 12.5\n\
        == file /proc/1/comm\n systemd\n== there\n /run/systemd/system\n /usr/bin/apt-get\n systemctl\n== links\n \n \n \n\
        == user\n root\n 0\n 0\n 0\n 0\n root:x:0:0:root:/root:/bin/bash\n== env\n HOME=/root\n SHELL=\n\
        == date\n 2026 11 Sunday 0 47 29 07 05 09 1795935909 UTC +0000 123456789\n== memory\n MemTotal: 2048000\n MemFree: 1024\n\
        == route4\n 8.8.8.8 via 10.0.0.1 dev eth0 src 10.0.0.5 uid 0\n     cache\n== device lo\n address 00:00:00:00:00:00\n mtu 65536\n operstate unknown\n type 772\n \
        inet 127.0.0.1/8 scope host lo\n== device eth0\n address 02:42:0a:00:00:05\n mtu 1500\n operstate up\n type 1\n \
        inet 10.0.0.5/24 brd 10.0.0.255 scope global eth0\n inet 10.0.0.9/24 brd 10.0.0.255 scope global secondary eth0\n \
        inet6 fe80::42/64 scope link\n== device host\n address 02:42:0a:00:00:06\n mtu 1500\n operstate up\n type 1\n";

    #[test]
    fn a_host_is_what_it_says() {
        let facts = facts(&said::Said::read(DEBIAN));
        for (name, value) in [
            ("os_family", json!("Debian")),
            ("distribution", json!("Debian")),
            ("distribution_version", json!("12.5")),
            ("distribution_major_version", json!("12")),
            ("distribution_release", json!("bookworm")),
            ("hostname", json!("web1")),
            ("fqdn", json!("web1.example.net")),
            ("domain", json!("example.net")),
            ("pkg_mgr", json!("apt")),
            ("service_mgr", json!("systemd")),
            ("user_uid", json!(0)),
            ("env", json!({"HOME": "/root"})),
            ("memtotal_mb", json!(2000)),
            ("all_ipv4_addresses", json!(["10.0.0.5", "10.0.0.9"])),
        ] {
            assert_eq!(facts.get(name), Some(&value), "{name}");
        }
        assert_eq!(facts["default_ipv4"]["gateway"], "10.0.0.1");
        assert_eq!(facts["default_ipv4"]["netmask"], "255.255.255.0");
        assert_eq!(facts["eth0"]["ipv4_secondaries"][0]["address"], "10.0.0.9");
        assert_eq!(facts["date_time"]["iso8601_micro"], "2026-11-29T07:05:09.123456Z");
    }

    /// A network interface may have any name: none of them is a variable of the connection.
    #[test]
    fn no_host_names_a_variable_of_its_connection() {
        let facts = facts(&said::Said::read(DEBIAN));
        assert!(facts["interfaces"].as_array().unwrap().contains(&json!("host")));
        assert!(!facts.contains_key("host"));
        assert!(facts.keys().all(|name| is_fact(&format!("ansible_{name}"))));
    }

    #[test]
    fn a_host_that_says_nothing_has_few_facts() {
        let facts = facts(&said::Said::read("junk\n== uname\n"));
        assert_eq!(facts["distribution"], "NA");
        assert!(!facts.contains_key("default_ipv4"));
    }
}
