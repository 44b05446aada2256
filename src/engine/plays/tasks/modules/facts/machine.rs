//! What a host is beside its distribution: its names, its kernel, its user, its clock, its memory and processors
//! (Ansible, `module_utils/facts/system/` and `hardware/linux.py`).

use super::said::Said;
use indexmap::IndexMap;
use serde_json::{Map, Value as Json, json};

pub(super) fn facts(said: &Said<'_>) -> Map<String, Json> {
    let mut facts = Map::new();
    names(said, &mut facts);
    user(said, &mut facts);
    clock(said, &mut facts);
    hardware(said, &mut facts);
    protection(said, &mut facts);
    let env = said.lines("env").iter().filter_map(|line| line.split_once('='));
    let env = env.filter(|(_, value)| !value.is_empty());
    let env: Map<String, Json> = env.map(|(name, value)| (name.to_owned(), json!(value))).collect();
    facts.insert("env".to_owned(), Json::Object(env));
    facts
}

fn names(said: &Said<'_>, facts: &mut Map<String, Json>) {
    let uname = |index| said.line("uname", index);
    let mut add = |name: &str, value: &str| drop(facts.insert(name.to_owned(), json!(value)));
    let node = uname(1);
    // Of the names that its address has the first with a dot, else the first (Python's `getfqdn`).
    let known: Vec<&str> = said.line("fqdn", 0).split_whitespace().skip(1).collect();
    let dotted = known.iter().find(|name| name.contains('.')).or(known.first());
    let fqdn = dotted.copied().unwrap_or(node);
    add("system", uname(0));
    add("nodename", node);
    add("hostname", node.split('.').next().unwrap_or_default());
    add("fqdn", fqdn);
    add("domain", fqdn.split_once('.').map_or("", |(_, domain)| domain));
    add("kernel", uname(2));
    add("kernel_version", uname(3));
    let (machine, bits) = (uname(4), uname(5));
    let old = machine.len() == 4 && machine.starts_with('i') && machine.ends_with("86");
    add("machine", machine);
    add("architecture", if old { "i386" } else { machine });
    if !bits.is_empty() {
        add("userspace_bits", bits);
        if old || machine == "x86_64" {
            add("userspace_architecture", if bits == "64" { "x86_64" } else { "i386" });
        }
    }
    let id = said.file("/var/lib/dbus/machine-id").or_else(|| said.file("/etc/machine-id"));
    if let Some(id) = id.as_deref().and_then(|id| id.lines().next()) {
        add("machine_id", id);
    }
}

fn user(said: &Said<'_>, facts: &mut Map<String, Json>) {
    let line = |index| said.line("user", index);
    let number = |text: &str| text.parse::<u32>().map_or(Json::Null, Json::from);
    let mut add = |name: &str, value: Json| drop(facts.insert(name.to_owned(), value));
    add("user_id", json!(line(0)));
    add("effective_user_id", number(line(1)));
    add("real_user_id", number(line(2)));
    add("effective_group_id", number(line(3)));
    add("real_group_id", number(line(4)));
    let account: Vec<&str> = line(5).split(':').collect();
    if let [_, _, uid, gid, gecos, dir, shell] = account[..] {
        add("user_uid", number(uid));
        add("user_gid", number(gid));
        add("user_gecos", json!(gecos));
        add("user_dir", json!(dir));
        add("user_shell", json!(shell));
    }
}

fn clock(said: &Said<'_>, facts: &mut Map<String, Json>) {
    let words: Vec<&str> = said.line("date", 0).split_whitespace().collect();
    let [
        year,
        month,
        weekday,
        weekday_number,
        weeknumber,
        day,
        hour,
        minute,
        second,
        epoch,
        tz,
        offset,
        ..,
    ] = words[..]
    else {
        return;
    };
    let nano =
        words.get(12).filter(|word| word.len() == 9 && word.bytes().all(|b| b.is_ascii_digit()));
    let micro = nano.map_or("000000", |word| &word[..6]);
    let utc = epoch.parse().ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let utc =
        utc.map(|moment| moment.strftime("%Y-%m-%dT%H:%M:%S").to_string()).unwrap_or_default();
    let clock = json!({
        "year": year, "month": month, "weekday": weekday, "weekday_number": weekday_number, "weeknumber": weeknumber,
        "day": day, "hour": hour, "minute": minute, "second": second, "epoch": epoch, "epoch_int": epoch,
        "date": format!("{year}-{month}-{day}"), "time": format!("{hour}:{minute}:{second}"),
        "iso8601_micro": format!("{utc}.{micro}Z"), "iso8601": format!("{utc}Z"),
        "iso8601_basic": format!("{year}{month}{day}T{hour}{minute}{second}{micro}"),
        "iso8601_basic_short": format!("{year}{month}{day}T{hour}{minute}{second}"),
        "tz": tz, "tz_offset": offset,
    });
    facts.insert("date_time".to_owned(), clock);
}

