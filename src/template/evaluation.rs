//! One evaluation: lazily rendered variables, and a record of every name that was missing.

use super::backslashes::{self, Literal};
use super::convert::{json, python_text};
use super::engine::{is_template, single_expression};
use super::error::TemplateError;
use super::facts;
use super::problems::{place_of, run_error};
use super::record::{self, Failure, Missing, Shared};
use super::scope::Scope;
use crate::source::diagnostic::nearest;
use crate::source::{Diagnostic, Node, Value as Source, Vars};
use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use std::fmt;
use std::sync::Arc;

/// How deep variables may refer to each other.
const MAX_DEPTH: usize = 40;

/// The state of one evaluation, shared by all the lazy values that it hands out.
pub(super) struct Evaluation {
    scope: Scope,
    /// Whose variables they are, where `hostvars` led to another host.
    host: Option<String>,
    chaining: bool,
    record: Shared,
}

impl Evaluation {
    /// Runs `work` strictly, and again with chaining undefined when only that was in the way.
    pub(super) fn run<T>(
        scope: &Scope,
        node: &Node,
        work: impl Fn(&Arc<Self>) -> Result<T, Error>,
    ) -> Result<T, TemplateError> {
        let strict = Self::start(scope, false);
        let first = work(&strict);
        let again = first.as_ref().is_err_and(|error| {
            matches!(error.kind(), ErrorKind::UndefinedError) && mentions_default(node)
        });
        if again {
            let chaining = Self::start(scope, true);
            let second = work(&chaining);
            return chaining.judge(second, node);
        }
        strict.judge(first, node)
    }

    fn start(scope: &Scope, chaining: bool) -> Arc<Self> {
        Arc::new(Self { scope: scope.clone(), host: None, chaining, record: Shared::default() })
    }

    fn judge<T>(&self, result: Result<T, Error>, node: &Node) -> Result<T, TemplateError> {
        let (not_yet_known, failures) = record::with(&self.record, |record| {
            (record.not_yet_known.take(), std::mem::take(&mut record.failures))
        });
        let mut failures = failures.into_iter().flatten();
        let broken = failures.clone().find(|failure| matches!(failure, Failure::Broken(_)));
        match (broken, not_yet_known, failures.next()) {
            (Some(failure), ..) | (None, None, Some(failure)) => Err(self.explained(failure, node)),
            (None, Some(name), _) => Err(TemplateError::NotYetKnown(name)),
            (None, None, None) => {
                result.map_err(|error| TemplateError::Wrong(Box::new(run_error(&error, node))))
            }
        }
    }

    fn explained(&self, failure: Failure, node: &Node) -> TemplateError {
        match failure {
            Failure::Within(error) | Failure::Broken(error) => error,
            Failure::Undefined(name) => TemplateError::Wrong(Box::new(self.undefined(&name, node))),
        }
    }

    fn undefined(&self, name: &str, node: &Node) -> Diagnostic {
        let problem =
            Diagnostic::error(format!("'{name}' is undefined")).at(place_of(name, node).as_ref());
        if facts::is_fact(name) {
            return problem.help("`gather_facts: true` in the play gathers it");
        }
        if facts::is_others(name) {
            return problem.help(
                "certroll does not gather this one: set it in the inventory, or `register` a `command`",
            );
        }
        match nearest(name, self.scope.names()) {
            Some(known) => problem.help(format!("did you mean '{known}'?")),
            None => problem.help("define it in the inventory, in `vars:`, or with -e"),
        }
    }

