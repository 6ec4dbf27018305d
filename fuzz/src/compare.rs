//! Two sets of logits compared: against f64, in place, and in every pool.

use arbitrary::Arbitrary;
use xent::{Backend, Comparison, LogitComparison, Rows, RowsMut};

use super::comparison::{Reference, compare};
use super::logits::{Layout, ROWS, Row};
use super::oracle::Value;
use super::same::{UNTOUCHED, VALID, assert_same, in_pools};

/// Two batches, and how they are compared.
#[derive(Arbitrary, Debug)]
pub struct ComparisonInput {
    layout: Layout,
    labels: [u16; ROWS],
    /// Which classes take part: bits that are used again and again.
    mask: Option<u64>,
    /// In eighths, above 0.
    temperature: u8,
    squared: bool,
    /// Logits that are those of the reference, moved by so many eighths, in place of others.
    near: Option<[i8; 8]>,
    first: [Row; ROWS],
    second: [Row; ROWS],
}

impl ComparisonInput {
    /// Checks all that must hold.
    ///
    /// # Panics
    ///
    /// Where something does not hold.
    pub fn check(&self) {
        let (layout, classes) = (self.layout, self.layout.classes);
        let first = layout.contents(&self.first);
        let mut second = layout.contents(&self.second);
        if let Some(near) = self.near {
            for (row, other) in second.iter_mut().zip(&first) {
                for (i, (to, x)) in row.iter_mut().zip(other).enumerate() {
                    *to = x + f32::from(near[i % 8]) / 8.0;
                }
            }
        }
        let [of_first, of_second] = [&first, &second].map(|rows| layout.buffer(UNTOUCHED, rows));
        let labels = &self.labels.map(|label| usize::from(label) % classes)[..layout.rows];
        let mask: Vec<bool> =
            (0..classes).map(|i| self.mask.is_none_or(|bits| bits >> (i % 64) & 1 == 1)).collect();
        let temperature = (f64::from(self.temperature) + 1.0) / 8.0;
        let options = LogitComparison::new().temperature(temperature).expect("above 0").class_mask(&mask);
        let options = options.times_squared_temperature(self.squared);
        let view = |buffer| layout.view(buffer).expect(VALID);
        let mut same: Option<Vec<f32>> = None;
        for backend in Backend::available() {
            let read = || answer(&options, view(&of_first), view(&of_second).with_backend(backend), labels);
            let [all, other] = in_pools(read);
            assert_same("in a pool of three", &all, &other);
            assert_same("on another backend", &all, same.get_or_insert_with(|| all.clone()));
            let mut over = layout.buffer(UNTOUCHED, &second);
            let to = layout.view_mut(&mut over).expect(VALID).with_backend(backend);
            options.compare_and_gradient_in_place(view(&of_first), to, Comparison::new()).expect(VALID);
            assert_same("in place", &layout.values(&over), &all[4 * layout.rows..]);
        }
        let all = same.expect("a backend");
        let (scale, factor) = (1.0 / temperature, if self.squared { temperature * temperature } else { 1.0 });
        for (i, (a, b)) in first.iter().zip(&second).enumerate() {
            let [a, b] = [a, b].map(|row| {
                let of = |(x, keep): (&f32, &bool)| if *keep { f64::from(*x) } else { f64::NEG_INFINITY };
                row.iter().zip(&mask).map(of).collect::<Vec<_>>()
            });
            let Reference { kl, reverse, shannon, gradient, larger, lost, .. } = compare(&a, &b, scale);
            let tiny = f64::from(f32::MIN_POSITIVE) * 1.01;
            let check = |what: &str, got: f32, want: f64, lost: f64| {
                let value = Value::new(factor * want, 1.0).give_or_take(factor * lost + tiny);
                value.assert(Backend::Scalar, what, got);
            };
            // Divergences of tiny logits are squares of what f64 loses: the contract is about those from 1e-24 on.
            check("KL", all[i], kl, lost + 1e-24);
            check("reverse KL", all[layout.rows + i], reverse, lost + 1e-24);
            check("Jensen-Shannon", all[2 * layout.rows + i], shannon, lost + 1e-24);
            let gradient = gradient.iter().zip(larger);
            for (got, (want, larger)) in all[4 * layout.rows + i * classes..].iter().zip(gradient) {
                check("gradient", *got, scale * want, scale * (lost + 1e-12 * larger));
            }
        }
    }
}

/// Divergences, changes of the labels and gradients.
fn answer(options: &LogitComparison<'_>, first: Rows<'_>, second: Rows<'_>, labels: &[usize]) -> Vec<f32> {
    let (rows, classes) = (second.rows(), second.classes());
    let mut all = vec![UNTOUCHED; rows * (4 + classes)];
    let (kl, rest) = all.split_at_mut(rows);
    let (reverse, rest) = rest.split_at_mut(rows);
    let (shannon, rest) = rest.split_at_mut(rows);
    let (change, gradient) = rest.split_at_mut(rows);
    let wanted = Comparison::new().kl(kl).reverse_kl(reverse).jensen_shannon(shannon);
    let wanted = wanted.labels(labels).label_change(change);
    let to = RowsMut::new(gradient, rows, classes).expect(VALID);
    options.compare_and_gradient_into(first, second, wanted, to).expect(VALID);
    all
}