fn hardware(said: &Said<'_>, facts: &mut Map<String, Json>) {
    let mut add = |name: &str, value: Json| drop(facts.insert(name.to_owned(), value));
    for line in said.lines("memory") {
        let Some((name, kib)) = line.split_once(':') else { continue };
        if let Ok(kib) = kib.trim().parse::<u64>() {
            add(&format!("{}_mb", name.to_lowercase()), json!(kib / 1024));
        }
    }
    let uptime = said.file("/proc/uptime").unwrap_or_default();
    if let Some(Ok(seconds)) = uptime.split('.').next().map(str::parse::<u64>) {
        add("uptime_seconds", json!(seconds));
    }
    if said.lines("processors").is_empty() {
        return;
    }
    let mut list = Vec::new();
    let (mut vendors, mut models, mut numbers) = (0_u64, 0_u64, 0_u64);
    let (mut socket, mut core) = (String::new(), String::new());
    let mut sockets: IndexMap<String, u64> = IndexMap::new();
    let mut cores: IndexMap<String, u64> = IndexMap::new();
    for line in said.lines("processors") {
        let Some((name, value)) = line.split_once(':') else { continue };
        let (name, value) = (name.trim(), value.trim());
        let number = value.parse().unwrap_or(1);
        match name {
            "processor" => numbers += 1,
            "vendor_id" => vendors += 1,
            "model name" => models += 1,
            "physical id" => {
                value.clone_into(&mut socket);
                sockets.entry(socket.clone()).or_insert(1);
            }
            "core id" => {
                value.clone_into(&mut core);
                if !sockets.contains_key(&core) {
                    cores.insert(core.clone(), 1);
                }
            }
            "cpu cores" => drop(sockets.insert(socket.clone(), number)),
            "siblings" => drop(cores.insert(core.clone(), number)),
            _ => {}
        }
        if matches!(name, "processor" | "vendor_id" | "model name") {
            list.push(json!(value));
        }
    }
    let arm = ["armv", "aarch", "ppc"].iter().any(|start| said.line("uname", 4).starts_with(start));
    let counted = match (arm, vendors > 0 && vendors == models) {
        (true, _) => numbers,
        (false, true) => vendors,
        (false, false) => list.len() as u64,
    };
    let count = if sockets.is_empty() { counted } else { sockets.len() as u64 };
    let per_socket = sockets.first().map_or(1, |(_, cores)| (*cores).max(1));
    let siblings = cores.first().map_or(1, |(_, siblings)| *siblings);
    let threads = (siblings as f64 / per_socket as f64).round_ties_even() as u64;
    add("processor", Json::Array(list));
    add("processor_count", json!(count));
    add("processor_cores", json!(per_socket));
    add("processor_threads_per_core", json!(threads));
    add("processor_vcpus", json!(threads * count * per_socket));
    if let Ok(usable) = said.line("nproc", 0).parse::<u64>() {
        add("processor_nproc", json!(usable));
    }
}

/// What guards it.
fn protection(said: &Said<'_>, facts: &mut Map<String, Json>) {
    let on = |on: bool| if on { "enabled" } else { "disabled" };
    let mut add = |name: &str, value: Json| drop(facts.insert(name.to_owned(), value));
    add("fips", json!(said.file("/proc/sys/crypto/fips_enabled").as_deref() == Some("1")));
    add("apparmor", json!({"status": on(said.has("/sys/kernel/security/apparmor"))}));
    let enforced = said.file("/sys/fs/selinux/enforce");
    let mut selinux = Map::from_iter([("status".to_owned(), json!(on(enforced.is_some())))]);
    if let Some(enforced) = enforced {
        let mode = if enforced == "1" { "enforcing" } else { "permissive" };
        selinux.insert("mode".to_owned(), json!(mode));
        let config = said.file("/etc/selinux/config").unwrap_or_default();
        for (key, name) in [("SELINUX=", "config_mode"), ("SELINUXTYPE=", "type")] {
            if let Some(value) = config.lines().find_map(|line| line.trim().strip_prefix(key)) {
                selinux.insert(name.to_owned(), json!(value));
            }
        }
    }
    add("selinux", Json::Object(selinux));
}

