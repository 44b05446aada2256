//! The engine that renders, once it is set up.

use super::opened::Opened;
use minijinja::Environment;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Decrypts an armoured vault text; the error says why not.
pub(crate) type Decrypt = Arc<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

/// The template engine with Ansible's filters, tests and lookups.
pub struct Templates {
    pub(super) strict: Environment<'static>,
    /// The same, but an attribute of something undefined is undefined too: for `a.b.c | default(x)`.
    pub(super) chaining: Environment<'static>,
    pub(super) decrypt: Decrypt,
    /// What came out of vaults.
    pub(super) opened: Arc<Opened>,
    /// Something asked for what is gathered of hosts.
    pub(super) facts: AtomicBool,
}

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Templates")
    }
}

impl Templates {
    /// What opens vault texts.
    pub(crate) fn decrypt(&self) -> &Decrypt {
        &self.decrypt
    }

    /// Something asks for what is gathered of hosts.
    pub(crate) fn asks_for_facts(&self) {
        self.facts.store(true, Ordering::Relaxed);
    }

    /// Whether something has asked for what is gathered of hosts.
    pub(crate) fn needs_facts(&self) -> bool {
        self.facts.load(Ordering::Relaxed)
    }
}

/// Whether a text holds template syntax.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// The expression of a text that is nothing but `{{ expression }}`.
pub(super) fn single_expression(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("{{")?.strip_suffix("}}")?;
    if inner.contains("{%") || inner.contains("{#") {
        return None;
    }
    // `{{ a }}{{ b }}`: braces outside quotes and mappings end the expression earlier.
    let mut quote = None;
    let mut depth = 0_i32;
    let mut previous = '\0';
    for c in inner.chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open && previous != '\\' => quote = None,
            (None, '{') => depth += 1,
            (None, '}') => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return None;
        }
        previous = c;
    }
    Some(inner.strip_prefix('-').unwrap_or(inner).strip_suffix('-').unwrap_or(inner))
}
