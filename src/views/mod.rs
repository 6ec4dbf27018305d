//! Checked views of the caller's memory: logits, results, labels.

pub(crate) mod element;
pub(crate) mod labels;
pub(crate) mod layout;
pub(crate) mod rows;
pub(crate) mod rows_mut;
