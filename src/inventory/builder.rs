//! An inventory being read: hosts, groups and variables as the sources name them, one after the other.

use super::graph;
use super::model::{Group, Inventory};
use crate::model::HostName;
use crate::source::{Diagnostic, Diagnostics, Node, Span, Value};
use std::collections::HashSet;
use std::sync::Arc;

/// An inventory being read.
#[derive(Default)]
pub(super) struct Builder {
    inventory: Inventory,
    /// Groups that are more than mentioned.
    declared: HashSet<String>,
    /// Parent and child, where the child is not declared yet.
    pending: Vec<(String, String, Span)>,
}

impl Builder {
    pub(super) fn group(&mut self, name: &str) {
        self.mention(name);
        if !self.declared.contains(name) {
            self.declared.insert(name.to_owned());
        }
    }

    /// A group that has its place from here on, but must still be declared.
    pub(super) fn mention(&mut self, name: &str) {
        if !self.inventory.groups.contains_key(name) {
            self.inventory.groups.insert(name.to_owned(), Group::default());
        }
    }

    /// A section of an INI file: groups of which the group was said to be a child get it now, so that
    /// children stand in the order of their sections, as in Ansible.
    pub(super) fn section(&mut self, name: &str) -> Result<(), String> {
        self.group(name);
        while let Some(at) = self.pending.iter().position(|(_, child, _)| child == name) {
            let (parent, child, _) = self.pending.remove(at);
            self.child(&parent, &child)?;
        }
        Ok(())
    }

    pub(super) fn has_group(&self, name: &str) -> bool {
        matches!(name, "all" | "ungrouped") || self.declared.contains(name)
    }

    pub(super) fn has_host(&self, name: &str) -> bool {
        self.inventory.hosts.contains_key(name)
    }

    pub(super) fn host_names(&self) -> Vec<String> {
        self.inventory.hosts.keys().map(ToString::to_string).collect()
    }

    pub(super) fn host(
        &mut self,
        name: &str,
        group: &str,
        at: Option<&Span>,
    ) -> Result<(), String> {
        if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(format!("'{}' is not a valid host name", name.escape_debug()));
        }
        if let Some((variable, _)) = name.split_once('=') {
            return Err(format!(
                "the line begins with the variable '{variable}' and names no host"
            ));
        }
        // A name that looks like an option would end up as one in somebody's script.
        if name.starts_with('-') {
            return Err(format!("a host's name cannot begin with a dash: '{name}'"));
        }
        self.group(group);
        let host = HostName::new(name);
        let entry = self.inventory.hosts.entry(host.clone()).or_default();
        if entry.span.is_none() {
            entry.span = at.cloned();
        }
        if let Some(group) = self.inventory.groups.get_mut(group) {
            group.hosts.insert(host);
        }
        Ok(())
    }

    pub(super) fn host_var(&mut self, host: &str, key: &str, value: Node) {
        if let Some(host) = self.inventory.hosts.get_mut(host) {
            Arc::make_mut(&mut host.vars).insert(key.to_owned(), value);
        }
    }

    pub(super) fn group_var(&mut self, group: &str, key: &str, value: Node) -> Result<(), String> {
        let group = self.inventory.groups.entry(group.to_owned()).or_default();
        if key == "ansible_group_priority" {
            let priority = match &value.value {
                Value::Int(priority) => Some(*priority),
                _ => value.as_str().and_then(|text| text.trim().parse().ok()),
            };
            let wrong = || format!("{key} takes a whole number, not {}", value.kind());
            group.priority = Some(priority.ok_or_else(wrong)?);
        } else {
            Arc::make_mut(&mut group.vars).insert(key.to_owned(), value);
        }
        Ok(())
    }

    pub(super) fn child(&mut self, parent: &str, child: &str) -> Result<(), String> {
        if graph::would_loop(&self.inventory, parent, child) {
            return Err(format!("the group '{child}' cannot be within '{parent}': that is a loop"));
        }
        if let Some(group) = self.inventory.groups.get_mut(parent) {
            group.children.insert(child.to_owned());
        }
        Ok(())
    }

    /// A child that may be defined further down or in a later source.
    pub(super) fn later_child(
        &mut self,
        parent: &str,
        child: &str,
        at: &Span,
    ) -> Result<(), String> {
        if self.inventory.groups.contains_key(child) {
            self.child(parent, child)?;
        }
        if self.has_group(child) {
            return Ok(());
        }
        self.pending.push((parent.to_owned(), child.to_owned(), at.clone()));
        Ok(())
    }

    /// Gives each group that was only named as a child to its parent, and returns what was read.
    pub(super) fn finish(mut self, found: &mut Diagnostics) -> Inventory {
        for (parent, child, at) in std::mem::take(&mut self.pending) {
            if !self.has_group(&child) {
                let known = self.inventory.groups.keys().map(String::as_str);
                let message =
                    format!("the group '{parent}' includes '{child}', which is nowhere defined");
                let problem = Diagnostic::error(message).at(&at);
                found.push(match crate::source::diagnostic::nearest(&child, known) {
                    Some(near) => problem.help(format!("did you mean '{near}'?")),
                    None => problem.help(format!("define [{child}], empty if need be")),
                });
            } else if let Err(why) = self.child(&parent, &child) {
                found.push(Diagnostic::error(why).at(&at));
            }
        }
        self.inventory
    }
}