    fn environment(&self) -> &Environment<'static> {
        if self.chaining { &self.scope.templates.chaining } else { &self.scope.templates.strict }
    }

    /// The value of a node: templates rendered, containers lazy.
    pub(super) fn value(self: &Arc<Self>, node: &Node) -> Result<Value, Error> {
        if node.span.as_ref().is_some_and(|span| span.file.secret) {
            self.keep_secret(node);
        }
        Ok(match &node.value {
            Source::Null => Value::from(()),
            Source::Bool(value) => Value::from(*value),
            Source::Int(value) => Value::from(*value),
            Source::Float(value) => Value::from(*value),
            Source::Unsafe(text) => Value::from(text.as_str()),
            Source::Text(text) if is_template(text) => self.template(text, Literal::AsWritten)?,
            Source::Text(text) => Value::from(text.as_str()),
            Source::Vault(armour) => {
                let text = (self.scope.templates.decrypt)(armour)
                    .map_err(|why| Error::new(ErrorKind::InvalidOperation, why))?;
                Value::from(text)
            }
            Source::List(_) | Source::Map(_) => self.held(&Held::own(node))?,
        })
    }

    /// A scalar of a file that was encrypted as a whole. `true` and short numbers stand in every file.
    fn keep_secret(&self, node: &Node) {
        let opened = &self.scope.templates.opened;
        match &node.value {
            Source::Text(text) | Source::Unsafe(text) if !is_template(text) => opened.add(text),
            Source::Int(number) if number.abs() > 99 => opened.add(&number.to_string()),
            _ => {}
        }
    }

    /// As [`value`](Self::value), without a copy of lists and mappings.
    fn held(self: &Arc<Self>, held: &Held) -> Result<Value, Error> {
        let (evaluation, node) = (Arc::clone(self), held.node());
        Ok(match &node.value {
            Source::List(_) => Value::from_object(LazyList { evaluation, held: held.clone() }),
            Source::Map(_) => Value::from_object(LazyMap { evaluation, held: held.clone() }),
            _ => self.value(node)?,
        })
    }

    /// A text with templates.
    pub(super) fn template(self: &Arc<Self>, text: &str, literal: Literal) -> Result<Value, Error> {
        if facts::mentioned(text) {
            self.scope.templates.asks_for_facts();
        }
        let text = &*backslashes::of_template(text, literal);
        let context = Value::from_object(Context(Arc::clone(self)));
        match single_expression(text) {
            Some(expression) => {
                let value = self.environment().compile_expression(expression)?.eval(context)?;
                if value.is_undefined() {
                    let expression = expression.trim();
                    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
                    let why = match expression.rsplit_once('.') {
                        Some((whole, part)) if expression.chars().all(plain) => {
                            format!("'{expression}' is undefined: '{whole}' has no '{part}'")
                        }
                        _ => "the value is undefined".to_owned(),
                    };
                    return Err(Error::new(ErrorKind::UndefinedError, why));
                }
                Ok(value)
            }
            None => self.environment().render_str(text, context).map(Value::from),
        }
    }

    /// A variable by name. What is missing becomes a value that `default` and `defined` forgive.
    fn lookup(self: &Arc<Self>, name: &str) -> Option<Value> {
        let Some((layer, index)) = self.scope.place(name) else {
            return self.without_node(name);
        };
        let held = Held { root: Root::Layer(layer, index), path: Vec::new() };
        let node = held.node();
        let entry = match &self.host {
            Some(host) => format!("{host}: {name}"),
            None => name.to_owned(),
        };
        let chain = record::with(&self.record, |record| {
            let again = record.stack.len() >= MAX_DEPTH || record.stack.contains(&entry);
            if !again {
                record.stack.push(entry.clone());
            }
            again.then(|| record.stack.join(" → "))
        });
        if let Some(chain) = chain {
            let message = format!("the variable '{name}' refers to itself: {chain} → {entry}");
            let wrong = Diagnostic::error(message).at(node.span.as_ref());
            let error = TemplateError::Wrong(Box::new(wrong));
            return Some(Missing::value(&self.record, Failure::Broken(error)));
        }
        let value = self.guarded(&held);
        record::with(&self.record, |record| record.stack.pop());
        Some(value)
    }

    /// A value; what went wrong within it becomes a value that is missing.
    fn guarded(self: &Arc<Self>, held: &Held) -> Value {
        let before = record::with(&self.record, |record| record.failures.len());
        let value = self.held(held);
        let node = held.node();
        let inner: Vec<Failure> = record::with(&self.record, |record| {
            record.failures.iter_mut().skip(before).filter_map(Option::take).collect()
        });
        let broken = inner.iter().find(|failure| matches!(failure, Failure::Broken(_)));
        let failure = match (broken.or(inner.first()), value) {
            (None, Ok(value)) => return value,
            (Some(Failure::Broken(error)), _) => Failure::Broken(error.clone()),
            (Some(failure), _) => Failure::Within(self.explained(failure.clone(), node)),
            (None, Err(error)) => {
                let undefined = matches!(error.kind(), ErrorKind::UndefinedError);
                let wrong = TemplateError::Wrong(Box::new(run_error(&error, node)));
                if undefined { Failure::Within(wrong) } else { Failure::Broken(wrong) }
            }
        };
        Missing::value(&self.record, failure)
    }

    fn without_node(self: &Arc<Self>, name: &str) -> Option<Value> {
        if name == "hostvars" && self.scope.hostvars.is_some() {
            return Some(Value::from_object(AllHosts(Arc::clone(self))));
        }
        // Every variable by its name (Ansible's magic variable `vars`).
        if name == "vars" {
            return Some(Value::from_object(OneHost(Arc::clone(self))));
        }
        // A result may have the name of a function (`register: now`).
        let is_set_later = self.scope.unknown.contains(name);
        if !is_set_later && self.environment().globals().any(|(known, _)| known == name) {
            return None;
        }
        self.note_unknown(name);
        Some(Missing::value(&self.record, Failure::Undefined(name.to_owned())))
    }

    /// Remembers a name that only the run sets; `false`: it is none.
    fn note_unknown(&self, name: &str) -> bool {
        let unknown = self.scope.may_be_set(name);
        if facts::is_fact(name) {
            self.scope.templates.asks_for_facts();
        }
        if unknown {
            record::with(&self.record, |record| {
                record.not_yet_known.get_or_insert_with(|| name.to_owned());
            });
        }
        unknown
    }
}

