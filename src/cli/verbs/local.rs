//! The verbs that go to no host.

use super::print::print;
use crate::cli::args::{ConfigArgs, InventoryArgs, Output, ServicesArgs};
use crate::cli::failure::Failure;
use crate::cli::settings::Settings;
use crate::cli::{console, project, session};
use crate::services::{self, Profiles};
use crate::source::Diagnostic;

pub(super) fn inventory(args: &InventoryArgs) -> Result<u8, Failure> {
    let beside = args.playbook_dir.iter().cloned().collect();
    let settings = Settings::read()?;
    let mut source = args.inventory.clone();
    settings.fill_sources(&mut source);
    let sources = project::sources(&source, beside)?;
    let mut warnings = settings.warnings;
    warnings.extend(sources.warnings.clone());
    session::show_warnings(&warnings, &args.output)?;
    let inventory = &sources.inventory;
    let limit = match &args.inventory.limit {
        None => None,
        Some(limit) => Some(
            inventory
                .limited(inventory.hosts(), limit)
                .map_err(|error| Diagnostic::error(format!("--limit: {error}")))?,
        ),
    };
    let text = if let Some(host) = &args.host {
        inventory.host_json(host).ok_or_else(|| {
            let hosts = inventory.hosts();
            let names = hosts.iter().map(|host| host.as_str());
            let problem = Diagnostic::error(format!("the inventory has no host '{host}'"));
            match crate::source::diagnostic::nearest(host, names) {
                Some(near) => problem.help(format!("did you mean '{near}'?")),
                None => problem.help("`certroll inventory --list` shows all"),
            }
        })?
    } else if args.graph {
        let group = args.group.as_deref().unwrap_or("all");
        inventory
            .graph(group, args.vars)
            .ok_or_else(|| Diagnostic::error(format!("the inventory has no group '{group}'")))?
    } else {
        inventory.list_json(args.export, limit.as_deref())
    };
    print(format!("{}\n", text.trim_end_matches('\n')).as_bytes())
}

pub(super) fn config(args: &ConfigArgs) -> Result<u8, Failure> {
    let settings = Settings::read()?;
    let rows = settings.rows(&given(args));
    let mut text = String::new();
    for row in &rows {
        if args.output.output == Output::Json {
            let object =
                serde_json::json!({"setting": row.name, "value": row.value, "origin": row.origin});
            text.push_str(&format!("{object}\n"));
        } else {
            text.push_str(&format!("{} = {}  ({})\n", row.name, row.value, row.origin));
        }
    }
    session::show_warnings(&settings.warnings, &args.output)?;
    print(text.as_bytes())
}

/// The settings that flags decide.
fn given(args: &ConfigArgs) -> Vec<(&'static str, String)> {
    let (source, connection) = (&args.inventory, &args.connection);
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|p| p.display().to_string());
    let list = |list: Vec<String>| Some(list.join(",")).filter(|text| !text.is_empty());
    let flag = |given: bool| given.then(|| "true".to_owned());
    let files = source.vault_password_files.iter().map(|file| file.display().to_string());
    let all = [
        ("inventory", list(source.sources.clone())),
        ("vault_password_file", list(files.collect())),
        ("vault_identity_list", list(source.vault_ids.clone())),
        ("ask_vault_pass", flag(source.ask_vault_pass)),
        ("remote_user", connection.user.clone()),
        ("private_key_file", path(&connection.private_key)),
        ("connection", connection.connection.clone()),
        ("ask_pass", flag(connection.ask_pass)),
        ("connection_password_file", path(&connection.connection_password_file)),
        ("become", flag(connection.becoming)),
        ("become_user", connection.become_user.clone()),
        ("become_method", connection.become_method.clone()),
        ("become_ask_pass", flag(connection.ask_become_pass)),
        ("become_password_file", path(&connection.become_password_file)),
        ("timeout", connection.timeout.map(|seconds| seconds.to_string())),
        ("ssh_common_args", connection.ssh_common_args.clone()),
        ("ssh_extra_args", connection.ssh_extra_args.clone()),
        ("forks", args.forks.map(|forks| forks.to_string())),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

pub(super) fn services(args: &ServicesArgs) -> Result<u8, Failure> {
    let (profiles, _) = Profiles::load(std::slice::from_ref(&args.dir))?;
    if let Some(name) = &args.show {
        let shown = match (profiles.find(name), services::of_store(name)) {
            (Err(_), Ok(store)) => services::show(&store),
            (profile, _) => services::show(profile?),
        };
        return print(shown.as_bytes());
    }
    let rows = services::list(&profiles);
    if args.output.output == Output::Json {
        let mut text = String::new();
        for row in rows {
            let object = serde_json::json!({
                "service": row.name,
                "description": row.description,
                "origin": row.origin,
                "checked_on_host": row.checked_on_host,
                "reload": row.reload,
            });
            text.push_str(&format!("{object}\n"));
        }
        return print(text.as_bytes());
    }
    let options = console::options(&args.output, false);
    print(crate::report::services::blocks(&options.stdout, &rows).as_bytes())
}
