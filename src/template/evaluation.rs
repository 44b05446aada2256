//! One evaluation: lazily rendered variables, and a record of every name that was missing.

use super::backslashes::{self, Literal};
use super::convert::{json, python_text};
use super::scope::Scope;
use super::{TemplateError, is_template};
use crate::source::diagnostic::nearest;
use crate::source::{Diagnostic, Node, Span, Value as Source, Vars};
use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use minijinja::{Environment, Error, ErrorKind, Output, State};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// How deep variables may refer to each other.
const MAX_DEPTH: usize = 40;

/// The state of one evaluation, shared by all the lazy values that it hands out.
pub(super) struct Evaluation {
    scope: Scope,
    chaining: bool,
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    /// Names that were missing or failed, in order; forgiven ones are `None`.
    missing: Vec<Option<Failure>>,
    not_yet_known: Option<String>,
    /// Variables being rendered, outermost first.
    stack: Vec<String>,
}

#[derive(Clone)]
enum Failure {
    Undefined(String),
    Broken(TemplateError),
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
        Arc::new(Self { scope: scope.clone(), chaining, record: Mutex::default() })
    }

    fn judge<T>(&self, result: Result<T, Error>, node: &Node) -> Result<T, TemplateError> {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = &record.not_yet_known {
            return Err(TemplateError::NotYetKnown(name.clone()));
        }
        if let Some(failure) = record.missing.iter().flatten().next() {
            return Err(match failure {
                Failure::Broken(error) => error.clone(),
                Failure::Undefined(name) => {
                    TemplateError::Wrong(Box::new(self.undefined(name, node)))
                }
            });
        }
        result.map_err(|error| TemplateError::Wrong(Box::new(run_error(&error, node))))
    }

    fn undefined(&self, name: &str, node: &Node) -> Diagnostic {
        let problem =
            Diagnostic::error(format!("'{name}' is undefined")).at(place_of(name, node).as_ref());
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
        let text = &*backslashes::of_template(text, literal);
        let context = Value::from_object(Context(Arc::clone(self)));
        match single_expression(text) {
            Some(expression) => {
                let value = self.environment().compile_expression(expression)?.eval(context)?;
                if value.is_undefined() {
                    return Err(Error::new(ErrorKind::UndefinedError, "the value is undefined"));
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
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        if record.stack.len() >= MAX_DEPTH || record.stack.iter().any(|known| known == name) {
            let chain = record.stack.join(" → ");
            let message = format!("the variable '{name}' refers to itself: {chain} → {name}");
            let wrong = Diagnostic::error(message).at(node.span.as_ref());
            drop(record);
            return Some(self.missing(Failure::Broken(TemplateError::Wrong(Box::new(wrong)))));
        }
        record.stack.push(name.to_owned());
        let before = record.missing.len();
        drop(record);
        let value = self.held(&held);
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.stack.pop();
        let inner = record.missing.iter_mut().skip(before).filter_map(Option::take).next();
        drop(record);
        Some(match (value, inner) {
            (Ok(value), None) => value,
            (_, Some(Failure::Undefined(inner))) => {
                let wrong = self.undefined(&inner, node);
                self.missing(Failure::Broken(TemplateError::Wrong(Box::new(wrong))))
            }
            (_, Some(failure)) => self.missing(failure),
            (Err(error), None) => {
                let wrong = run_error(&error, node);
                self.missing(Failure::Broken(TemplateError::Wrong(Box::new(wrong))))
            }
        })
    }

    fn without_node(self: &Arc<Self>, name: &str) -> Option<Value> {
        if name == "hostvars" && self.scope.hostvars.is_some() {
            return Some(Value::from_object(AllHosts(Arc::clone(self))));
        }
        if self.environment().globals().any(|(known, _)| known == name) {
            return None;
        }
        if self.scope.unknown.contains(name) {
            let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
            record.not_yet_known.get_or_insert_with(|| name.to_owned());
        }
        Some(self.missing(Failure::Undefined(name.to_owned())))
    }

    fn missing(self: &Arc<Self>, failure: Failure) -> Value {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.missing.push(Some(failure));
        let index = record.missing.len() - 1;
        drop(record);
        Value::from_object(Missing { evaluation: Arc::clone(self), index })
    }
}

/// Something that is not there. Any part of it is the same thing.
#[derive(Clone)]
pub(super) struct Missing {
    evaluation: Arc<Evaluation>,
    index: usize,
}

impl Missing {
    /// The template asked whether it is there.
    pub(super) fn forgive(&self) {
        let mut record = self.evaluation.record.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = record.missing.get_mut(self.index) {
            *slot = None;
        }
    }
}

/// The error of a value that is not there.
pub(super) fn as_missing(value: &Value) -> Option<Error> {
    value.downcast_object_ref::<Missing>()?;
    Some(Error::new(ErrorKind::UndefinedError, "a value is undefined"))
}

/// Whether the value is undefined; if so it is forgiven, because the template asked.
pub(super) fn is_missing(value: &Value) -> bool {
    match value.downcast_object_ref::<Missing>() {
        Some(missing) => {
            missing.forgive();
            true
        }
        None => value.is_undefined(),
    }
}

impl fmt::Debug for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("undefined")
    }
}

