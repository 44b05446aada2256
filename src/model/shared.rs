//! A value that is the same for many hosts: held once, and copied by whoever changes it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// Reads and changes like the value itself. A change is seen by no other holder.
#[derive(Clone, Debug, Default)]
pub struct Shared<T>(Arc<T>);

impl<T: PartialEq> Shared<T> {
    /// Holds what `other` holds, if the two are equal.
    pub(crate) fn hold_with(&mut self, other: &Self) {
        if *self == *other {
            self.0 = Arc::clone(&other.0);
        }
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || *self.0 == *other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_is_held_once_and_changed_alone() {
        let first = Shared::from(vec![1, 2]);
        let (mut second, mut third) = (Shared::from(vec![1, 2]), Shared::from(vec![3]));
        second.hold_with(&first);
        third.hold_with(&first);
        assert!(Arc::ptr_eq(&second.0, &first.0) && *third == [3]);
        second.push(3);
        assert_eq!((first.as_slice(), second.as_slice()), (&[1, 2][..], &[1, 2, 3][..]));
    }
}
