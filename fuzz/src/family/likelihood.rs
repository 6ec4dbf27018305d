//! Likelihoods of probabilities, and of log-probabilities.

use arbitrary::Arbitrary;
use xent::{Backend, Error, NegativeLogLikelihood, Normalise, Rows, Smoothing, Targets};

use super::{
    Distribution, Fractions, Fused, Gradient, IGNORED, Label, Layout, Number, Reduced, UNTOUCHED, VALID,
    Weights, assert_same, part, rounded_once, ulp, untouched,
};

/// A likelihood and its options.
#[derive(Arbitrary, Debug)]
pub(super) struct Given {
    inputs: Inputs,
    targets: Labels,
    smoothing: Option<(Number, bool)>,
    class_weights: Option<Weights>,
    row_weights: Option<Weights>,
    reduction: Reduced,
    upstream: Gradient,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Inputs {
    /// What the rows hold.
    LogProbabilities,
    Probabilities {
        of: Probabilities,
        clip: Number,
        normalise: When,
    },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Probabilities {
    Fractions(Fractions),
    /// What the rows hold, which is anything.
    Rows,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum When {
    Never,
    BeforeClipping,
    AfterClipping,
}

/// What becomes of probabilities: by how much they are clipped, and when they are normalised.
type Chain = Option<(f64, Normalise)>;

#[derive(Arbitrary, Debug)]
enum Labels {
    Sparse([Label; super::ROWS]),
    Dense([Distribution; super::ROWS]),
}

impl Inputs {
    /// The loss, what it is taken of, and what becomes of probabilities; nothing where the clip is refused.
    fn build(
        self,
        layout: Layout,
        rows: &[Vec<f32>],
    ) -> Option<(NegativeLogLikelihood<'static>, Vec<Vec<f32>>, Chain)> {
        let Self::Probabilities { of, clip, normalise } = self else {
            return Some((NegativeLogLikelihood::of_log_probabilities(), rows.to_vec(), None));
        };
        let clip = clip.value(|nice| nice / 2.0);
        let normalise = match normalise {
            When::Never => Normalise::Never,
            When::BeforeClipping => Normalise::BeforeClipping,
            When::AfterClipping => Normalise::AfterClipping,
        };
        let likelihood = NegativeLogLikelihood::of_probabilities(clip, normalise);
        assert_eq!(likelihood.is_ok(), (0.0..=0.5).contains(&clip));
        let inputs = match of {
            Probabilities::Rows => rows.to_vec(),
            Probabilities::Fractions(fractions) => {
                let values = fractions.of(layout.rows * layout.classes);
                values.chunks(layout.classes).map(<[f32]>::to_vec).collect()
            }
        };
        Some((likelihood.ok()?, inputs, Some((clip, normalise))))
    }
}

/// The options that are slices, where the loss takes them.
struct Slices {
    class_weights: Option<Vec<f32>>,
    row_weights: Option<Vec<f32>>,
    upstream: Vec<f32>,
}

impl Given {
    fn slices(&self, layout: Layout) -> Slices {
        // Wrong lengths are for the hinge, whose options are the same.
        let weights = |weights: &Option<Weights>, len| {
            let weights = weights.as_ref().map(|weights| weights.of(len));
            weights.filter(|weights| weights.len() == len && Weights::valid(weights))
        };
        Slices {
            class_weights: weights(&self.class_weights, layout.classes),
            row_weights: weights(&self.row_weights, layout.rows),
            upstream: self.upstream.of_rows(layout.rows),
        }
    }

    /// A loss with the options, and what labels and classes get for smoothing.
    fn with_options<'a>(
        &self,
        loss: NegativeLogLikelihood<'a>,
        slices: &'a Slices,
        classes: usize,
    ) -> (NegativeLogLikelihood<'a>, (f64, f64)) {
        let mut loss =
            loss.reduction(self.reduction.into()).upstream(self.upstream.upstream(&slices.upstream));
        loss = loss.ignore_index(IGNORED);
        if let Some(weights) = &slices.class_weights {
            loss = loss.class_weights(weights).expect(VALID);
        }
        if let Some(weights) = &slices.row_weights {
            loss = loss.row_weights(weights).expect(VALID);
        }
        let Some((epsilon, others)) = self.smoothing else { return (loss, (1.0, 0.0)) };
        let epsilon = epsilon.value(|nice| nice);
        let smoothed =
            loss.label_smoothing(epsilon, if others { Smoothing::Others } else { Smoothing::Uniform });
        assert_eq!(smoothed.is_ok(), (0.0..=1.0).contains(&epsilon));
        smoothed.map_or((loss, (1.0, 0.0)), |smoothed| (smoothed, shares_of(epsilon, others, classes)))
    }

    pub(super) fn check(&self, layout: Layout, rows: &[Vec<f32>]) {
        let classes = layout.classes;
        let Some((loss, inputs, chain)) = self.inputs.build(layout, rows) else { return };
        let slices = self.slices(layout);
        let (loss, shares) = self.with_options(loss, &slices, classes);
        let (labels, dense) = match &self.targets {
            Labels::Sparse(labels) => {
                (labels.iter().zip(rows).map(|(label, row)| label.index(row)).collect(), Vec::new())
            }
            Labels::Dense(labels) => {
                (vec![0_i64; layout.rows], labels[..layout.rows].iter().map(|l| l.over(classes)).collect())
            }
        };
        let of_labels = layout.buffer(UNTOUCHED, &dense);
        let targets = match &self.targets {
            Labels::Sparse(_) => Targets::from(&labels),
            Labels::Dense(_) => Targets::from(layout.view(&of_labels).expect(VALID)),
        };
        let class = |label: i64| usize::try_from(label).ok().filter(|&label| label < classes);
        let bad = labels.iter().position(|&label| label != IGNORED && class(label).is_none());
        let bad = bad.map(|row| Error::LabelOutOfRange { row, label: labels[row].into(), classes });
        let per_row = self.upstream.per_row() && !matches!(self.reduction, Reduced::None);
        let per_row = per_row.then_some(Error::UpstreamPerRow { given: layout.rows });

        // What each class of a row counts; nothing for rows that take no part.
        let masses = |row: usize| {
            let mass = |i: usize| {
                let label = match &self.targets {
                    Labels::Sparse(_) => f64::from(u8::from(class(labels[row]) == Some(i))),
                    Labels::Dense(_) => f64::from(dense[row][i]),
                };
                let weight = slices.class_weights.as_ref().map_or(1.0, |weights| f64::from(weights[i]));
                (shares.0 * label + shares.1) * weight
            };
            (labels[row] != IGNORED).then(|| (0..classes).map(mass).collect::<Vec<f64>>())
        };
        let used = labels.iter().filter(|&&label| label != IGNORED).count();
        let divisor = if let Reduced::Mean = self.reduction { ulp::count(used) } else { 1.0 };

        let buffer = layout.buffer(UNTOUCHED, &inputs);
        let mut fused = Fused::default();
        for backend in Backend::available() {
            let view = layout.view(&buffer).expect(VALID).with_backend(backend);
            let refusal = bad.as_ref().or(per_row.as_ref());
            let Some((losses, gradient)) = results(&loss, layout, targets, view, refusal) else { continue };
            fused.assert(backend, "losses", &losses);
            fused.assert(backend, "gradient", &gradient);
            for (row, (slopes, &got)) in gradient.chunks(classes).zip(&losses).enumerate() {
                let weight = slices.row_weights.as_ref().map_or(1.0, |weights| f64::from(weights[row]));
                let Some(masses) = masses(row).filter(|_| weight != 0.0) else {
                    assert_same("a row that takes no part", slopes, &vec![0.0; classes]);
                    assert_same("a loss that takes no part", &[got], &[0.0]);
                    continue;
                };
                if let Some(want) = wanted(&inputs[row], &masses, chain) {
                    let factor = weight * f64::from(slices.upstream[row]) / divisor;
                    want.assert(backend, (weight, factor), got, slopes);
                }
            }
        }
    }
}

/// The losses and the gradient, the same from every call; nothing where all refuse as they must.
fn results(
    loss: &NegativeLogLikelihood<'_>,
    layout: Layout,
    targets: Targets<'_>,
    inputs: Rows<'_>,
    refusal: Option<&Error>,
) -> Option<(Vec<f32>, Vec<f32>)> {
    let (mut losses, mut gradient) = (vec![UNTOUCHED; layout.rows], layout.buffer(UNTOUCHED, &[]));
    let into = layout.view_mut(&mut gradient).expect(VALID);
    let result = loss.loss_and_gradient_into(targets, inputs, &mut losses, into);
    if refusal.is_some() {
        assert_eq!(result.as_ref().err(), refusal);
        assert!(losses.iter().chain(&gradient).copied().all(untouched), "a refused call wrote");
        return None;
    }
    let summary = result.expect(VALID);
    assert!(layout.between(&gradient).copied().all(untouched), "written between the rows");
    let alone = loss.loss(targets, inputs).expect(VALID);
    assert_same("losses alone", &alone.rows, &losses);
    assert_same("the reduced loss alone", &[alone.summary.value], &[summary.value]);
    let (whole, slopes) = loss.loss_and_gradient(targets, inputs).expect(VALID);
    assert_same("losses with a gradient", &whole.rows, &losses);
    assert_same("gradient", &slopes, &layout.values(&gradient));
    Some((losses, slopes))
}

/// What a label keeps, and what every class gets.
fn shares_of(epsilon: f64, others: bool, classes: usize) -> (f64, f64) {
    match (others, ulp::count(classes)) {
        _ if epsilon == 0.0 || (others && classes == 1) => (1.0, 0.0),
        (false, classes) => (1.0 - epsilon, epsilon / classes),
        (true, classes) => (1.0 - epsilon - epsilon / (classes - 1.0), epsilon / (classes - 1.0)),
    }
}

/// The loss of a row, its slopes, and the magnitudes that were subtracted for them.
struct Wanted {
    loss: f64,
    lost: f64,
    slopes: Vec<(f64, f64)>,
}

impl Wanted {
    /// Asserts a row's results, with its weight, and with what its gradient is multiplied by.
    fn assert(&self, backend: Backend, (weight, factor): (f64, f64), loss: f32, gradient: &[f32]) {
        rounded_once(part(weight, self.loss), weight * self.lost).assert(backend, "loss", loss);
        for (class, (&got, &(slope, lost))) in gradient.iter().zip(&self.slopes).enumerate() {
            let value = rounded_once(factor * slope, (factor * lost).abs());
            value.assert(backend, format_args!("gradient {class}"), got);
        }
    }
}

/// What a row should give; nothing where its numbers are no probabilities.
fn wanted(row: &[f32], masses: &[f64], chain: Chain) -> Option<Wanted> {
    let wide: Vec<f64> = row.iter().map(|&p| p.into()).collect();
    let Some((clip, normalise)) = chain else {
        let parts = || masses.iter().zip(&wide).map(|(&mass, &log)| part(mass, -log));
        return Some(Wanted {
            loss: parts().fold(0.0, |sum, part| sum + part),
            lost: parts().map(f64::abs).sum(),
            slopes: masses.iter().map(|&mass| (-mass, 0.0)).collect(),
        });
    };
    let sum: f64 = wide.iter().sum();
    if wide.iter().any(|p| !(0.0..=1.0).contains(p)) || sum == 0.0 {
        return None;
    }
    let before = if normalise == Normalise::BeforeClipping { sum } else { 1.0 };
    let shares: Vec<f64> = wide.iter().map(|p| p / before).collect();
    let clipped: Vec<f64> = shares.iter().map(|p| p.clamp(clip, 1.0 - clip)).collect();
    let after = if normalise == Normalise::AfterClipping { clipped.iter().sum() } else { 1.0 };
    let parts = |log: fn(f64, f64) -> f64| {
        masses.iter().zip(&clipped).map(move |(&mass, &p)| part(mass, log(p, after))).collect::<Vec<_>>()
    };
    let total: f64 = masses.iter().sum();
    // With respect to what is clipped, where it is not.
    let slope = |i: usize| {
        let is_clipped = clip > 0.0 && (shares[i] < clip || shares[i] > 1.0 - clip);
        let own = if masses[i] == 0.0 { 0.0 } else { masses[i] / clipped[i] };
        let of_sum = if normalise == Normalise::AfterClipping { total / after } else { 0.0 };
        if is_clipped { (0.0, 0.0) } else { (of_sum - own, of_sum.abs() + own.abs()) }
    };
    let slopes: Vec<_> = (0..row.len()).map(slope).collect();
    let (pull, pulled) = if normalise == Normalise::BeforeClipping {
        let of = |of: fn(&(f64, f64)) -> f64| slopes.iter().zip(&shares).map(|(s, p)| of(s) * p).sum::<f64>();
        (of(|slope| slope.0), of(|slope| slope.1))
    } else {
        (0.0, 0.0)
    };
    Some(Wanted {
        loss: parts(|p, after| after.ln() - p.ln()).iter().sum(),
        lost: parts(|p, after| p.ln().abs() + after.ln().abs() + 1.0).iter().map(|part| part.abs()).sum(),
        slopes: slopes
            .iter()
            .map(|(slope, lost)| ((slope - pull) / before, (lost + pulled) / before))
            .collect(),
    })
}
