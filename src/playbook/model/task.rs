//! Tasks: the keywords that all kinds share.

use super::super::around::Around;
use super::becoming::Becoming;
use super::kind::TaskKind;
use crate::source::{Node, Span, Value, Vars};
use crate::template::{Scope, is_template};
use std::sync::Arc;

/// One task or handler.
#[derive(Clone, Debug)]
pub struct Task {
    /// As written; may be a template.
    pub name: Option<Node>,
    /// What it does.
    pub kind: TaskKind,
    /// All must hold.
    pub when: Vec<Node>,
    /// Name for its result.
    pub register: Option<String>,
    /// Variables.
    pub vars: Vars,
    /// Its own, and those of what stands around it.
    pub tags: Vec<String>,
    /// A failure is noted and the host goes on.
    pub ignore_errors: Option<Node>,
    /// Where it runs instead.
    pub delegate_to: Option<Node>,
    /// Only for the first host of a batch.
    pub run_once: bool,
    /// Account.
    pub becoming: Becoming,
    /// Replaces the kind's own verdict.
    pub changed_when: Option<Vec<Node>>,
    /// Replaces the kind's own verdict.
    pub failed_when: Option<Vec<Node>>,
    /// Repeats the task.
    pub looping: Option<Loop>,
    /// Handlers to run when it changed something.
    pub notify: Vec<Node>,
    /// Further names that a handler answers to.
    pub listen: Vec<String>,
    /// Repeats until these hold.
    pub until: Vec<Node>,
    /// How many times more; 3 without.
    pub retries: Option<Node>,
    /// Seconds between; 5 without.
    pub delay: Option<Node>,
    /// Its arguments and results are not shown.
    pub no_log: bool,
    /// `Some(false)`: runs even in `plan`; `Some(true)`: never changes anything.
    pub check_mode: Option<bool>,
    /// As the play's, for this task.
    pub any_errors_fatal: bool,
    /// Environment of commands.
    pub environment: Vars,
    /// The blocks, the role and the files that it stands in.
    pub around: Arc<Around>,
    /// Where it begins.
    pub span: Option<Span>,
}

impl Task {
    /// A task without any keyword.
    pub fn new(kind: TaskKind, tags: Vec<String>) -> Self {
        Self {
            name: None,
            kind,
            when: Vec::new(),
            register: None,
            vars: Vars::new(),
            tags,
            ignore_errors: None,
            delegate_to: None,
            run_once: false,
            becoming: Becoming::default(),
            changed_when: None,
            failed_when: None,
            looping: None,
            notify: Vec::new(),
            listen: Vec::new(),
            until: Vec::new(),
            retries: None,
            delay: None,
            no_log: false,
            check_mode: None,
            any_errors_fatal: false,
            environment: Vars::new(),
            around: Arc::default(),
            span: None,
        }
    }

    /// The name as written, or the kind's; that of a role's task begins with the role.
    pub fn title(&self) -> String {
        self.in_role(self.own_name().unwrap_or_else(|| self.kind.name()))
    }

    /// A name of the task as it is shown.
    pub fn in_role(&self, name: &str) -> String {
        match (&self.around.role, &self.kind) {
            // Ansible shows an include of a role by that role.
            (_, TaskKind::Include(include)) if self.own_name().is_none() => include.title(),
            (Some(role), _) => format!("{} : {name}", role.name),
            (None, _) => name.to_owned(),
        }
    }

    fn own_name(&self) -> Option<&str> {
        self.name.as_ref().and_then(Node::as_str).map(str::trim).filter(|n| !n.is_empty())
    }

    /// Where it is written, as [`place`](Self::place) says it, and how that file was come to.
    pub fn written(&self) -> Option<String> {
        let place = self.place()?;
        Some(match self.way() {
            Some(way) => format!("{place}, {way}"),
            None => place,
        })
    }

    /// How its file was come to: nothing for one of the playbook itself.
    fn way(&self) -> Option<String> {
        let steps: Vec<String> = self
            .around
            .way
            .iter()
            .map(|span| format!("{}:{}", span.file.name, span.line))
            .collect();
        (!steps.is_empty()).then(|| format!("included from {}", steps.join(", from ")))
    }

    /// Whether it is called so as a handler: by its name with or without its role's, rendered as far as it can be.
    pub fn is_called(&self, name: &str, scope: Option<&Scope>) -> bool {
        let Some(own) = self.own_name() else { return self.title() == name };
        let own = self.rendered(own, scope);
        own == name || self.in_role(&own) == name
    }

    /// Whether it listens to a topic as a handler.
    pub fn listens_to(&self, topic: &str, scope: Option<&Scope>) -> bool {
        self.listen.iter().any(|own| self.rendered(own, scope) == topic)
    }

    /// Whether the names that it answers to depend on variables: those that the handler itself sees.
    pub fn is_called_by_template(&self) -> bool {
        let names = self.own_name().into_iter().chain(self.listen.iter().map(String::as_str));
        names.into_iter().any(is_template)
    }

