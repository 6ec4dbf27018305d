//! The loss of a linear classifier: what does not fit is refused, and results are those of logits that are made by hand.

use arbitrary::{Arbitrary, Result, Unstructured};
use xent::{
    Backend, CrossEntropy, Error, Linear, LinearCrossEntropy, LinearGradients, LinearResults, LogSumExp,
    Reduction, Rows, RowsMut, Smoothing,
};

use super::same::{Fused, UNTOUCHED, VALID, assert_same, in_pools, untouched};
use super::ulp;

/// A classifier, its rows, and a few options. Values are multiples of 1/4, of whose products no sum is rounded.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct LinearInput {
    rows: usize,
    classes: usize,
    features: usize,
    /// Features of the weights: others than those of the rows, now and then.
    weight_features: usize,
    x: Vec<f32>,
    weights: Vec<f32>,
    bias: Option<Vec<f32>>,
    /// Labels, of which -1 is ignored; some are no class.
    labels: Vec<i16>,
    /// Whether weights and their gradient are stored as features × classes.
    turned: bool,
    adds: bool,
    mean: bool,
    smoothing: bool,
    soft_cap: bool,
    mask: Option<Vec<bool>>,
    reg: f64,
    workspace: usize,
}

fn values(u: &mut Unstructured<'_>, len: usize) -> Result<Vec<f32>> {
    (0..len).map(|_| Ok(f32::from(u.int_in_range(-8_i8..=8)?) / 4.0)).collect()
}

impl<'a> Arbitrary<'a> for LinearInput {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let rows = u.int_in_range(0..=24)?;
        let classes = match u.int_in_range(0..=15)? {
            0 => u.int_in_range(1000..=1100)?,
            1 => 0,
            _ => u.int_in_range(1..=80)?,
        };
        let features = u.int_in_range(1..=5)?;
        let weight_features = if u.int_in_range(0..=15)? == 0 { u.int_in_range(1..=5)? } else { features };
        let most = i16::try_from(classes).unwrap_or(i16::MAX);
        let label = |u: &mut Unstructured<'a>| match u.int_in_range(0..=99)? {
            0 => Ok(most),
            1..=20 => Ok(-1),
            _ => u.int_in_range(0..=(most - 1).max(0)),
        };
        let [turned, adds, mean, smoothing, soft_cap] = u.arbitrary()?;
        Ok(Self {
            rows,
            classes,
            features,
            weight_features,
            bias: if u.arbitrary()? { Some(values(u, classes)?) } else { None },
            labels: (0..rows).map(|_| label(u)).collect::<Result<_>>()?,
            turned,
            adds,
            mean,
            smoothing,
            soft_cap,
            mask: if u.int_in_range(0..=3)? == 0 {
                Some((0..classes).map(|_| Ok(u.int_in_range(0..=3)? != 0)).collect::<Result<_>>()?)
            } else {
                None
            },
            reg: if u.arbitrary()? { 0.5 } else { 0.0 },
            workspace: if u.int_in_range(0..=3)? == 0 { u.int_in_range(0..=20_000)? } else { 64 << 20 },
            x: values(u, rows * features)?,
            weights: values(u, classes * weight_features)?,
        })
    }
}

/// What a call gives.
#[derive(Debug)]
struct Outcome {
    losses: [Vec<f32>; 2],
    gradients: [Vec<f32>; 3],
    saved: Vec<LogSumExp>,
    summary: f32,
}

