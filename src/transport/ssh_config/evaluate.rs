//! Which lines hold for a host. A second pass over the files follows when one says `Match final`.

use super::criteria::{Criterion, What};
use super::lookup::{Inner, Lookup};
use super::parse::Entry;
use super::settings::{Setting, Settings};
use super::tokens::{Tokens, expand_host_name};
use crate::transport::host_key::pattern;
use std::process::{Command, Stdio};
use std::sync::PoisonError;

pub(super) fn lookup(config: &Inner, original: &str, first: &[Setting]) -> Result<Lookup, String> {
    let mut settings = Settings::default();
    first.iter().for_each(|setting| settings.add(setting));
    let mut pass =
        Pass { config, original, host: original.to_owned(), settings, last: false, again: false };
    pass.files()?;
    pass.host = match &pass.settings.host_name {
        Some(name) => expand_host_name(name, original)?,
        None => original.to_owned(),
    }
    .to_ascii_lowercase();
    if pass.again {
        pass.settings.host_name = Some(pass.host.clone());
        pass.last = true;
        pass.files()?;
    }
    Ok(Lookup { host: pass.host, settings: pass.settings })
}

struct Pass<'a> {
    config: &'a Inner,
    /// As asked for.
    original: &'a str,
    /// What `Host` is compared with.
    host: String,
    settings: Settings,
    /// Whether this is the second pass.
    last: bool,
    /// Whether there has to be one.
    again: bool,
}

impl Pass<'_> {
    fn files(&mut self) -> Result<(), String> {
        self.config.files.iter().try_for_each(|entries| self.entries(entries, true, false))
    }

    /// `never`: within a block that does not hold no `Host` or `Match` of an included file does.
    fn entries(&mut self, entries: &[Entry], active: bool, never: bool) -> Result<(), String> {
        let mut active = active;
        for entry in entries {
            match entry {
                Entry::Set(setting) if active => self.settings.add(setting),
                Entry::Set(_) => {}
                Entry::Host(patterns) => active = !never && self.is_host(patterns),
                Entry::Match(criteria, span) => {
                    let all_true = self.all_true(criteria, never);
                    active = all_true.map_err(|problem| format!("{span}: {problem}"))? && !never;
                }
                Entry::Include(files) => {
                    for file in files {
                        self.entries(file, active, never || !active)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn is_host(&self, patterns: &[String]) -> bool {
        let mut found = false;
        for text in patterns {
            match text.strip_prefix('!') {
                Some(negated) if pattern::matches(negated, &self.host) => return false,
                Some(_) => {}
                None => found |= pattern::matches(text, &self.host),
            }
        }
        found
    }

    /// `never` spares the run of commands.
    fn all_true(&mut self, criteria: &[Criterion], never: bool) -> Result<bool, String> {
        let host = match &self.settings.host_name {
            Some(name) if !self.last => expand_host_name(name, self.original)?,
            Some(name) => name.clone(),
            None => self.original.to_owned(),
        };
        let local = &self.config.controller.user;
        let user = self.settings.user.as_ref().unwrap_or(local).clone();
        let mut all = true;
        for Criterion { negated, what } in criteria {
            let one = match what {
                What::All => true,
                What::Final => {
                    self.again = true;
                    self.last
                }
                What::Canonical => self.last,
                What::Host(list) => pattern::list_matches(list, &host.to_ascii_lowercase()),
                What::OriginalHost(list) => {
                    pattern::list_matches(list, &self.original.to_ascii_lowercase())
                }
                What::User(list) => pattern::list_matches(list, &user),
                What::LocalUser(list) => pattern::list_matches(list, local),
                What::Tagged(list) => {
                    pattern::list_matches(list, self.settings.tag.as_deref().unwrap_or_default())
                }
                What::SessionType(list) => pattern::list_matches(list, "exec"),
                What::Never => false,
                // Not run when the answer cannot matter any more.
                What::Exec(_) if !all || never => continue,
                What::Exec(command) => self.exec(command, &host, &user)?,
            };
            all &= one != *negated;
        }
        Ok(all)
    }

    fn exec(&self, command: &str, host: &str, user: &str) -> Result<bool, String> {
        let controller = &self.config.controller;
        let tokens = Tokens {
            controller,
            original: self.original,
            host,
            alias: self.settings.host_key_alias.as_deref().unwrap_or(self.original),
            port: self.settings.port.unwrap_or(22),
            user,
            jump: &self.settings.jump(),
        };
        let command = tokens.expand_command(command)?;
        let mut executed = self.config.executed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(result) = executed.get(&command) {
            return Ok(*result);
        }
        let status = Command::new(&controller.shell)
            .arg("-c")
            .arg(&command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|error| format!("cannot run {}: {error}", controller.shell.display()))?;
        executed.insert(command, status.success());
        Ok(status.success())
    }
}