    fn rendered(&self, text: &str, scope: Option<&Scope>) -> String {
        let Some(scope) = scope.filter(|_| is_template(text)) else { return text.to_owned() };
        let node = Node { value: Value::Text(text.to_owned()), span: self.span.clone() };
        scope.text(&node).unwrap_or_else(|_| text.to_owned())
    }

    /// The names that it answers to as a handler, rendered as far as they can be.
    pub fn answers_to(&self, scope: Option<&Scope>) -> Vec<String> {
        let own = self.own_name().map(str::to_owned);
        std::iter::once(self.title())
            .chain(own)
            .chain(self.listen.iter().cloned())
            .map(|text| self.rendered(&text, scope))
            .collect()
    }

    /// Where it is written, as `FILE:LINE`.
    pub fn place(&self) -> Option<String> {
        self.span.as_ref().map(|span| format!("{}:{}", span.file.name, span.line))
    }

    /// The variables that it sets when it runs: its own, and where its result is registered.
    pub fn sets(&self) -> impl Iterator<Item = &str> {
        self.register.as_deref().into_iter().chain(self.kind.sets())
    }

    /// Its values that every host can render before the run; see [`TaskKind::templates`].
    pub fn templates(&self) -> Vec<&Node> {
        // Not the name: one that cannot be rendered is shown as it is written.
        let mut nodes: Vec<&Node> = self.delegate_to.iter().collect();
        nodes.extend(&self.notify);
        nodes.extend(self.environment.values());
        let Becoming { enabled, user, method, flags, exe } = &self.becoming;
        nodes.extend([enabled, user, method, flags, exe].into_iter().flatten());
        nodes.extend(self.kind.templates());
        nodes
    }

    /// Whether `--tags` and `--skip-tags` choose it (Ansible, `playbook/taggable.py`): `always` runs
    /// unless skipped by name, `never` only when one of its tags is named.
    pub fn is_selected(&self, only: &[String], skip: &[String]) -> bool {
        let has = |name: &str| self.tags.iter().any(|tag| tag == name);
        let untagged = !self.tags.iter().any(|tag| tag != "always" && tag != "never");
        let names = |list: &[String], all_matches: bool| {
            list.iter().any(|name| match name.as_str() {
                "all" => all_matches,
                "tagged" => !untagged && all_matches,
                "untagged" => untagged && !has("never"),
                name => has(name),
            })
        };
        let chosen = if only.is_empty() || names(&["all".to_owned()], true) && only == ["all"] {
            !has("never")
        } else {
            has("always") && !has("never") || names(only, !has("never"))
        };
        let skipped = skip.iter().any(|name| match name.as_str() {
            "all" => !has("always"),
            "tagged" => !untagged,
            "untagged" => untagged,
            name => has(name),
        });
        chosen && !skipped
    }
}

/// `loop` or `with_…`, and `loop_control`.
#[derive(Clone, Debug)]
pub struct Loop {
    /// The list, or a template that gives one; the terms of the lookup.
    pub items: Node,
    /// `with_NAME` loops over what the lookup of that name gives for its terms.
    pub lookup: Option<&'static str>,
    /// Name of the item.
    pub variable: String,
    /// Name of its index, from 0.
    pub index: Option<String>,
    /// What is shown for the item.
    pub label: Option<Node>,
    /// Whether `ansible_loop` tells where the item stands.
    pub extended: bool,
    /// Whether `ansible_loop` has all items, too.
    pub all_items: bool,
    /// Seconds between two items.
    pub pause: Option<Node>,
}

impl Loop {
    /// A plain loop.
    pub fn over(items: Node) -> Self {
        Self {
            items,
            lookup: None,
            variable: "item".to_owned(),
            index: None,
            label: None,
            extended: false,
            all_items: true,
            pause: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kind::Meta;
    use super::*;

    fn selected(tags: &[&str], only: &[&str], skip: &[&str]) -> bool {
        let own = |list: &[&str]| list.iter().map(|&tag| tag.to_owned()).collect::<Vec<_>>();
        let task = Task::new(TaskKind::Meta(Meta::Noop), own(tags));
        task.is_selected(&own(only), &own(skip))
    }

    #[test]
    fn tags_as_ansible_chooses() {
        assert!(selected(&[], &[], &[]));
        assert!(!selected(&["never"], &[], &[]));
        assert!(selected(&["never", "x"], &["x"], &[]));
        assert!(!selected(&["never", "x"], &["all"], &[]));
        assert!(selected(&["a"], &["a", "b"], &[]));
        assert!(!selected(&["c"], &["a"], &[]));
        assert!(selected(&["always"], &["a"], &[]));
        assert!(!selected(&["always"], &["a"], &["always"]));
        assert!(!selected(&["a"], &["a"], &["a"]));
        assert!(selected(&[], &["untagged"], &[]));
        assert!(selected(&["a"], &["tagged"], &[]));
        assert!(!selected(&["a"], &["untagged"], &[]));
        assert!(selected(&["always"], &["untagged"], &[]));
    }
}