/// A template from a file, in the variables of the template that asks for it and those of `more`, a mapping.
/// Source: Ansible, `plugins/lookup/template.py`.
pub(super) fn file(
    state: &State,
    name: &str,
    text: &str,
    more: &serde_json::Value,
) -> Result<Value, Error> {
    let vars = state.lookup("vars");
    let outer = vars.as_ref().and_then(|vars| vars.downcast_object_ref::<OneHost>());
    let Some(OneHost(outer)) = outer else {
        let why = "a template from a file needs the name `vars`, which is set to something else";
        return Err(Error::new(ErrorKind::InvalidOperation, why));
    };
    let entry = format!("the template {name}");
    let chain = record::with(&outer.record, |record| {
        let again = record.stack.len() >= MAX_DEPTH || record.stack.contains(&entry);
        record.stack.push(entry.clone());
        again.then(|| record.stack.join(" → "))
    });
    if let Some(chain) = chain {
        record::with(&outer.record, |record| record.stack.pop());
        let why = format!("{entry} refers to itself: {chain}");
        return Err(Error::new(ErrorKind::InvalidOperation, why));
    }
    let layer: Vars =
        more.as_object().into_iter().flatten().fold(Vars::new(), |mut vars, (key, value)| {
            vars.insert(key.clone(), Node::from_json(value, None));
            vars
        });
    let inner = Arc::new(Evaluation {
        scope: outer.scope.with_layer(Arc::new(layer)),
        host: outer.host.clone(),
        chaining: true,
        record: Arc::clone(&outer.record),
    });
    let before = record::with(&outer.record, |record| record.failures.len());
    let value = inner.template(text, Literal::Escapes);
    record::with(&outer.record, |record| {
        record.stack.pop();
        // Its names stand in the file, not where the file is asked for.
        for slot in record.failures.iter_mut().skip(before) {
            if let Some(Failure::Undefined(missing)) = slot {
                let problem = Diagnostic::error(format!("'{missing}' is undefined in {entry}"));
                *slot = Some(Failure::Within(TemplateError::Wrong(Box::new(problem))));
            }
        }
    });
    value.map_err(|error| {
        let line = error.line().map(|line| format!(", line {line}")).unwrap_or_default();
        let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        Error::new(error.kind(), format!("{entry}{line}: {detail}"))
    })
}

struct Context(Arc<Evaluation>);

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("variables")
    }
}

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.lookup(key.as_str()?)
    }
}

/// A node that stays where it is. `groups` holds every host of the inventory, and each template that
/// mentions it would copy them all.
#[derive(Clone)]
struct Held {
    root: Root,
    /// Which item of which, from the root on.
    path: Vec<usize>,
}

#[derive(Clone)]
enum Root {
    /// A variable of a layer, by its index.
    Layer(Arc<Vars>, usize),
    /// A value of a task.
    Own(Arc<Node>),
}

