//! Divergences of two sets of logits by their definitions, as sums of terms that do not cancel.

/// What two rows differ in.
pub struct Reference {
    pub kl: f64,
    pub reverse: f64,
    pub shannon: f64,
    /// The gradient of the first with respect to the second row, but for the scale.
    pub gradient: Vec<f64>,
    /// Of each class the larger probability.
    pub larger: Vec<f64>,
    /// The differences of log-probabilities, `ln p_i - ln q_i`.
    pub differences: Vec<f64>,
    /// What f64 may have lost where logits are large: of sums, and of each difference of probabilities.
    pub lost: f64,
}

/// The largest logit, and the logarithm of the sum of all terms relative to it. Neumaier's sum: of a thousand terms next to 1,
/// whose roundings all go the same way, a plain one is 1e-13 off, which is as much as two rows of tiny logits differ.
fn ends(logits: &[f64], scale: f64) -> (f64, f64) {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (mut sum, mut rest) = (0.0_f64, 0.0_f64);
    for term in logits.iter().map(|x| (scale * (x - max)).exp()) {
        let next = sum + term;
        let (large, small) = if sum > term { (sum, term) } else { (term, sum) };
        rest += small - (next - large);
        sum = next;
    }
    (max, (sum + rest).ln())
}

/// `e^x - 1 - x`, by its series next to 0.
fn excess(x: f64) -> f64 {
    if x.abs() > 0.5 {
        return x.exp_m1() - x;
    }
    let (mut sum, mut term) = (0.0, x);
    for k in 2..30 {
        term *= x / f64::from(k);
        sum += term;
    }
    sum
}

/// The divergences of `softmax(scale a)` and `softmax(scale b)`, by the definitions, with `sum q - sum p`, which is 0, added to
/// each sum.
#[expect(clippy::float_cmp, reason = "infinities are exact")]
pub fn compare(a: &[f64], b: &[f64], scale: f64) -> Reference {
    let ((a_max, a_log), (b_max, b_log)) = (ends(a, scale), ends(b, scale));
    if !(a_max.is_finite() && b_max.is_finite() && (a_log + b_log).is_finite()) {
        let (nan, all) = (f64::NAN, vec![f64::NAN; a.len()]);
        let (gradient, larger, differences) = (all.clone(), all.clone(), all);
        return Reference { kl: nan, reverse: nan, shannon: nan, gradient, larger, differences, lost: 0.0 };
    }
    let (mut kl, mut reverse, mut shannon, mut lost) = (0.0, 0.0, 0.0, 0.0);
    let (mut gradient, mut larger, mut differences) = (vec![], vec![], vec![]);
    let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
    for (&x, &y) in a.iter().zip(b) {
        let (p, q) = ((scale * (x - a_max) - a_log).exp(), (scale * (y - b_max) - b_log).exp());
        let d = scale * (x - y) - (scale * (a_max - b_max) + (a_log - b_log));
        differences.push(d);
        larger.push(p.max(q));
        if x == low && y == low {
            gradient.push(0.0);
            continue;
        }
        if d.is_finite() {
            lost += (p + q) * 1e-15 * (scale * (x - y)).abs();
        }
        kl += match d {
            _ if d == high => high,
            _ if p == 0.0 => q,
            _ if d < -1.0 => q - p + p * d,
            _ => p * excess(-d),
        };
        reverse += match d {
            _ if d == low => high,
            _ if q == 0.0 => p,
            _ if d > 1.0 => p - q - q * d,
            _ => q * excess(d),
        };
        gradient.push(if d.abs() < 1.0 { p * (-d).exp_m1() } else { q - p });
        if p + q > 0.0 {
            let t = if d.abs() < 1.0 { (d / 2.0).tanh() } else { (p - q) / (p + q) };
            let part = |t: f64| if t <= -1.0 { 0.0 } else { (1.0 + t) * t.ln_1p() };
            // The parts cancel where t is next to 0: the series of their sum.
            let series = t * t * (1.0 + t * t / 6.0 + t.powi(4) / 15.0 + t.powi(6) / 28.0);
            shannon += (p + q) / 4.0 * if t.abs() < 1e-2 { series } else { part(t) + part(-t) };
        }
    }
    Reference { kl, reverse, shannon, gradient, larger, differences, lost }
}
