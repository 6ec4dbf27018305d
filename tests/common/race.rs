//! The race between the classes of a row, as the documentation of `Sampler` has it.

/// Philox4x32-10, as the paper has it.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let product = |multiplier: u32, word: u32| {
            let [h0, h1, h2, h3, l0, l1, l2, l3] = (u64::from(multiplier) * u64::from(word)).to_be_bytes();
            (u32::from_be_bytes([h0, h1, h2, h3]), u32::from_be_bytes([l0, l1, l2, l3]))
        };
        let (high_0, low_0) = product(3_528_531_795, counter[0]);
        let (high_1, low_1) = product(3_449_720_151, counter[2]);
        counter = [high_1 ^ counter[1] ^ key[0], low_1, high_0 ^ counter[3] ^ key[1], low_0];
        key = [key[0].wrapping_add(2_654_435_769), key[1].wrapping_add(3_144_134_277)];
    }
    counter
}

fn words(bits: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = bits.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

/// The score of a class in the race: what the documentation says of its bits.
pub fn score(logit: f32, seed: u64, position: u64, class: u32) -> f64 {
    let [low, high] = words(position);
    let block = philox([class / 128 * 16 + class % 32 / 2, 0, low, high], words(seed));
    let word = block[(class / 32 % 2 * 2 + class % 2) as usize];
    let highest = if (class / 64).is_multiple_of(2) { word % 65_536 } else { word / 65_536 };
    let [middle, lowest, ..] = philox([class, 1, low, high], words(seed));
    let uniform = f64::from(highest) / 65_536.0
        + (f64::from(middle) + f64::from(lowest / 65_536) / 65_536.0 + 0.5 / 65_536.0)
            / 65_536.0
            / 4_294_967_296.0;
    f64::from(logit) - (-(-uniform).ln_1p()).ln()
}

/// The classes that can be drawn: of the `top_k` largest logits, unless that is 0, the fewest that have the share `top_p` of
/// their mass; and of these, those with `min_p` times the probability of the first.
pub fn candidates(logits: &[f32], truncation: (usize, f64, f64)) -> Vec<usize> {
    candidates_of(logits, logits, truncation)
}

/// The same where a temperature has made equal logits of different ones: `given` says which is the larger.
pub fn candidates_of(given: &[f32], logits: &[f32], truncation: (usize, f64, f64)) -> Vec<usize> {
    let (top_k, top_p, min_p) = truncation;
    let mut classes: Vec<usize> = (0..logits.len()).filter(|&i| logits[i] > f32::NEG_INFINITY).collect();
    classes.sort_by(|&a, &b| given[b].total_cmp(&given[a]).then(a.cmp(&b)));
    if top_k > 0 {
        classes.truncate(top_k);
    }
    let term = |class: usize| (f64::from(logits[class]) - f64::from(logits[classes[0]])).exp();
    let all: f64 = classes.iter().map(|&class| term(class)).sum();
    let mut mass = 0.0;
    let kept = classes.iter().take_while(|&&class| {
        let keeps = mass < top_p * all;
        mass += term(class);
        keeps
    });
    kept.copied().filter(|&class| term(class) >= min_p).collect()
}

/// `ln sum e^x`.
pub fn log_sum_exp(logits: impl Iterator<Item = f32> + Clone) -> f64 {
    let max = logits.clone().fold(f32::NEG_INFINITY, f32::max);
    f64::from(max) + logits.map(|x| (f64::from(x) - f64::from(max)).exp()).sum::<f64>().ln()
}
