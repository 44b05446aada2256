//! Which distribution a host runs (Ansible, `module_utils/facts/system/distribution.py`, and `distro` in it).

use super::said::Said;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// Families and their members. Any other distribution is its own family.
const FAMILIES: [(&str, &[&str]); 7] = [
    (
        "RedHat",
        &[
            "RedHat",
            "RHEL",
            "Fedora",
            "CentOS",
            "Scientific",
            "SLC",
            "Ascendos",
            "CloudLinux",
            "PSBM",
            "OracleLinux",
            "OVS",
            "OEL",
            "Amazon",
            "Amzn",
            "Virtuozzo",
            "XenServer",
            "Alibaba",
            "EulerOS",
            "openEuler",
            "AlmaLinux",
            "Rocky",
            "TencentOS",
            "EuroLinux",
            "Kylin Linux Advanced Server",
            "MIRACLE",
        ],
    ),
    (
        "Debian",
        &[
            "Debian",
            "Ubuntu",
            "Raspbian",
            "Neon",
            "KDE neon",
            "Linux Mint",
            "SteamOS",
            "Devuan",
            "Kali",
            "Cumulus Linux",
            "Pop!_OS",
            "Parrot",
            "Pardus GNU/Linux",
            "Uos",
            "Deepin",
            "OSMC",
            "Linux Mint Debian Edition",
        ],
    ),
    (
        "Suse",
        &[
            "SuSE",
            "SLES",
            "SLED",
            "openSUSE",
            "openSUSE Tumbleweed",
            "SLES_SAP",
            "SUSE_LINUX",
            "openSUSE Leap",
            "ALP-Dolomite",
            "SL-Micro",
            "openSUSE MicroOS",
        ],
    ),
    ("Archlinux", &["Archlinux", "Antergos", "Manjaro"]),
    ("Gentoo", &["Gentoo", "Funtoo"]),
    ("FreeBSD", &["FreeBSD", "TrueOS"]),
    ("ClearLinux", &["Clear Linux OS", "Clear Linux Mix"]),
];

/// A distribution, as far as it is known.
#[derive(Default)]
struct Found {
    name: String,
    version: String,
    release: String,
    major: String,
    minor: Option<String>,
    file: Option<(&'static str, &'static str)>,
}

pub(super) fn facts(said: &Said<'_>) -> Map<String, Json> {
    let found = match said.line("uname", 0) {
        "Linux" | "" => linux(said),
        other => other_system(said, other),
    };
    let family = FAMILIES.iter().find(|(_, members)| members.contains(&found.name.as_str()));
    let family = family.map_or(found.name.as_str(), |(family, _)| family);
    let mut facts = Map::new();
    let mut add = |name: &str, value: &str| drop(facts.insert(name.to_owned(), json!(value)));
    add("os_family", family);
    add("distribution", &found.name);
    add("distribution_version", &found.version);
    add("distribution_release", &found.release);
    add("distribution_major_version", &found.major);
    if let Some(minor) = &found.minor {
        add("distribution_minor_version", minor);
    }
    if let Some((path, variety)) = found.file {
        add("distribution_file_path", path);
        add("distribution_file_variety", variety);
        facts.insert("distribution_file_parsed".to_owned(), json!(true));
    }
    facts
}

fn other_system(said: &Said<'_>, system: &str) -> Found {
    let release = said.line("uname", 2);
    let version = release.split('-').next().unwrap_or_default();
    let major = version.split('.').next().unwrap_or_default();
    let own = |text: &str| text.to_owned();
    Found {
        name: own(system),
        version: own(version),
        release: own(release),
        major: own(major),
        ..Found::default()
    }
}

/// `NAME=value` lines.
struct OsRelease {
    values: BTreeMap<String, String>,
}

