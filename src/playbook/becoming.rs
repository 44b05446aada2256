//! `become` and its relatives.

use super::model::Becoming;
use super::reader::Reader;

/// Those of a play or a task, as written.
pub(super) fn becoming(reader: &mut Reader<'_>) -> Becoming {
    Becoming {
        enabled: reader.node("become"),
        user: reader.node("become_user"),
        method: reader.node("become_method"),
        flags: reader.node("become_flags"),
        exe: reader.node("become_exe"),
    }
}