impl Held {
    fn own(node: &Node) -> Self {
        Self { root: Root::Own(Arc::new(node.clone())), path: Vec::new() }
    }

    fn node(&self) -> &Node {
        let root = match &self.root {
            Root::Layer(vars, index) => &vars[*index],
            Root::Own(node) => node,
        };
        self.path.iter().fold(root, |node, &index| match &node.value {
            Source::List(items) => &items[index],
            Source::Map(entries) => &entries[index].1,
            _ => node,
        })
    }

    fn item(&self, index: usize) -> Self {
        let path = self.path.iter().copied().chain([index]).collect();
        Self { root: self.root.clone(), path }
    }

    fn entries(&self) -> &[(Node, Node)] {
        self.node().as_map().map_or(&[], Vec::as_slice)
    }

    fn items(&self) -> &[Node] {
        self.node().as_list().unwrap_or_default()
    }
}

struct LazyMap {
    evaluation: Arc<Evaluation>,
    held: Held,
}

impl fmt::Debug for LazyMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a mapping of {}", self.held.entries().len())
    }
}

impl Object for LazyMap {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        let mut entries = self.held.entries().iter();
        let index = entries.position(|(name, _)| name.as_str() == Some(key))?;
        Some(self.evaluation.guarded(&self.held.item(index)))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let keys = self.held.entries().iter().filter_map(|(name, _)| name.as_str());
        Enumerator::Values(keys.map(Value::from).collect())
    }
}

struct LazyList {
    evaluation: Arc<Evaluation>,
    held: Held,
}

impl fmt::Debug for LazyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}", self.held.items().len())
    }
}

impl Object for LazyList {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let index = key.as_usize().filter(|index| *index < self.held.items().len())?;
        Some(self.evaluation.guarded(&self.held.item(index)))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.held.items().len())
    }
}

/// `hostvars`.
struct AllHosts(Arc<Evaluation>);

impl fmt::Debug for AllHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hostvars")
    }
}

impl Object for AllHosts {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let host = key.as_str()?;
        let all = self.0.scope.hostvars.as_ref()?;
        let scope =
            Scope { layers: all.layers(host)?, unknown: all.unknown(host), ..self.0.scope.clone() };
        Some(Value::from_object(OneHost(Arc::new(Evaluation {
            scope,
            host: Some(host.to_owned()),
            chaining: self.0.chaining,
            record: Arc::clone(&self.0.record),
        }))))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let hosts = self.0.scope.hostvars.as_ref().map(|all| all.hosts()).unwrap_or_default();
        Enumerator::Values(hosts.into_iter().map(Value::from).collect())
    }
}

struct OneHost(Arc<Evaluation>);

impl fmt::Debug for OneHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a host's variables")
    }
}

impl Object for OneHost {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        if self.0.scope.raw(name).is_none() && !self.0.note_unknown(name) {
            return None;
        }
        self.0.lookup(name)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.scope.names().map(Value::from).collect())
    }
}

/// Writes a value into text, as Python's `str` does; something undefined is an error.
pub(super) fn format(out: &mut Output, _state: &mut State, value: &Value) -> Result<(), Error> {
    if value.is_undefined() && record::as_missing(value).is_none() && is_of_short_if(value) {
        return Ok(());
    }
    let text = python_text(&json(value)?);
    out.write_str(&text).map_err(|error| Error::new(ErrorKind::WriteFailure, error.to_string()))
}

/// Whether something undefined is what an `if` without `else` gives, which is nothing within a text: that alone has a truth
/// where whatever is undefined is an error.
fn is_of_short_if(value: &Value) -> bool {
    let mut strict = Environment::empty();
    strict.set_undefined_behavior(UndefinedBehavior::Strict);
    let asked = strict.compile_expression("not value");
    asked.is_ok_and(|asked| asked.eval(minijinja::context! { value => value }).is_ok())
}

fn mentions_default(node: &Node) -> bool {
    match &node.value {
        Source::Text(text) => {
            ["default", "d(", "defined", "mandatory"].iter().any(|word| text.contains(word))
        }
        Source::List(items) => items.iter().any(mentions_default),
        Source::Map(entries) => entries.iter().any(|(_, value)| mentions_default(value)),
        _ => false,
    }
}
