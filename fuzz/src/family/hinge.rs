//! Multiclass hinges.

use arbitrary::Arbitrary;
use xent::{Backend, Error, Hinge, HingePower};

use super::{
    Fused, Gradient, IGNORED, Label, Layout, Reduced, UNTOUCHED, VALID, Weights, assert_reduced, assert_same,
    part, rounded_once, ulp, untouched,
};

/// A hinge and its options, of a batch with class indices.
#[derive(Arbitrary, Debug)]
pub(super) struct Margins {
    margin: Margin,
    squared: bool,
    per_class: bool,
    labels: [Label; super::ROWS],
    class_weights: Option<Weights>,
    row_weights: Option<Weights>,
    reduction: Reduced,
    upstream: Gradient,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Margin {
    Eighths(i8),
    Bits(u32),
}

impl Margins {
    pub(super) fn check(&self, layout: Layout, rows: &[Vec<f32>]) {
        let labels: Vec<i64> = self.labels.iter().zip(rows).map(|(label, row)| label.index(row)).collect();
        let upstream = self.upstream.of_rows(layout.rows);
        let weights = [(&self.class_weights, layout.classes), (&self.row_weights, layout.rows)];
        let [of_classes, of_rows] = weights.map(|(weights, len)| weights.as_ref().map(|w| w.of(len)));

        let margin = match self.margin {
            Margin::Eighths(eighths) => f32::from(eighths) / 8.0,
            Margin::Bits(bits) => f32::from_bits(bits),
        };
        let mut hinge = Hinge::new().per_class(self.per_class).ignore_index(IGNORED);
        hinge = hinge.power(if self.squared { HingePower::Squared } else { HingePower::Linear });
        hinge = hinge.reduction(self.reduction.into()).upstream(self.upstream.upstream(&upstream));
        let with_margin = hinge.margin(margin);
        assert_eq!(with_margin.is_ok(), margin.is_finite());
        let Ok(mut hinge) = with_margin else { return };
        // What the loss takes, it has; what it refuses, it does not.
        let of_classes = of_classes.filter(|weights| Weights::valid(weights));
        let of_rows = of_rows.filter(|weights| Weights::valid(weights));
        if let Some(weights) = &of_classes {
            hinge = hinge.class_weights(weights).expect(VALID);
        }
        if let Some(weights) = &of_rows {
            hinge = hinge.row_weights(weights).expect(VALID);
        }

        let classes = layout.classes;
        let class = |label: i64| usize::try_from(label).ok().filter(|&label| label < classes);
        let bad = labels.iter().position(|&label| label != IGNORED && class(label).is_none());
        let mut refusals: Vec<Error> = Vec::new();
        refusals.extend(bad.map(|row| Error::LabelOutOfRange { row, label: labels[row].into(), classes }));
        if self.upstream.per_row() && !matches!(self.reduction, Reduced::None) {
            refusals.push(Error::UpstreamPerRow { given: layout.rows });
        }
        if let Some(given) = of_classes.as_ref().map(Vec::len).filter(|&given| given != classes) {
            refusals.push(Error::OptionLength { what: "class weights", given, expected: classes });
        }
        if let Some(given) = of_rows.as_ref().map(Vec::len).filter(|&given| given != layout.rows) {
            refusals.push(Error::RowCount { what: "row weights", given, expected: layout.rows });
        }

        let used = labels.iter().filter(|&&label| label != IGNORED).count();
        let divisor = if let Reduced::Mean = self.reduction { ulp::count(used) } else { 1.0 };
        let logits = layout.buffer(UNTOUCHED, rows);
        let mut fused = Fused::default();
        for backend in Backend::available() {
            let view = layout.view(&logits).expect(VALID).with_backend(backend);
            let (mut losses, mut gradient) = (vec![UNTOUCHED; layout.rows], layout.buffer(UNTOUCHED, &[]));
            let into = layout.view_mut(&mut gradient).expect(VALID);
            let summary = match hinge.loss_and_gradient_into(&labels, view, &mut losses, into) {
                Ok(summary) => summary,
                Err(error) => {
                    assert!(refusals.contains(&error), "{error:?} is none of {refusals:?}");
                    assert!(losses.iter().chain(&gradient).copied().all(untouched), "a refused call wrote");
                    continue;
                }
            };
            assert!(refusals.is_empty(), "accepted, for all of {refusals:?}");
            assert!(layout.between(&gradient).copied().all(untouched), "written between the rows");
            let alone = hinge.loss(&labels, view).expect(VALID);
            assert_same("losses alone", &alone.rows, &losses);
            assert_eq!((summary.used_rows, alone.summary.used_rows), (used, used));
            if used > 0 {
                assert_reduced("the reduced loss", &losses, divisor, summary.value);
            }
            fused.assert(backend, "losses", &losses);
            fused.assert(backend, "gradient", &gradient);
            for (row, (slopes, &loss)) in layout.rows_of(&gradient).zip(&losses).enumerate() {
                let weight = of_rows.as_ref().map_or(1.0, |weights| f64::from(weights[row]));
                let label = class(labels[row]).filter(|_| labels[row] != IGNORED && weight != 0.0);
                let Some(label) = label else {
                    assert_same("a row that takes no part", slopes, &vec![0.0; classes]);
                    assert_same("a loss that takes no part", &[loss], &[0.0]);
                    continue;
                };
                let weight = weight * of_classes.as_ref().map_or(1.0, |weights| f64::from(weights[label]));
                let weight = if self.per_class { weight / ulp::count(classes) } else { weight };
                let want = self.row(f64::from(margin), label, &rows[row], weight);
                want.assert(backend, f64::from(upstream[row]) / divisor, loss, slopes);
            }
        }
    }

