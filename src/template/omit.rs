//! `omit`: the value that leaves a key out.

use minijinja::value::{Object, Value};
use std::fmt;
use std::sync::Arc;

struct Omit;

/// The value of the name `omit`.
pub(super) fn value() -> Value {
    Value::from_object(Omit)
}

/// Whether the value says that its key is to be left out.
pub(super) fn is_omit(value: &Value) -> bool {
    value.downcast_object_ref::<Omit>().is_some()
}

impl fmt::Debug for Omit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("omit")
    }
}

impl Object for Omit {
    fn is_true(self: &Arc<Self>) -> bool {
        true
    }
}