impl LinearInput {
    /// Checks errors, and results against those of logits.
    ///
    /// # Panics
    ///
    /// Where something does not hold.
    pub fn check(&self) {
        let mut fused = Fused::default();
        for backend in Backend::available() {
            let (loss, l2) = self.loss();
            let [one, three] = in_pools(|| self.run(backend, loss, l2));
            match (one, three) {
                (Ok(one), Ok(three)) => {
                    assert!(self.refusal().is_none(), "{:?} was to be refused", self.refusal());
                    for (a, b) in one
                        .losses
                        .iter()
                        .chain(&one.gradients)
                        .zip(three.losses.iter().chain(&three.gradients))
                    {
                        assert_same("in another pool", a, b);
                    }
                    assert_eq!(one.saved, three.saved, "in another pool");
                    fused.assert(backend, "losses", &one.losses[0]);
                    for (what, gradient) in
                        ["of x", "of weights", "of the bias"].into_iter().zip(&one.gradients)
                    {
                        fused.assert(backend, what, gradient);
                    }
                    self.assert_close(backend, loss, &one);
                }
                (Err(one), Err(three)) => {
                    assert_eq!(one, three);
                    match self.refusal() {
                        Some(expected) => assert_eq!(one, expected),
                        None => assert!(
                            matches!(one, Error::Workspace { given, expected } if given < expected),
                            "{one:?}"
                        ),
                    }
                }
                (one, three) => panic!("{one:?} in one pool, {three:?} in another"),
            }
        }
    }

    fn loss(&self) -> (CrossEntropy<'_>, f64) {
        let mut loss = CrossEntropy::new().ignore_index(-1);
        if self.mean {
            loss = loss.reduction(Reduction::Mean);
        }
        if self.smoothing {
            loss = loss.label_smoothing(0.1, Smoothing::Uniform).expect(VALID);
        }
        if self.soft_cap {
            loss = loss.soft_cap(30.0).expect(VALID);
        }
        if let Some(mask) = &self.mask {
            loss = loss.class_mask(mask);
        }
        (loss, self.reg)
    }

    /// Why the call must be refused, if it must whatever the workspace.
    fn refusal(&self) -> Option<Error> {
        let Self { rows, classes, features, weight_features, .. } = *self;
        if rows > 0 && classes == 0 {
            return Some(Error::NoClasses { rows });
        }
        if rows > 0 && weight_features != features {
            return Some(Error::FeatureCount { given: weight_features, expected: features });
        }
        let no_class =
            |label: &i16| *label >= 0 && usize::try_from(*label).is_ok_and(|label| label >= classes);
        let row = self.labels.iter().position(no_class)?;
        Some(Error::LabelOutOfRange { row, label: self.labels[row].into(), classes })
    }

    /// All calls. After an error nothing has been written.
    fn run(&self, backend: Backend, loss: CrossEntropy<'_>, l2: f64) -> core::result::Result<Outcome, Error> {
        let Self { rows, classes, features, weight_features, .. } = *self;
        let turned: Vec<f32> =
            if self.turned { transposed(&self.weights, classes, weight_features) } else { Vec::new() };
        let weights = if self.turned {
            Rows::along_axis(&turned, &[weight_features, classes], 0)?
        } else {
            Rows::new(&self.weights, classes, weight_features)?
        };
        let mut linear = Linear::new(Rows::new(&self.x, rows, features)?.with_backend(backend), weights)?;
        if let Some(bias) = &self.bias {
            linear = linear.bias(bias)?;
        }
        let loss = LinearCrossEntropy::new(loss).l2(l2)?.workspace(self.workspace);
        let fill = if self.adds { 1.0 } else { UNTOUCHED };
        let mut losses = [vec![UNTOUCHED; rows], vec![UNTOUCHED; rows]];
        let mut saved = vec![LogSumExp::EMPTY; rows];
        let mut gradients = [rows * features, classes * weight_features, classes].map(|len| vec![fill; len]);
        let [forward, with_gradients] = &mut losses;
        let forward =
            loss.forward_into(&self.labels, linear, LinearResults::new().losses(forward).saved(&mut saved));
        let [x, weights, bias] = &mut gradients;
        let of_x = RowsMut::new(x, rows, features)?;
        let of_weights = if self.turned {
            RowsMut::along_axis(weights, &[weight_features, classes], 0)?
        } else {
            RowsMut::new(weights, classes, weight_features)?
        };
        let to = LinearGradients::new();
        let to = if self.adds {
            to.add_to_x(of_x).add_to_weights(of_weights).add_to_bias(bias)
        } else {
            to.x(of_x).weights(of_weights).bias(bias)
        };
        let results = LinearResults::new().losses(with_gradients);
        match loss.loss_and_gradients_into(&self.labels, linear, results, to) {
            Ok(summary) => {
                forward?;
                if self.turned {
                    gradients[1] = transposed(&gradients[1], weight_features, classes);
                }
                Ok(Outcome { losses, gradients, saved, summary: summary.value })
            }
            Err(error) => {
                assert!(losses[1].iter().copied().all(untouched), "losses were written");
                let written = |value: &f32| value.to_bits() != fill.to_bits();
                assert!(!gradients.iter().flatten().any(written), "gradients were written");
                Err(error)
            }
        }
    }

