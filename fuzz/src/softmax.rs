//! Softmax, log-softmax, log-sum-exp, maxima, and the gradients through them: against the oracle, and against
//! what must hold of them without one.

use arbitrary::Arbitrary;
use xent::{
    Backend, LogSumExp, Rows, argmax, argmax_into, log_softmax, log_softmax_gradient,
    log_softmax_gradient_in_place, log_softmax_gradient_into, log_softmax_in_place, log_softmax_into,
    log_sum_exp, log_sum_exp_into, row_max, row_max_into, softmax, softmax_gradient,
    softmax_gradient_in_place, softmax_gradient_into, softmax_in_place, softmax_into,
};

use super::logits::{Layout, ROWS, Row};
use super::oracle::{CONTRACT, Value, assert_all, bound};
use super::same::{Fused, UNTOUCHED, VALID, assert_same, every_form};
use super::{reference, ulp};

/// A batch of logits, and of gradients with respect to what becomes of them.
#[derive(Arbitrary, Debug)]
pub struct SoftmaxInput {
    layout: Layout,
    /// Eighths by which all logits of a row are moved.
    shift: i16,
    rows: [Row; ROWS],
    upstream: [Row; ROWS],
}

/// What a sum of products in f64 may have lost, relative to the sum of their magnitudes: 1200 terms of 2^-53
/// at worst, and 2^-48 where the sum becomes two f32.
const OF_SUM: f64 = 1280.0 * f64::EPSILON;

impl SoftmaxInput {
    /// Checks all that must hold of the operations of this family.
    ///
    /// # Panics
    ///
    /// Where something does not hold.
    pub fn check(&self) {
        let rows = self.layout.contents(&self.rows);
        let upstream = self.layout.contents(&self.upstream);
        let mut fused = Fused::default();
        for row in &rows {
            assert_merged(row);
        }
        for backend in Backend::available() {
            let all = All::of(self.layout, backend, &rows);
            all.assert_contract(backend, &rows);
            all.assert_same_alone(backend, &rows);
            for (what, values) in all.named() {
                fused.assert(backend, what, values);
            }
            for (what, output, gradient) in all.gradients(self.layout, backend, &upstream) {
                fused.assert(backend, what, &gradient);
                let of = if what == "softmax gradient" { of_softmax } else { of_log_softmax };
                let results = output.chunks(self.layout.classes).zip(gradient.chunks(self.layout.classes));
                for ((output, gradient), upstream) in results.zip(&upstream) {
                    of(backend, output, upstream, gradient);
                }
            }
            for (row, logits) in rows.iter().enumerate() {
                let row = all.row(row);
                assert_distribution(backend, logits, &row);
                if let Some(moved) = moved(logits, f64::from(self.shift) / 8.0) {
                    let layout = Layout::contiguous(1, logits.len());
                    assert_unmoved(backend, &row, &All::of(layout, backend, &[moved]));
                }
            }
        }
    }
}

/// What becomes of some rows.
struct All {
    classes: usize,
    softmax: Vec<f32>,
    log_softmax: Vec<f32>,
    log_sum_exp: Vec<f32>,
    row_max: Vec<f32>,
    argmax: Vec<usize>,
}

impl All {
    fn of(layout: Layout, backend: Backend, rows: &[Vec<f32>]) -> Self {
        let buffer = layout.buffer(UNTOUCHED, rows);
        let logits = layout.view(&buffer).expect(VALID).with_backend(backend);
        let all = Self {
            classes: layout.classes,
            softmax: every_form(layout, backend, rows, softmax, softmax_into, softmax_in_place),
            log_softmax: every_form(
                layout,
                backend,
                rows,
                log_softmax,
                log_softmax_into,
                log_softmax_in_place,
            ),
            log_sum_exp: log_sum_exp(logits).expect(VALID),
            row_max: row_max(logits).expect(VALID),
            argmax: argmax(logits).expect(VALID),
        };
        let (mut values, mut indices) = (vec![UNTOUCHED; layout.rows], vec![usize::MAX; layout.rows]);
        log_sum_exp_into(logits, &mut values).expect(VALID);
        assert_same("log-sum-exp into a slice", &values, &all.log_sum_exp);
        row_max_into(logits, &mut values).expect(VALID);
        assert_same("maxima into a slice", &values, &all.row_max);
        argmax_into(logits, &mut indices).expect(VALID);
        assert_eq!(indices, all.argmax, "into a slice");
        all
    }

