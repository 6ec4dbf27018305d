//! What each row weighs: by its class, by itself.

use super::operation::{IGNORED, Row};

/// Weights of classes and of rows, 1 where there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Weights<'a> {
    pub(crate) classes: Option<&'a [f32]>,
    pub(crate) rows: Option<&'a [f32]>,
}

impl Weights<'_> {
    #[inline(always)]
    pub(crate) fn is_none(&self) -> bool {
        self.classes.is_none() && self.rows.is_none()
    }

    #[inline(always)]
    pub(crate) fn of_row(&self, row: usize) -> f64 {
        self.rows.map_or(1.0, |weights| weights[row].into())
    }

    #[inline(always)]
    pub(crate) fn of_class(&self, class: usize) -> f64 {
        self.classes.map_or(1.0, |weights| weights[class].into())
    }

    /// That of a row with its label.
    #[inline(always)]
    pub(crate) fn of(&self, row: usize, label: usize) -> f64 {
        self.of_row(row) * self.of_class(label)
    }

    /// Multiplies values of rows with their labels by their weights.
    #[inline(always)]
    pub(crate) fn weigh<const N: usize>(&self, rows: &[Row], values: &mut [f64; N]) {
        if !self.is_none() {
            for (value, row) in values.iter_mut().zip(rows) {
                *value = weighed(self.of(row.index, row.label), *value);
            }
        }
    }

    /// Takes rows that weigh nothing for ignored: they are not read either.
    #[inline(always)]
    pub(crate) fn ignore_weightless(&self, first: usize, labels: &mut [usize]) {
        if let Some(weights) = self.rows {
            for (label, weight) in labels.iter_mut().zip(&weights[first..]) {
                if *weight == 0.0 {
                    *label = IGNORED;
                }
            }
        }
    }

    pub(crate) fn split_at(self, row: usize) -> (Self, Self) {
        let (first, rest) = match self.rows {
            None => (None, None),
            Some(rows) => {
                let (first, rest) = rows.split_at(row);
                (Some(first), Some(rest))
            }
        };
        (Self { rows: first, ..self }, Self { rows: rest, ..self })
    }
}

/// `weight * value`; 0 for a weight of 0, also where the value is infinite. NaN stays NaN.
#[inline(always)]
pub(crate) fn weighed(weight: f64, value: f64) -> f64 {
    if weight == 0.0 && !value.is_nan() { 0.0 } else { weight * value }
}
