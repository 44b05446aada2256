//! Setting the engine up with Ansible's filters, tests and lookups, and checking syntax with it.

use super::backslashes::{self, Literal};
use super::engine::{Decrypt, Templates, is_template, single_expression};
use super::evaluation;
use super::opened::Opened;
use super::{
    collections, filters, json_text, lookups, moment, omit, predicates, problems, text, yaml_text,
};
use crate::source::{Diagnostic, Node, Value as Source};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Work that one template may do, in minijinja's units.
const FUEL: u64 = 2_000_000;

impl Templates {
    /// An engine whose lookups find files relative to `directory`.
    pub fn new(directory: PathBuf, decrypt: Decrypt) -> Arc<Self> {
        let opened = Arc::new(Opened::default());
        let decrypt: Decrypt = {
            let opened = Arc::clone(&opened);
            Arc::new(move |armour: &str| {
                let text = decrypt(armour)?;
                opened.add(&text);
                Ok(text)
            })
        };
        let make = |behavior| {
            let mut environment = Environment::new();
            environment.set_undefined_behavior(behavior);
            environment.set_debug(true);
            environment.set_fuel(Some(FUEL));
            let mut syntax = SyntaxConfig::builder();
            syntax.trim_blocks(true).keep_trailing_newline(true);
            if let Ok(syntax) = syntax.build() {
                environment.set_syntax(syntax);
            }
            environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
            environment.set_formatter(evaluation::format);
            environment
                .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
            filters::add_to(&mut environment);
            collections::add_to(&mut environment);
            json_text::add_to(&mut environment);
            text::add_to(&mut environment);
            yaml_text::add_to(&mut environment);
            predicates::add_to(&mut environment);
            lookups::add_to(&mut environment, directory.clone(), Arc::clone(&decrypt));
            moment::add_to(&mut environment);
            environment.add_global("omit", omit::value());
            environment
        };
        Arc::new(Self {
            strict: make(UndefinedBehavior::Strict),
            chaining: make(UndefinedBehavior::Chainable),
            decrypt,
            opened,
            facts: AtomicBool::new(false),
        })
    }

    /// Checks the syntax of every template in `node`, also the names of filters and tests as far as
    /// the engine tells before running.
    pub fn syntax(&self, node: &Node) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        self.collect_syntax(node, &mut found);
        found
    }

    fn collect_syntax(&self, node: &Node, found: &mut Vec<Diagnostic>) {
        match &node.value {
            Source::Text(text) if is_template(text) => {
                let text = backslashes::of_template(text, Literal::AsWritten);
                let result = match single_expression(&text) {
                    Some(expression) => self.strict.compile_expression(expression).map(drop),
                    None => self.strict.template_from_str(&text).map(drop),
                };
                if let Err(error) = result {
                    found.push(problems::syntax_error(&error, node));
                }
            }
            Source::List(items) => items.iter().for_each(|item| self.collect_syntax(item, found)),
            Source::Map(entries) => {
                entries.iter().for_each(|(_, value)| self.collect_syntax(value, found));
            }
            _ => {}
        }
    }

    /// Checks the syntax of a condition, which is an expression without braces.
    pub fn condition_syntax(&self, node: &Node) -> Option<Diagnostic> {
        let text = node.as_str()?;
        let expression = single_expression(text).unwrap_or(text);
        let expression = backslashes::of_expression(expression, Literal::Escapes);
        let error = self.strict.compile_expression(&expression).err()?;
        Some(problems::syntax_error(&error, node))
    }
}
