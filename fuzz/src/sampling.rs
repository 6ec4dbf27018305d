//! Tokens that are drawn: against a race in f64, and what each row gives alone, in every pool.

use arbitrary::Arbitrary;
use xent::{Backend, Rows, Sampler, TokenLogProbs, TokenOutputs, Truncation};

use super::logits::{Layout, ROWS, Row};
use super::oracle::{CONTRACT, bound};
use super::race::{candidates_of, score};
use super::same::{Fused, UNTOUCHED, VALID, assert_same, in_pools};
use super::{reference, ulp};

/// A batch, and how its tokens are drawn.
#[derive(Arbitrary, Debug)]
pub struct SamplingInput {
    layout: Layout,
    seed: u64,
    position: u64,
    top_k: u8,
    /// In 255ths.
    top_p: u8,
    min_p: u8,
    /// Which classes take part: bits that are used again and again.
    mask: Option<u64>,
    /// In eighths, above 0.
    temperature: u8,
    rows: [Row; ROWS],
}

impl SamplingInput {
    /// Checks all that must hold.
    ///
    /// # Panics
    ///
    /// Where something does not hold.
    pub fn check(&self) {
        let rows = self.layout.contents(&self.rows);
        let buffer = self.layout.buffer(f32::NAN, &rows);
        let view = self.layout.view(&buffer).expect("the layout is one");
        let classes = self.layout.classes;
        let mask: Vec<bool> =
            (0..classes).map(|i| self.mask.is_none_or(|bits| bits >> (i % 64) & 1 == 1)).collect();
        let temperature = (f64::from(self.temperature) + 1.0) / 8.0;
        let options = TokenLogProbs::new().temperature(temperature).expect("above 0").class_mask(&mask);
        let (top_p, min_p) = ((f64::from(self.top_p) + 0.5) / 255.5, f64::from(self.min_p) / 300.0);
        let cut = Truncation::new().top_k(self.top_k.into()).top_p(top_p).and_then(|cut| cut.min_p(min_p));
        let mut same: Option<[Vec<u32>; 2]> = None;
        let mut fused = Fused::default();
        let first = Sampler::new(self.seed).first_position(self.position);
        for backend in Backend::available() {
            let read = |view: Rows<'_>, sampler: Sampler<'_>| {
                let (mut ids, mut logs) = (vec![7; view.rows()], vec![UNTOUCHED; view.rows()]);
                let wanted = TokenOutputs::new().sample(sampler, &mut ids, &mut logs);
                options.read_into(view.with_backend(backend), wanted).expect(VALID);
                (ids, logs)
            };
            let samplers = [first, first.truncation(cut.clone().expect("in their ranges"))];
            let both = samplers.map(|sampler| {
                let [(ids, logs), other] = in_pools(|| read(view, sampler));
                assert_eq!(ids, other.0, "in a pool of three");
                assert_same("in a pool of three", &logs, &other.1);
                (ids, logs)
            });
            fused.assert(backend, "draws", &both.each_ref().map(|(_, logs)| &logs[..]).concat());
            let ids = both.each_ref().map(|(ids, _)| ids.clone());
            assert_eq!(*same.get_or_insert_with(|| ids.clone()), ids, "{backend}");
            for (i, row) in rows.iter().enumerate() {
                let logits: Vec<f32> = row
                    .iter()
                    .zip(&mask)
                    .map(|(&x, &keep)| if keep { x } else { f32::NEG_INFINITY })
                    .map(|x| ulp::round(f64::from(x) / temperature))
                    .collect();
                let position = self.position.wrapping_add(i as u64);
                let alone = Rows::new(row, 1, classes).expect(VALID);
                let sampler = samplers[0].first_position(position);
                assert_eq!(read(alone, sampler).0[0], both[0].0[i], "alone, on {backend}");
                let cuts = [(0, 1.0, 0.0), (self.top_k.into(), top_p, min_p)];
                for ((ids, logs), cut) in both.iter().zip(cuts) {
                    self.assert_row(backend, [row, &logits], (position, cut), ids[i], logs[i]);
                }
            }
        }
    }

    /// Asserts what one row gives: its logits are compared as they are given, and drawn as they are after the temperature.
    fn assert_row(
        &self,
        backend: Backend,
        [given, logits]: [&[f32]; 2],
        (position, (top_k, top_p, min_p)): (u64, (usize, f64, f64)),
        id: u32,
        log: f32,
    ) {
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if !max.is_finite() || logits.iter().any(|x| x.is_nan()) {
            assert!(id == TokenLogProbs::NO_TOKEN && log.is_nan(), "{backend}: {id} of no distribution");
            return;
        }
        let want = reference::log_softmax(logits)[id as usize];
        assert!(ulp::error(log, want) <= bound(backend, CONTRACT), "{backend}: {log:e}, not {want:e}");
        // A mass is off by what rounding does to it, and next to a limit that can be one class more or less.
        let least = candidates_of(given, logits, (top_k, top_p * (1.0 - 1e-5), min_p * (1.0 + 1e-5)));
        let most = candidates_of(given, logits, (top_k, top_p * (1.0 + 1e-5), min_p * (1.0 - 1e-5)));
        assert!(most.contains(&(id as usize)), "{backend}: {id} is cut off");
        let of = |class: usize| score(logits[class], self.seed, position, u32::try_from(class).expect("few"));
        let best = least.into_iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        let slack = 1e-9 + 1e-15 * f64::from(max.abs());
        assert!(of(id as usize) >= best - slack, "{backend}: {id} is not ahead");
    }
}
