#![allow(missing_docs, unused, clippy::all, clippy::pedantic)]
use std::time::Instant;
use xent::*;
struct Rng(u64);
impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.uniform()).ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}
fn measure(ms: u64, mut f: impl FnMut()) -> (f64, f64) {
    let t = Instant::now();
    f();
    let one = t.elapsed().as_nanos().max(1) as u64;
    let per = (20_000 / one).clamp(1, 1000) as usize;
    let mut all = Vec::new();
    let start = Instant::now();
    while start.elapsed().as_millis() < ms as u128 || all.len() < 4 {
        let t = Instant::now();
        for _ in 0..per {
            f();
        }
        all.push(t.elapsed().as_nanos() as f64 / per as f64);
    }
    all.sort_by(f64::total_cmp);
    (all[0], all[all.len() / 2])
}
fn main() {
    let args: Vec<usize> = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    let shapes: Vec<(usize, usize)> = if args.len() == 2 {
        vec![(args[0], args[1])]
    } else {
        [2, 3, 5, 8, 10, 16, 21, 32, 50, 64, 81, 96, 100, 128]
            .iter()
            .map(|&c| (81920 / c, c))
            .chain([(1024, 1000), (1024, 1024), (256, 4096), (256, 32000)])
            .chain([(1, 10), (1, 128)])
            .collect()
    };
    for (rows, c) in shapes {
        let mut r = Rng(0x9E3779B97F4A7C15);
        let x: Vec<f32> = (0..rows * c).map(|_| (r.normal() * 3.0) as f32).collect();
        let labels: Vec<u32> = (0..rows).map(|_| (r.next() % c as u64) as u32).collect();
        let (mut losses, mut out) = (vec![0.0; rows], vec![0.0; rows * c]);
        let n = if rows == 1 { 1.0 } else { (rows * c) as f64 };
        let mut results = vec![];
        for b in std::env::var("B")
            .map(|b| vec![b.parse().unwrap()])
            .unwrap_or(vec![Backend::Avx512, Backend::Avx2])
        {
            if !b.is_available() {
                continue;
            }
            let mut cells = vec![];
            for op in std::env::var("OPS")
                .map(|s| s.bytes().map(|b| b - 48).collect::<Vec<u8>>())
                .unwrap_or(vec![1, 0, 2])
            {
                let (min, med) = measure(150, || {
                    let logits = Rows::new(&x, rows, c).unwrap().with_backend(b);
                    let o = RowsMut::new(&mut out, rows, c).unwrap();
                    match op {
                        0 => {
                            CrossEntropy::new().loss_into(&labels, logits, &mut losses).unwrap();
                        }
                        1 => {
                            CrossEntropy::new()
                                .loss_and_gradient_into(&labels, logits, &mut losses, o)
                                .unwrap();
                        }
                        3 => {
                            log_softmax_into(logits, o).unwrap();
                        }
                        4 => {
                            softmax_in_place(o.with_backend(b)).unwrap();
                        }
                        5 => {
                            log_sum_exp_into(logits, &mut losses).unwrap();
                        }
                        _ => {
                            softmax_into(logits, o).unwrap();
                        }
                    }
                });
                cells.push(format!("{:.3} ({:.3})", min / n, med / n));
            }
            println!(
                "{rows}x{c:>4} {b:>7} | {:>15} {:>15} {:>15}",
                cells.get(1).unwrap_or(&cells[0]),
                cells[0],
                cells.last().unwrap()
            );
            results.push((losses.clone(), out.clone()));
        }
        // check
        let op_last = 2;
        let (mut wl, mut ws) = (0.0f64, 0.0f64);
        for i in 0..rows.min(500) {
            let row = &x[i * c..][..c];
            let y = labels[i] as usize;
            let m = row.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b)) as f64;
            let e: Vec<f64> = row.iter().map(|&v| (v as f64 - m).exp()).collect();
            let sum: f64 = e.iter().sum();
            let rest: f64 = e.iter().enumerate().filter(|(j, _)| *j != y).map(|(_, v)| v).sum();
            let want = if rest < e[y] { (rest / e[y]).ln_1p() } else { sum.ln() + (m - row[y] as f64) };
            let ulp = |g: f32, w: f64| (g as f64 - w).abs() / (w.abs().log2().floor() - 23.0).exp2();
            {
                let u = ulp(results[0].0[i], want);
                if u > 3.0 && results[0].0[i] != 0.0 {
                    println!("row {i} loss {} want {want} x {:?} y {y}", results[0].0[i], row);
                }
                wl = wl.max(u);
            }
            for j in 0..c {
                let u = ulp(results[0].1[i * c + j], e[j] / sum);
                if u > ws {
                    ws = u;
                    if u > 2.6 && op_last == 2 {
                        println!(
                            "{i} {j} x {} got {:e} want {:e} rel {:e} ulp {u}",
                            row[j],
                            results[0].1[i * c + j],
                            e[j] / sum,
                            (results[0].1[i * c + j] as f64) / (e[j] / sum) - 1.0
                        );
                    }
                }
            }
        }
        let same = results.len() < 2
            || results[0]
                .0
                .iter()
                .zip(&results[1].0)
                .chain(results[0].1.iter().zip(&results[1].1))
                .all(|(a, b)| a.to_bits() == b.to_bits());
        for i in 0..0 {
            println!("{i} {:?} {} {}", &x[i * c..][..c.min(5)], labels[i], results[0].0[i]);
        }
        println!("    loss {wl:.2} ULP, softmax {ws:.2} ULP, same bits {same}");
    }
}