/// Who manages its services and its packages (`service_mgr.py`, `pkg_mgr.py`).
pub(super) fn managers(said: &Said<'_>, facts: &Map<String, Json>) -> Map<String, Json> {
    let text = |name: &str| facts.get(name).and_then(Json::as_str).unwrap_or_default();
    let (system, family) = (text("system"), text("os_family"));
    let services = services(said, system, text("distribution"));
    let packages = packages(said, family);
    Map::from_iter([
        ("service_mgr".to_owned(), json!(services)),
        ("pkg_mgr".to_owned(), json!(packages)),
    ])
}

fn services(said: &Said<'_>, system: &str, distribution: &str) -> String {
    let link = said.line("links", 0);
    let first = said.file("/proc/1/comm").unwrap_or_else(|| link.to_owned());
    let first = first.rsplit('/').next().unwrap_or_default();
    let init = match first {
        "" | "init" => "",
        shell if shell.ends_with("sh") => "",
        "procd" => "openwrt_init",
        "runit-init" => "runit",
        "svscan" => "svc",
        "openrc-init" => "openrc",
        other => other,
    };
    let runs = ["/run/systemd/system", "/dev/.run/systemd", "/dev/.systemd"];
    let offline = link.rsplit('/').next() == Some("systemd");
    let found = match () {
        () if !init.is_empty() => init,
        () if system.contains("BSD") || system == "DragonFly" => "bsdinit",
        () if distribution == "OpenWrt" => "openwrt_init",
        () if said.has("systemctl") && runs.iter().any(|path| said.has(path)) => "systemd",
        () if said.has("initctl") && said.has("/etc/init") => "upstart",
        () if said.has("/sbin/openrc") => "openrc",
        () if said.has("systemctl") && offline => "systemd",
        () if said.has("/etc/init.d") => "sysvinit",
        () if said.has("/etc/dinit.d") => "dinit",
        () => "service",
    };
    found.to_owned()
}

fn packages(said: &Said<'_>, family: &str) -> &'static str {
    const PLACES: [(&str, &str); 16] = [
        ("/usr/bin/rpm-ostree", "atomic_container"),
        ("/usr/bin/yum", "dnf"),
        ("/usr/bin/dnf-3", "dnf"),
        ("/usr/bin/dnf5", "dnf5"),
        ("/usr/bin/apt-get", "apt"),
        ("/usr/bin/zypper", "zypper"),
        ("/usr/sbin/urpmi", "urpmi"),
        ("/usr/bin/pacman", "pacman"),
        ("/bin/opkg", "opkg"),
        ("/usr/pkg/bin/pkgin", "pkgin"),
        ("/sbin/apk", "apk"),
        ("/usr/sbin/pkg", "pkgng"),
        ("/usr/bin/emerge", "portage"),
        ("/usr/bin/pkg", "pkg5"),
        ("/usr/bin/xbps-install", "xbps"),
        ("/usr/local/sbin/pkg", "pkgng"),
    ];
    if family == "RedHat" {
        if said.has("/run/ostree-booted") {
            return "atomic_container";
        }
        for (index, path) in [(1, "/usr/bin/dnf"), (2, "/usr/bin/microdnf")] {
            if said.has(path) {
                return if said.line("links", index) == "/usr/bin/dnf5" { "dnf5" } else { "dnf" };
            }
        }
        return "unknown";
    }
    // The last one that is there counts.
    let found =
        PLACES.iter().rev().find(|(path, _)| said.has(path)).map_or("unknown", |(_, name)| name);
    let found = if family == "Debian" { "apt" } else { found };
    if found == "apt" && said.has("apt_rpm") { "apt_rpm" } else { found }
}
