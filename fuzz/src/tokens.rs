//! Log-probabilities of tokens: against the oracle, a sort, and what each row gives alone, in every pool.

use arbitrary::Arbitrary;
use xent::{Backend, Rows, TokenLogProbs, TokenOutputs};

use super::logits::{Layout, ROWS, Row};
use super::oracle::{CONTRACT, bound};
use super::same::{Fused, UNTOUCHED, VALID, assert_same, in_pools};
use super::{reference, ulp};

/// A batch, and what is asked of it.
#[derive(Arbitrary, Debug)]
pub struct TokensInput {
    layout: Layout,
    k: u16,
    chosen: [u16; ROWS],
    named: u16,
    /// Which classes take part: bits that are used again and again.
    mask: Option<u64>,
    /// In eighths, above 0.
    temperature: u8,
    rows: [Row; ROWS],
}

/// All that one call can give of some rows.
#[derive(Default)]
struct Answer {
    chosen: Vec<f32>,
    top: Vec<f32>,
    named: Vec<f32>,
    entropy: Vec<f32>,
    log_sum_exp: Vec<f32>,
    ids: Vec<u32>,
    above: Vec<u32>,
    equal: Vec<u32>,
    argmax: Vec<u32>,
}

impl Answer {
    fn floats(&self) -> Vec<f32> {
        [&self.chosen, &self.top, &self.named, &self.entropy, &self.log_sum_exp].map(Vec::as_slice).concat()
    }

    fn integers(&self) -> Vec<u32> {
        [&self.ids, &self.above, &self.equal, &self.argmax].map(Vec::as_slice).concat()
    }
}

impl TokensInput {
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
        let k = usize::from(self.k) % (classes + 3);
        let class = |number: u16| u32::from(number) % u32::try_from(classes).expect("few classes");
        let chosen = self.chosen.map(class);
        let mask: Vec<bool> =
            (0..classes).map(|i| self.mask.is_none_or(|bits| bits >> (i % 64) & 1 == 1)).collect();
        let temperature = (f64::from(self.temperature) + 1.0) / 8.0;
        let options = TokenLogProbs::new().temperature(temperature).expect("above 0").class_mask(&mask);
        let named = [class(self.named)];
        let mut fused = Fused::default();
        for backend in Backend::available() {
            let read = |view: Rows<'_>, chosen: &[u32]| {
                answer(&options, view.with_backend(backend), k, chosen, &named)
            };
            let [all, other] = in_pools(|| read(view, &chosen[..rows.len()]));
            assert_same("in a pool of three", &all.floats(), &other.floats());
            assert_eq!(all.integers(), other.integers(), "in a pool of three");
            fused.assert(backend, "tokens", &all.floats());
            for (i, row) in rows.iter().enumerate() {
                let alone = read(Rows::new(row, 1, classes).expect(VALID), &chosen[i..=i]);
                assert_same("alone", &alone.top, &all.top[i * k..][..k]);
                assert_eq!(alone.ids, all.ids[i * k..][..k], "alone");
                assert_row(
                    backend,
                    row,
                    &mask,
                    1.0 / temperature,
                    (chosen[i] as usize, named[0] as usize),
                    &alone,
                );
            }
        }
    }
}

fn answer(options: &TokenLogProbs<'_>, view: Rows<'_>, k: usize, chosen: &[u32], named: &[u32]) -> Answer {
    let rows = view.rows();
    let floats = |len| vec![UNTOUCHED; len];
    let mut all = Answer {
        chosen: floats(rows),
        top: floats(rows * k),
        named: floats(rows * named.len()),
        entropy: floats(rows),
        log_sum_exp: floats(rows),
        ids: vec![7; rows * k],
        above: vec![7; rows],
        equal: vec![7; rows],
        argmax: vec![7; rows],
    };
    let wanted = TokenOutputs::new()
        .chosen(chosen, &mut all.chosen)
        .rank(&mut all.above, &mut all.equal)
        .top(k, &mut all.ids, &mut all.top)
        .named(named, &mut all.named)
        .entropy(&mut all.entropy)
        .log_sum_exp(&mut all.log_sum_exp)
        .argmax(&mut all.argmax);
    options.read_into(view, wanted).expect(VALID);
    all
}

/// Asserts what one row gives.
#[expect(clippy::float_cmp, reason = "equal logits are counted")]
fn assert_row(
    backend: Backend,
    row: &[f32],
    mask: &[bool],
    scale: f64,
    (chosen, named): (usize, usize),
    got: &Answer,
) {
    let given: Vec<f32> =
        row.iter().zip(mask).map(|(&x, &keep)| if keep { x } else { f32::NEG_INFINITY }).collect();
    let logits: Vec<f32> = given.iter().map(|&x| ulp::round(f64::from(x) * scale)).collect();
    let logs = reference::log_softmax(&logits);
    let within = |what: &str, got: f32, want: f64| {
        let error = ulp::error(got, want);
        assert!(error <= bound(backend, CONTRACT), "{what} on {backend}: {got:e}, not {want:e}, {error} ULP");
    };
    within("chosen", got.chosen[0], logs[chosen]);
    within("named", got.named[0], logs[named]);
    let none = TokenLogProbs::NO_TOKEN;
    if given.iter().any(|x| x.is_nan()) {
        assert!(got.ids.iter().all(|&id| id == none) && (got.above[0], got.equal[0]) == (none, none));
        assert!(got.entropy[0].is_nan() && got.log_sum_exp[0].is_nan());
        return;
    }
    let count = |of: &dyn Fn(f32) -> bool| given.iter().filter(|&&x| of(x)).count();
    assert_eq!(got.above[0] as usize, count(&|x| x > given[chosen]), "above, on {backend}");
    assert_eq!(got.equal[0] as usize, count(&|x| x == given[chosen]), "equal, on {backend}");
    let mut classes: Vec<usize> = (0..given.len()).filter(|&i| given[i] > f32::NEG_INFINITY).collect();
    classes.sort_by(|&a, &b| given[b].partial_cmp(&given[a]).expect("no NaN").then(a.cmp(&b)));
    for (place, (&id, &log)) in got.ids.iter().zip(&got.top).enumerate() {
        match classes.get(place) {
            Some(&class) => {
                assert_eq!(id as usize, class, "place {place} on {backend}");
                within("top", log, logs[class]);
            }
            None => assert_eq!(id, none, "place {place} on {backend}"),
        }
    }
}