impl Object for Missing {
    fn get_value(self: &Arc<Self>, _key: &Value) -> Option<Value> {
        Some(Value::from_dyn_object(Arc::clone(self)))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        false
    }
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
        Some(lazily(&self.evaluation, &self.held.item(index)))
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
        Some(lazily(&self.evaluation, &self.held.item(index)))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.held.items().len())
    }
}

fn lazily(evaluation: &Arc<Evaluation>, held: &Held) -> Value {
    evaluation.held(held).unwrap_or_else(|error| {
        let wrong = run_error(&error, held.node());
        evaluation.missing(Failure::Broken(TemplateError::Wrong(Box::new(wrong))))
    })
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
        let layers = self.0.scope.hostvars.as_ref()?.layers(key.as_str()?)?;
        let scope = Scope { layers, ..self.0.scope.clone() };
        let evaluation = Evaluation::start(&scope, self.0.chaining);
        Some(Value::from_object(OneHost(evaluation)))
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
        self.0.scope.raw(name)?;
        self.0.lookup(name)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.scope.names().map(Value::from).collect())
    }
}

/// Writes a value into text, as Python's `str` does; something undefined is an error.
pub(super) fn format(out: &mut Output, _state: &mut State, value: &Value) -> Result<(), Error> {
    let text = python_text(&json(value)?);
    out.write_str(&text).map_err(|error| Error::new(ErrorKind::WriteFailure, error.to_string()))
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

/// Where `name` stands in the source line of `node`, or the node itself.
fn place_of(name: &str, node: &Node) -> Option<Span> {
    let span = node.span.as_ref()?;
    let line = span.file.text.lines().nth(span.line.checked_sub(1)?)?;
    let skipped: usize = line.chars().take(span.column - 1).map(char::len_utf8).sum();
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.');
    let found = line[skipped..].match_indices(name).find(|(at, _)| {
        let (before, after) = line[skipped..].split_at(*at);
        !word(before.chars().next_back())
            && !word(after[name.len()..].chars().next().filter(|c| *c != '.'))
    });
    match found {
        Some((at, _)) => {
            let column = line[..skipped + at].chars().count() + 1;
            Some(Span::at(&span.file, span.line, column).with_length(name.chars().count()))
        }
        None => Some(span.clone()),
    }
}

/// An error of the engine, without the values that it may quote.
fn run_error(error: &Error, node: &Node) -> Diagnostic {
    let detail = error.detail().map(str::to_owned);
    let message = match error.kind() {
        ErrorKind::UndefinedError => detail.unwrap_or_else(|| "a value is undefined".to_owned()),
        ErrorKind::OutOfFuel => "the template does too much work".to_owned(),
        kind => match detail {
            Some(detail) => format!("{kind}: {detail}"),
            None => kind.to_string(),
        },
    };
    Diagnostic::error(message).at(node.span.as_ref())
}

/// A template that does not parse.
pub(super) fn syntax_error(error: &Error, node: &Node) -> Diagnostic {
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    Diagnostic::error(format!("this is not a template{detail}")).at(node.span.as_ref())
}
