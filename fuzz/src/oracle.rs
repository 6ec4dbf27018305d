//! What the f64 reference expects of results, with the bounds of the numeric contract.

use core::fmt::Display;

use xent::Backend;

use super::{reference, ulp};

/// How far losses, probabilities, their logarithms and gradients may be off, in ULP, where multiply-add is fused.
pub const CONTRACT: f64 = 3.0;

/// A bound of the numeric contract on a backend: without fused multiply-add all but those of 0 are 2 ULP wider.
pub fn bound(backend: Backend, ulps: f64) -> f64 {
    if backend.is_fused() || ulps == 0.0 { ulps } else { ulps + 2.0 }
}

/// A result: the magnitude at which its error is counted, how many ULP are allowed, and what besides.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    want: f64,
    magnitude: f64,
    ulps: f64,
    slack: f64,
}

impl Value {
    pub fn new(want: f64, ulps: f64) -> Self {
        Self { want, magnitude: want.abs(), ulps, slack: 0.0 }
    }

    /// In ULP at the larger of the value and this: for a difference of such parts.
    pub fn in_ulp_of(self, magnitude: f64) -> Self {
        Self { magnitude: self.magnitude.max(magnitude.abs()), ..self }
    }

    /// So much further away, for parts that were lost before the last operation. Say why where it is called.
    pub fn give_or_take(self, slack: f64) -> Self {
        Self { slack, ..self }
    }

    /// This value times an upstream gradient.
    fn times(self, upstream: f64) -> Self {
        Self { want: upstream * self.want, magnitude: (upstream * self.magnitude).abs(), ..self }
    }

    /// Asserts that a result is as good as the contract says.
    #[track_caller]
    pub fn assert(self, backend: Backend, what: impl Display, got: f32) {
        let Self { want, magnitude, ulps, slack } = self;
        let bound = bound(backend, ulps);
        let error = ulp::error_at(got, want, magnitude);
        let near = (f64::from(got) - want).abs() <= bound * ulp::size(magnitude) + slack;
        assert!(error <= bound || near, "{backend}, {what}: {got:e} for {self:?}, {error:.2} ULP off");
    }
}

/// Asserts each result.
#[track_caller]
pub fn assert_all(backend: Backend, what: &str, got: &[f32], want: impl IntoIterator<Item = Value>) {
    let want: Vec<_> = want.into_iter().collect();
    assert_eq!(got.len(), want.len(), "{what}: lengths differ");
    for (i, (&got, want)) in got.iter().zip(want).enumerate() {
        want.assert(backend, format_args!("{what} {i}"), got);
    }
}

/// Results of one row.
pub struct Expected {
    loss: Value,
    gradient: Vec<Value>,
}

impl Expected {
    /// An ignored row.
    pub fn nothing(classes: usize) -> Self {
        Self { loss: Value::new(0.0, 0.0), gradient: vec![Value::new(0.0, 0.0); classes] }
    }

    /// Of a row with a class index.
    pub fn sparse(label: usize, row: &[f32], upstream: f64) -> Self {
        let value = |want| {
            Value::new(want, CONTRACT).times(upstream).give_or_take(ulp::flushed_share(want, upstream))
        };
        let gradient = reference::sparse_gradient(label, row);
        Self {
            loss: Value::new(reference::sparse_loss(label, row), CONTRACT),
            gradient: gradient.into_iter().map(value).collect(),
        }
    }

    /// Of a row with a distribution. Where parts are subtracted, errors are those of the larger part.
    pub fn dense(labels: &[f32], row: &[f32], upstream: f64) -> Self {
        let magnitudes: Vec<f32> = labels.iter().map(|t| t.abs()).collect();
        let loss = Value::new(reference::dense_loss(labels, row), CONTRACT);
        let mass = reference::mass(&magnitudes);
        let parts = reference::softmax(row).into_iter().zip(&magnitudes);
        let values = reference::dense_gradient(labels, row).into_iter().zip(parts).map(|(want, (p, &t))| {
            let value = Value::new(want, CONTRACT).in_ulp_of(f64::from(t).max(p * mass)).times(upstream);
            value.give_or_take(ulp::flushed_share(p, mass * upstream))
        });
        Self { loss: loss.in_ulp_of(reference::dense_loss(&magnitudes, row)), gradient: values.collect() }
    }

    /// Asserts that the results of `row` are as good as the contract says.
    pub fn assert(&self, backend: Backend, row: usize, loss: f32, gradient: &[f32]) {
        // Smaller than the sum of magnitudes: labels are negative.
        let signed = self.loss.want < self.loss.magnitude;
        assert!(signed || loss.is_nan() || loss.is_sign_positive(), "{backend}, row {row}: loss {loss:e}");
        self.loss.assert(backend, format_args!("row {row}, loss"), loss);
        assert_all(backend, &format!("row {row}, gradient"), gradient, self.gradient.iter().copied());
    }
}