impl OsRelease {
    fn read(text: &str) -> Self {
        let mut values = BTreeMap::new();
        for (name, value) in text.lines().filter_map(|line| line.trim().split_once('=')) {
            let words = shlex::split(value).unwrap_or_default();
            values.insert(name.to_lowercase(), words.join(" "));
        }
        Self { values }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// The first word of digits and dots behind `release`, as files like `redhat-release` have it.
fn released(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(" release ")?;
    rest.split_whitespace().next()
}

/// What is in the first pair of brackets.
fn in_brackets(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('(')?;
    rest.split_once(')').map(|(inside, _)| inside)
}

fn linux(said: &Said<'_>) -> Found {
    let own = said.file("/etc/os-release");
    let os = OsRelease::read(&own.or_else(|| said.file("/usr/lib/os-release")).unwrap_or_default());
    let mut found = guess(said, &os);
    // In the order in which Ansible looks at them.
    let files: [(&'static str, &'static str); 13] = [
        ("/etc/oracle-release", "OracleLinux"),
        ("/etc/centos-release", "CentOS"),
        ("/etc/redhat-release", "RedHat"),
        ("/etc/openwrt_release", "OpenWrt"),
        ("/etc/os-release", "Amazon"),
        ("/etc/system-release", "Amazon"),
        ("/etc/alpine-release", "Alpine"),
        ("/etc/arch-release", "Archlinux"),
        ("/etc/os-release", "Archlinux"),
        ("/etc/os-release", "SUSE"),
        ("/etc/os-release", "Debian"),
        ("/etc/os-release", "Flatcar"),
        ("/etc/os-release", "NA"),
    ];
    for (path, variety) in files {
        if path == "/etc/arch-release" && said.has_file(path) {
            found.name = variety.to_owned();
            found.file = Some((path, variety));
            return found;
        }
        let Some(text) = said.file(path) else { continue };
        let before = found.name.clone();
        found.name = variety.to_owned();
        if parsed(said, &os, &text, path, variety, &mut found) {
            found.file = Some((path, variety));
            return found;
        }
        found.name = before;
    }
    found
}

/// What `distro` makes of it.
fn guess(said: &Said<'_>, os: &OsRelease) -> Found {
    let id = match os.get("id").unwrap_or_default().to_lowercase().as_str() {
        "ol" => "oracle".to_owned(),
        "opensuse-leap" => "opensuse".to_owned(),
        other => other.replace(' ', "_"),
    };
    let mut letters = id.chars();
    let capital: String = letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default();
    let name = match capital.as_str() {
        "Amzn" => "Amazon".to_owned(),
        "Rhel" => "Redhat".to_owned(),
        "" => "NA".to_owned(),
        _ => capital,
    };
    let file = ["/etc/centos-release", "/etc/oracle-release", "/etc/redhat-release"]
        .into_iter()
        .find_map(|path| said.file(path));
    let by_file = file.as_deref().and_then(released).unwrap_or_default();
    let plain = os.get("version_id").unwrap_or(by_file);
    let version = match id.as_str() {
        "debian" => {
            let precise = said.file("/etc/debian_version").unwrap_or_default();
            match precise.matches('.').count() > plain.matches('.').count() || plain.is_empty() {
                true => precise,
                false => plain.to_owned(),
            }
        }
        "centos" => {
            let best = if by_file.matches('.').count() > plain.matches('.').count() {
                by_file
            } else {
                plain
            };
            best.split('.').take(2).collect::<Vec<_>>().join(".")
        }
        _ => plain.to_owned(),
    };
    let of_version = os
        .get("version")
        .and_then(in_brackets)
        .filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    let of_file = file.as_deref().and_then(in_brackets);
    let release = ["version_codename", "ubuntu_codename"].into_iter().find_map(|key| os.get(key));
    let release = match os.values.get("version_codename") {
        // An empty one is one.
        Some(codename) => codename,
        None => release.or(of_version).or(of_file).unwrap_or("NA"),
    };
    let version = if version.is_empty() { "NA".to_owned() } else { version };
    let major = version.split('.').next().unwrap_or("NA").to_owned();
    Found { name, release: release.to_owned(), major, version, ..Found::default() }
}

/// Whether a file is of that variety, and what it says then.
fn parsed(
    said: &Said<'_>,
    os: &OsRelease,
    text: &str,
    path: &str,
    variety: &str,
    found: &mut Found,
) -> bool {
    let mut is = |name: &str| name.clone_into(&mut found.name);
    match variety {
        "OracleLinux" | "RedHat" => {
            let mark = if variety == "RedHat" { "Red Hat" } else { "Oracle Linux" };
            if !text.contains(mark) {
                is(text.split_whitespace().next().unwrap_or_default());
            }
            true
        }
        "CentOS" if text.contains("CentOS Stream") => {
            "Stream".clone_into(&mut found.release);
            true
        }
        "CentOS" if text.contains("TencentOS Server") => {
            is("TencentOS");
            true
        }
        "OpenWrt" if text.contains("OpenWrt") => {
            let os = OsRelease::read(&text.replace('\'', "\""));
            if let Some(version) = os.get("distrib_release") {
                version.clone_into(&mut found.version);
            }
            if let Some(release) = os.get("distrib_codename") {
                release.clone_into(&mut found.release);
            }
            true
        }
        "Amazon" if text.contains("Amazon") => {
            if let (true, Some(version)) = (path == "/etc/os-release", os.get("version_id")) {
                let (major, minor) = version.split_once('.').unwrap_or((version, "NA"));
                found.version = version.to_owned();
                found.major = major.to_owned();
                found.minor = Some(minor.to_owned());
            }
            true
        }
        "Alpine" => {
            found.version = text.to_owned();
            true
        }
        "Archlinux" => text.contains("Arch Linux"),
        "SUSE" if text.to_lowercase().contains("suse") => {
            suse(os, text, found);
            true
        }
        "Debian" => debian(said, os, text, found),
        "Flatcar" => os.get("id") == Some("flatcar"),
        "NA" => {
            is(os.get("name").unwrap_or("NA"));
            if let (true, Some(version)) = (found.version == "NA", os.get("version")) {
                version.clone_into(&mut found.version);
            }
            true
        }
        _ => false,
    }
}

fn suse(os: &OsRelease, text: &str, found: &mut Found) {
    if let Some(name) = os.get("name") {
        name.clone_into(&mut found.name);
    }
    let Some(version) = os.get("version_id") else { return };
    let number = |c: char| c.is_ascii_digit() || c == '.';
    let end = version.find(|c: char| !number(c)).unwrap_or(version.len());
    let mut parts = version[..end].splitn(3, '.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next());
    found.version = minor.map_or(major.to_owned(), |minor| format!("{major}.{minor}"));
    found.major = major.to_owned();
    let minor = minor.unwrap_or_default();
    let lower = text.to_lowercase();
    if lower.contains("open") {
        found.release = minor.to_owned();
    } else if lower.contains("enterprise") {
        found.release = if minor.is_empty() { "0".to_owned() } else { minor.to_owned() };
    }
    match os.get("variant_id") {
        Some("server-sap" | "sles-sap") => "SLES_SAP".clone_into(&mut found.name),
        Some("transactional") => "SL-Micro".clone_into(&mut found.name),
        _ => {}
    }
}

fn debian(said: &Said<'_>, os: &OsRelease, text: &str, found: &mut Found) -> bool {
    let has = |word: &str| text.contains(word);
    let mut is = |name: &str| name.clone_into(&mut found.name);
    if has("Debian") || has("Raspbian") {
        is("Debian");
        if let Some(release) = os.get("pretty_name").and_then(in_brackets) {
            release.clone_into(&mut found.release);
        }
        let precise = said.file("/etc/debian_version").unwrap_or_default();
        let minor = precise.split_once('.').map(|(_, minor)| minor);
        found.minor = minor
            .filter(|minor| minor.starts_with(|c: char| c.is_ascii_digit()))
            .map(str::to_owned);
        return true;
    }
    let plain = ["Ubuntu", "SteamOS"].into_iter().find(|name| has(name));
    if let Some(name) = plain {
        is(name);
        return true;
    }
    let (name, own_version) = if has("Kali") {
        ("Kali", false)
    } else if has("Parrot") {
        ("Parrot", false)
    } else if has("Devuan") {
        ("Devuan", true)
    } else if has("Cumulus") {
        ("Cumulus Linux", true)
    } else if has("Mint") {
        ("Linux Mint", true)
    } else if has("UOS") || has("Uos") || has("uos") {
        ("Uos", true)
    } else if has("Deepin") || has("deepin") {
        ("Deepin", true)
    } else if has("LMDE") {
        ("Linux Mint Debian Edition", false)
    } else {
        return false;
    };
    is(name);
    if let (true, Some(version)) = (own_version, os.get("version_id")) {
        version.clone_into(&mut found.version);
        version.split('.').next().unwrap_or_default().clone_into(&mut found.major);
    }
    true
}
