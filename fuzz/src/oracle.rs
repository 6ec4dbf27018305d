//! What the f64 reference expects of a row, with the bounds of the numeric contract.

use xent::Backend;

use super::{reference, ulp};

/// Results of one row.
pub struct Expected {
    loss: Value,
    gradient: Vec<Value>,
}

/// A result, the magnitude at which its error is counted, and how many ULP are allowed.
#[derive(Clone, Copy)]
struct Value {
    want: f64,
    magnitude: f64,
    ulps: f64,
}

impl Value {
    fn new(want: f64, ulps: f64) -> Self {
        Self { want, magnitude: want, ulps }
    }

    /// This value times an upstream gradient.
    fn times(self, upstream: f64) -> Self {
        Self { want: upstream * self.want, magnitude: upstream * self.magnitude, ..self }
    }
}

impl Expected {
    /// An ignored row.
    pub fn nothing(classes: usize) -> Self {
        Self { loss: Value::new(0.0, 0.0), gradient: vec![Value::new(0.0, 0.0); classes] }
    }

    /// Of a row with a class index.
    pub fn sparse(label: usize, row: &[f32], upstream: f64) -> Self {
        let value = |(class, want)| Value::new(want, if class == label { 3.0 } else { 2.0 });
        let gradient = reference::sparse_gradient(label, row);
        Self {
            loss: Value::new(reference::sparse_loss(label, row), 2.0),
            gradient: gradient.into_iter().enumerate().map(value).map(|g| g.times(upstream)).collect(),
        }
    }

    /// Of a row with a distribution. Where parts are subtracted, errors are those of the larger part.
    pub fn dense(labels: &[f32], row: &[f32], upstream: f64) -> Self {
        let magnitudes: Vec<f32> = labels.iter().map(|t| t.abs()).collect();
        let loss = Value {
            want: reference::dense_loss(labels, row),
            magnitude: reference::dense_loss(&magnitudes, row),
            ulps: 2.0,
        };
        let mass = reference::mass(&magnitudes);
        let parts = reference::softmax(row).into_iter().zip(&magnitudes);
        let values = reference::dense_gradient(labels, row).into_iter().zip(parts).map(|(want, (p, &t))| {
            // 2 for the share, and two more roundings.
            Value { want, magnitude: f64::from(t).max(p * mass), ulps: 3.0 }.times(upstream)
        });
        Self { loss, gradient: values.collect() }
    }

    /// Asserts that the results of `row` are as good as the contract says.
    pub fn assert(&self, backend: Backend, row: usize, loss: f32, gradient: &[f32]) {
        // Smaller than the sum of magnitudes: labels are negative.
        let signed = self.loss.want < self.loss.magnitude;
        assert!(signed || loss.is_nan() || loss.is_sign_positive(), "{backend}, row {row}: loss {loss:e}");
        let values = gradient.iter().zip(&self.gradient).enumerate();
        let all = values.map(|(class, (&got, want))| (format!("gradient {class}"), got, *want));
        for (what, got, Value { want, magnitude, ulps }) in all.chain([("loss".into(), loss, self.loss)]) {
            // Without fused multiply-add the contract's bounds are 2 ULP wider.
            let bound = if backend.is_fused() || ulps == 0.0 { ulps } else { ulps + 2.0 };
            let error = ulp::error_at(got, want, magnitude);
            assert!(error <= bound, "{backend}, row {row}, {what}: {got:e} for {want:e}, {error:.2} ULP off");
        }
    }
}