    /// Asserts that results are those of logits, whose sums are exact.
    fn assert_close(&self, backend: Backend, loss: CrossEntropy<'_>, got: &Outcome) {
        let Self { rows, classes, features, .. } = *self;
        let mut logits = Vec::new();
        for x in self.x.chunks(features) {
            for (class, weights) in self.weights.chunks(features).enumerate() {
                let products = x.iter().zip(weights).map(|(x, w)| x * w);
                logits.push(products.sum::<f32>() + self.bias.as_ref().map_or(0.0, |bias| bias[class]));
            }
        }
        let view = Rows::new(&logits, rows, classes).expect(VALID).with_backend(backend);
        let (expected, of_logits) = loss.loss_and_gradient(&self.labels, view).expect(VALID);
        for (row, want) in expected.rows.iter().enumerate() {
            for got in [got.losses[0][row], got.losses[1][row]] {
                // Both are within 5 ULP of the same: 3, and 2 without fused operations.
                let near = (got - want).abs() <= 10.0 * f32::EPSILON * want.abs();
                assert!(
                    near || got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan()),
                    "{got:e}, {want:e}"
                );
            }
        }
        let start = if self.adds { 1.0 } else { 0.0 };
        let squares: f64 = self.weights.iter().map(|&w| f64::from(w).powi(2)).sum();
        let whole = f64::from(expected.summary.value) + self.reg * squares;
        let slack = 16.0 * f64::from(f32::EPSILON) * whole.abs();
        let near = (f64::from(got.summary) - whole).abs() <= slack;
        assert!(near || whole.is_nan() || whole.is_infinite(), "{backend}: {:e} for {whole:e}", got.summary);
        for row in 0..rows {
            let of_row = &of_logits[row * classes..][..classes];
            for feature in 0..features {
                let terms = of_row
                    .iter()
                    .enumerate()
                    .map(|(class, g)| (*g, self.weights[class * features + feature]));
                assert_sum(backend, start, terms, got.gradients[0][row * features + feature]);
            }
        }
        // Those of rows, but where there are none.
        let features = self.weight_features;
        for class in 0..classes {
            let of_class = || (0..rows).map(move |row| row * classes + class).map(|i| of_logits[i]);
            assert_sum(backend, start, of_class().map(|g| (g, 1.0)), got.gradients[2][class]);
            for feature in 0..features {
                let own = self.weights[class * features + feature];
                let of_l2 = core::iter::once((own, 2.0 * ulp::round(self.reg)));
                let terms = of_class().enumerate().map(|(row, g)| (g, self.x[row * features + feature]));
                assert_sum(backend, start, terms.chain(of_l2), got.gradients[1][class * features + feature]);
            }
        }
    }
}

/// Asserts that a value is a start and a sum of products, each of a gradient that may have other last bits.
fn assert_sum(backend: Backend, start: f64, terms: impl Iterator<Item = (f32, f32)>, got: f32) {
    let (mut sum, mut magnitude, mut count) = (start, start, 2);
    for (gradient, value) in terms {
        let product = f64::from(gradient) * f64::from(value);
        (sum, magnitude, count) = (sum + product, magnitude + product.abs(), count + 1);
    }
    // 5 ULP of each gradient and of its part, and half of one for each sum.
    let slack = (20.0 + ulp::count(count)) * f64::from(f32::EPSILON) * magnitude + 1e-30;
    // A label and its probability cancel: what is left has the errors of both, which are below 1.
    let slack = slack + 10.0 * f64::from(f32::EPSILON) * ulp::count(count);
    assert!(
        (f64::from(got) - sum).abs() <= slack || sum.is_nan(),
        "{backend}: {got:e} for {sum:e} to {slack:e}"
    );
}

fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..rows * columns).map(|i| values[i % rows * columns + i / rows]).collect()
}
