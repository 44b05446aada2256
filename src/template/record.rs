//! What one evaluation met on its way: names that were missing, values that could not be made.

use super::error::TemplateError;
use minijinja::value::{Object, Value};
use minijinja::{Error, ErrorKind};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Shared by an evaluation, its lazy values, and those of other hosts that it asks for.
#[derive(Default)]
pub(super) struct Record {
    /// In order; forgiven ones are `None`.
    pub(super) failures: Vec<Option<Failure>>,
    /// The first name that only the run sets.
    pub(super) not_yet_known: Option<String>,
    /// Variables being rendered, outermost first.
    pub(super) stack: Vec<String>,
}

/// Why a value is not there.
#[derive(Clone)]
pub(super) enum Failure {
    /// No variable of this name: `default` and `defined` forgive it.
    Undefined(String),
    /// A variable whose own value needs a name that is missing: forgiven too.
    Within(TemplateError),
    /// It is there and cannot be made: a vault that does not open, a filter that fails. Nobody forgives that
    /// (Ansible, `plugins/filter/core.py`: `default` replaces only what is undefined).
    Broken(TemplateError),
}

/// A record behind its lock.
pub(super) type Shared = Arc<Mutex<Record>>;

/// Runs `work` on the record.
pub(super) fn with<T>(record: &Shared, work: impl FnOnce(&mut Record) -> T) -> T {
    work(&mut record.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Something that is not there. Any part of it is the same thing.
#[derive(Clone)]
pub(super) struct Missing {
    record: Shared,
    index: usize,
}

impl Missing {
    /// A value for `failure`, which counts unless it is forgiven.
    pub(super) fn value(record: &Shared, failure: Failure) -> Value {
        let index = with(record, |record| {
            record.failures.push(Some(failure));
            record.failures.len() - 1
        });
        Value::from_object(Self { record: Arc::clone(record), index })
    }

    /// The template asked whether it is there; `false`: it is, and broken.
    fn forgive(&self) -> bool {
        with(&self.record, |record| match record.failures.get_mut(self.index) {
            Some(Some(Failure::Broken(_))) | None => false,
            Some(slot) => {
                *slot = None;
                true
            }
        })
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
        Some(missing) => missing.forgive(),
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
