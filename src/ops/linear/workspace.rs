//! Memory for logits and copies of features, as much as a call may take.

use std::cell::Cell;

use crate::Error;
use crate::ops::allocate;

thread_local! {
    /// What the last call of this thread took: fresh memory costs a page fault for each four kilobytes, which is a twentieth of a
    /// large call's time.
    static KEPT: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Bytes that a call may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Workspace {
    pub(super) bytes: usize,
}

/// Some of it, which is kept for the next call.
pub(super) struct Taken {
    pub(super) values: Vec<f32>,
}

impl Workspace {
    /// How many rows of so many values there is room for, which are at least so many.
    pub(super) fn rows(self, values: usize, at_least: usize) -> Result<usize, Error> {
        let row = values.saturating_mul(size_of::<f32>()).max(1);
        let rows = self.bytes / row;
        if rows < at_least {
            return Err(Error::Workspace { given: self.bytes, expected: row.saturating_mul(at_least) });
        }
        Ok(rows)
    }

    /// Room for so many values, whatever they are.
    pub(super) fn take(self, len: usize) -> Result<Taken, Error> {
        let mut values = KEPT.try_with(Cell::take).unwrap_or_default();
        if values.len() < len || values.capacity() * size_of::<f32>() > self.bytes {
            // First this: both need not be there at once.
            drop(values);
            values = allocate(0.0, len)?;
        }
        Ok(Taken { values })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // Where the thread ends, there may be no place for it any more.
        let _ = KEPT.try_with(|kept| kept.set(core::mem::take(&mut self.values)));
    }
}