    /// What a row should give, times its weight, without upstream gradients.
    fn row(&self, margin: f64, label: usize, row: &[f32], weight: f64) -> Wanted {
        let (mut loss, mut all_parts) = (0.0, 0.0);
        let mut slopes = vec![0.0; row.len()];
        for (class, &x) in row.iter().enumerate() {
            // A masked class has no part, whatever the label's logit.
            if class == label || x == f32::NEG_INFINITY {
                continue;
            }
            let over = (margin - f64::from(row[label])) + f64::from(x);
            let parts = margin.abs() + f64::from(row[label]).abs() + f64::from(x).abs();
            let over = if over < 0.0 { 0.0 } else { over };
            loss += if self.squared { over * over } else { over };
            all_parts += if self.squared { 2.0 * over * parts } else { parts };
            slopes[class] = if self.squared { 2.0 * over } else { f64::from(u8::from(over > 0.0)) };
        }
        let no_number = row.iter().any(|x| x.is_nan()) || loss.is_nan();
        slopes[label] = -slopes.iter().sum::<f64>();
        Wanted {
            loss: if no_number { f64::NAN } else { part(weight, loss) },
            parts: part(weight, all_parts),
            slopes: slopes.into_iter().map(|slope| part(weight, slope)).collect(),
        }
    }
}

struct Wanted {
    loss: f64,
    /// The magnitude of what was subtracted.
    parts: f64,
    slopes: Vec<f64>,
}

impl Wanted {
    fn assert(&self, backend: Backend, upstream: f64, loss: f32, gradient: &[f32]) {
        rounded_once(self.loss, self.parts).assert(backend, "loss", loss);
        // That of a row that holds NaN is NaN where it depends on it.
        if !self.loss.is_nan() {
            for (class, (&got, &slope)) in gradient.iter().zip(&self.slopes).enumerate() {
                let want = part(upstream, slope);
                let want = rounded_once(want, want.abs());
                want.assert(backend, format_args!("gradient {class}"), got);
            }
        }
    }
}
