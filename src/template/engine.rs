//! The engine that renders, once it is set up.

use super::opened::Opened;
use minijinja::Environment;
use std::sync::Arc;

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
}

/// Whether a text holds template syntax.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}