    fn named(&self) -> [(&'static str, &[f32]); 4] {
        [
            ("softmax", &self.softmax),
            ("log-softmax", &self.log_softmax),
            ("log-sum-exp", &self.log_sum_exp),
            ("row maximum", &self.row_max),
        ]
    }

    /// One row of it.
    fn row(&self, row: usize) -> Self {
        let values = |all: &[f32]| all[row * self.classes..][..self.classes].to_vec();
        Self {
            classes: self.classes,
            softmax: values(&self.softmax),
            log_softmax: values(&self.log_softmax),
            log_sum_exp: vec![self.log_sum_exp[row]],
            row_max: vec![self.row_max[row]],
            argmax: vec![self.argmax[row]],
        }
    }

    /// The gradients through softmax and log-softmax, with the outputs that they are taken at.
    fn gradients(
        &self,
        layout: Layout,
        backend: Backend,
        upstream: &[Vec<f32>],
    ) -> [(&'static str, &[f32], Vec<f32>); 2] {
        let view = |output| {
            Rows::new(output, layout.rows, layout.classes)
                .expect("one row after the other")
                .with_backend(backend)
        };
        let (y, z) = (view(&self.softmax), view(&self.log_softmax));
        let of_softmax = every_form(
            layout,
            backend,
            upstream,
            |g| softmax_gradient(y, g),
            |g, to| softmax_gradient_into(y, g, to),
            |g| softmax_gradient_in_place(y, g),
        );
        let of_log_softmax = every_form(
            layout,
            backend,
            upstream,
            |g| log_softmax_gradient(z, g),
            |g, to| log_softmax_gradient_into(z, g, to),
            |g| log_softmax_gradient_in_place(z, g),
        );
        [
            ("softmax gradient", &self.softmax, of_softmax),
            ("log-softmax gradient", &self.log_softmax, of_log_softmax),
        ]
    }

    /// Asserts the bounds of the numeric contract.
    fn assert_contract(&self, backend: Backend, rows: &[Vec<f32>]) {
        for (row, logits) in rows.iter().enumerate() {
            let got = self.row(row);
            let values = |want: Vec<f64>| want.into_iter().map(|want| Value::new(want, CONTRACT));
            assert_all(backend, "softmax", &got.softmax, values(reference::softmax(logits)));
            assert!(got.softmax.iter().all(|p| p.is_nan() || p.is_sign_positive()), "{backend}: -0");
            assert_all(backend, "log-softmax", &got.log_softmax, values(reference::log_softmax(logits)));
            sum_of(logits).assert(backend, "log-sum-exp", got.log_sum_exp[0]);
            assert_eq!(got.argmax[0], reference::argmax(logits), "{backend}");
            assert_same("row maximum", &got.row_max, &[logits[got.argmax[0]]]);
        }
    }

    /// Asserts that a row alone has the bits that it has in the batch.
    fn assert_same_alone(&self, backend: Backend, rows: &[Vec<f32>]) {
        for (row, logits) in rows.iter().enumerate() {
            let alone = Self::of(Layout::contiguous(1, self.classes), backend, std::slice::from_ref(logits));
            for ((what, alone), (_, batch)) in alone.named().into_iter().zip(self.row(row).named()) {
                assert_same(&format!("{what} of a row alone"), alone, batch);
            }
        }
    }
}

/// Asserts what holds of a row's softmax whatever its values: the order of the logits, a sum of 1, and a
/// log-sum-exp that is not below the maximum, nor further above it than `ln C`.
fn assert_distribution(backend: Backend, logits: &[f32], row: &All) {
    let (lse, max) = (f64::from(row.log_sum_exp[0]), f64::from(row.row_max[0]));
    if !max.is_finite() {
        return assert!(row.softmax.iter().all(|p| p.is_nan()), "{backend}: no softmax of {max:e}");
    }
    // Of each value, and flushed to 0 it may be off by as much.
    let (ulps, flushed) = (bound(backend, CONTRACT), f64::from(f32::MIN_POSITIVE));
    let relative = ulps * f64::from(f32::EPSILON);
    let count = ulp::count(logits.len());
    let slack = ulps * ulp::size(lse.abs().max(max.abs()));
    assert!(max - slack <= lse && lse <= max + count.ln() + slack, "{backend}: {lse:e} for {max:e}");

    let sum: f64 = row.softmax.iter().map(|&p| f64::from(p)).sum();
    assert!((sum - 1.0).abs() <= relative + flushed * count, "{backend}: a softmax sums to {sum:e}");

    let mut order: Vec<_> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[a].total_cmp(&logits[b]));
    for pair in order.windows(2) {
        let [p, q] = [pair[0], pair[1]].map(|class| f64::from(row.softmax[class]));
        assert!(p <= q * (1.0 + 2.0 * relative) + flushed, "{backend}: {p:e} is above {q:e}");
        let [y, z] = [pair[0], pair[1]].map(|class| f64::from(row.log_softmax[class]));
        assert!(y <= z + 2.0 * ulps * ulp::size(y), "{backend}: {y:e} is above {z:e}");
    }
}

/// The logits moved by `shift`, where each of the sums is exact.
fn moved(logits: &[f32], shift: f64) -> Option<Vec<f32>> {
    let exact = |&x: &f32| {
        let sum = f64::from(x) + shift;
        #[expect(clippy::float_cmp, reason = "exact is what is asked")]
        let kept = f64::from(ulp::round(sum)) == sum && sum - shift == f64::from(x);
        kept.then(|| ulp::round(sum))
    };
    logits.iter().map(exact).collect()
}

/// Asserts that a softmax does not depend on what all logits have in common.
fn assert_unmoved(backend: Backend, row: &All, moved: &All) {
    let ulps = 2.0 * bound(backend, CONTRACT);
    for (what, a, b) in
        [("softmax", &row.softmax, &moved.softmax), ("log-softmax", &row.log_softmax, &moved.log_softmax)]
    {
        for (class, (&a, &b)) in a.iter().zip(b).enumerate() {
            // One of them may be too small to be kept.
            let tiny = f64::from(a.abs().max(b.abs())) <= (1.0 + 1e-6) * f64::from(f32::MIN_POSITIVE);
            let near = ulp::error_at(a, b.into(), a.into()) <= ulps;
            assert!(tiny || near, "{what} {class} of moved logits on {backend}: {a:e} is not {b:e}");
        }
    }
}

/// The log-sum-exp of a row.
fn sum_of(logits: &[f32]) -> Value {
    Value::new(reference::log_sum_exp(logits), CONTRACT).in_ulp_of(reference::row_max(logits))
}

/// Asserts that a row's sum is that of its parts, on the process's own backend, which may not fuse multiply-add.
fn assert_merged(logits: &[f32]) {
    let (first, rest) = logits.split_at(logits.len() / 2);
    let [first, rest, all] = [first, rest, logits].map(|part| LogSumExp::of(part).expect(VALID));
    for sum in [all, first.merge(rest)] {
        // A sum next to 1 is one of terms that were rounded to f32: next to 0 its logarithm is off by as much.
        let near_zero = 2.0_f64.powi(-24);
        sum_of(logits).give_or_take(near_zero).assert(Backend::Portable, "log-sum-exp of parts", sum.value());
    }
}

/// Asserts the bound of a gradient through softmax, of upstream gradients that are numbers.
fn of_softmax(backend: Backend, y: &[f32], g: &[f32], gradient: &[f32]) {
    if g.iter().all(|g| g.is_finite()) {
        let magnitude: f64 = y.iter().zip(g).map(|(&y, &g)| (f64::from(y) * f64::from(g)).abs()).sum();
        let want = reference::softmax_gradient(y, g).into_iter().zip(y);
        let want =
            want.map(|(want, &y)| Value::new(want, CONTRACT).give_or_take(OF_SUM * magnitude * f64::from(y)));
        assert_all(backend, "softmax gradient", gradient, want);
    }
}

/// Asserts the bound of a gradient through log-softmax, of upstream gradients that are numbers.
fn of_log_softmax(backend: Backend, z: &[f32], g: &[f32], gradient: &[f32]) {
    if g.iter().all(|g| g.is_finite()) {
        let magnitude: f64 = g.iter().map(|&g| f64::from(g).abs()).sum();
        let sum = reference::mass(g);
        let want = reference::log_softmax_gradient(z, g).into_iter().zip(z).zip(g);
        let want = want.map(|((want, &z), &g)| {
            let p = f64::from(z).exp();
            let part = (p * sum).abs();
            let value = Value::new(want, CONTRACT).in_ulp_of(part).in_ulp_of(g.into());
            value.give_or_take(OF_SUM * magnitude * p + ulp::flushed_share(p, sum))
        });
        assert_all(backend, "log-softmax gradient", gradient, want);
    }
}
