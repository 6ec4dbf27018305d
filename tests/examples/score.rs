//! The example `score`: right about good files, and one line about bad ones.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::example::{Run, run};
use crate::common::npy_bytes::{f32_bytes, labels, logits, npy, with_header};
use crate::common::{backends, bound, reference, same_bits, ulp};
use half::{bf16, f16};
use ndarray::{Array1, Array2};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tempfile::TempDir;
use xent::Backend;

/// A folder of its own for each test, with the files that it scores.
pub(crate) struct Case {
    pub(crate) folder: TempDir,
}

impl Case {
    pub(crate) fn new(logits: &[u8], labels: &[u8]) -> Self {
        let case = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(case.path("logits.npy"), logits).unwrap();
        fs::write(case.path("labels.npy"), labels).unwrap();
        case
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn score(&self, options: &[&str]) -> Run {
        let files = ["logits.npy", "labels.npy"].map(|name| self.path(name).to_str().unwrap().to_owned());
        run("score", files.into_iter().chain(options.iter().map(|&option| option.to_owned())))
    }

    /// Scores, and gives the row losses that were written.
    #[track_caller]
    fn losses(&self) -> Vec<f32> {
        let path = self.path("losses.npy");
        let run = self.score(&["--per-row", path.to_str().unwrap()]);
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{run:?}");
        let bytes = fs::read(&path).unwrap();
        let rows: usize = run.field("rows").parse().unwrap();
        let (header, data) = bytes.split_at(bytes.len() - 4 * rows);
        let header = String::from_utf8_lossy(header);
        assert!(header.contains("'<f4'") && header.contains(&format!("({rows},)")), "{header}");
        data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    }
}

/// Three rows of the documents this crate started from, and their labels.
const THREE_ROWS: [f32; 12] = [2.0, -5.0, 0.5, -0.1, 0.0, 0.0, 1.9, 1.4, -100.0, 100.0, -100.0, -100.0];
const THREE_LABELS: [i64; 3] = [0, 3, 1];

fn three_rows() -> Vec<u8> {
    logits(3, 4, &THREE_ROWS)
}

#[test]
fn without_files_the_sample_is_scored() {
    let file = |name| Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data").join(name);
    let logits: Array2<f32> = ndarray_npy::read_npy(file("speech_logits.npy")).unwrap();
    let labels: Array1<i64> = ndarray_npy::read_npy(file("speech_labels.npy")).unwrap();
    let (count, classes) = logits.dim();
    let label_of = |row: usize| usize::try_from(labels[row]).unwrap();
    let rows = || (0..count).map(|row| (label_of(row), logits.row(row).to_vec()));
    let number = |rows: usize| f64::from(u32::try_from(rows).unwrap());
    let mean = rows().map(|(label, row)| reference::sparse_loss(label, &row)).sum::<f64>() / number(count);
    let right = rows().filter(|(label, row)| reference::argmax(row) == *label).count();
    let accuracy = format!("{:.2} % ({right} of {count})", 100.0 * number(right) / number(count));
    let megabytes = number(4 * count * classes) / 1e6;

    for backend in backends() {
        let run = run("score", ["--backend", backend.name()]);
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{run:?}");
        assert_eq!((run.field("rows"), run.field("classes")), (&*count.to_string(), &*classes.to_string()));
        let loss: f32 = run.field("mean loss").strip_suffix(" nats").unwrap().parse().unwrap();
        // The contract's bound for each loss, and half an ULP for the mean.
        assert!(ulp::error(loss, mean) <= bound(backend, 2.5), "{loss} for {mean} on {backend}");
        let perplexity: f64 = run.field("perplexity").parse().unwrap();
        assert!((perplexity / mean.exp() - 1.0).abs() < 1e-6, "{perplexity} for {} on {backend}", mean.exp());
        assert_eq!(run.field("top-1 accuracy"), accuracy);
        assert_eq!(run.field("backend"), backend.name());
        assert!(run.field("speed").contains(&format!("GB/s: {megabytes:.3} MB of logits in ")), "{run:?}");
        assert!(run.field("speed").ends_with("the median of 9 calls"), "{run:?}");
    }
}

#[test]
fn the_row_losses_are_written() {
    let case = Case::new(&three_rows(), &labels(&THREE_LABELS));
    let losses = case.losses();
    for ((&loss, row), label) in losses.iter().zip(THREE_ROWS.chunks_exact(4)).zip([0, 3, 1]) {
        let want = reference::sparse_loss(label, row);
        // The contract's bound, on whichever backend it was.
        assert!(ulp::error(loss, want) <= bound(Backend::selected().unwrap(), 2.0), "{loss} for {want}");
    }
    // Over a file that exists, and with no other file left behind.
    assert_eq!(case.losses(), losses);
    assert_eq!(fs::read_dir(case.folder.path()).unwrap().count(), 3);
}

#[test]
fn labels_of_every_integer_type_are_read() {
    let want = Case::new(&three_rows(), &labels(&THREE_LABELS)).losses();
    for width in [1, 2, 4, 8] {
        for (order, kind) in ["<", ">", "|"].into_iter().flat_map(|order| [(order, 'i'), (order, 'u')]) {
            if (order == "|") != (width == 1) {
                continue;
            }
            let value = |label: u64| match order {
                ">" => label.to_be_bytes()[8 - width..].to_vec(),
                _ => label.to_le_bytes()[..width].to_vec(),
            };
            let data: Vec<u8> = [0, 3, 1].into_iter().flat_map(value).collect();
            let labels = npy(&format!("'{order}{kind}{width}'"), false, "(3,)", &data);
            assert_eq!(Case::new(&three_rows(), &labels).losses(), want, "{order}{kind}{width}");
        }
    }
}

#[test]
fn logits_of_16_bits_are_read_from_npy_and_safetensors_files() {
    let rounded: Vec<f32> = THREE_ROWS.iter().map(|x| bf16::from_f32(*x).to_f32()).collect();
    let f16s: Vec<f16> = rounded.iter().map(|x| f16::from_f32(*x)).collect();
    let bf16s: Vec<bf16> = rounded.iter().map(|x| bf16::from_f32(*x)).collect();
    let [f32_bytes, f16_bytes] =
        [f32_bytes(&rounded), f16s.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>()];
    let bf16_bytes: Vec<u8> = bf16s.iter().flat_map(|x| x.to_le_bytes()).collect();
    let case = Case::new(&logits(3, 4, &rounded), &labels(&THREE_LABELS));
    let want = case.losses();
    assert_eq!(Case::new(&npy("'<f2'", false, "(3, 4)", &f16_bytes), &labels(&THREE_LABELS)).losses(), want);
    let swapped: Vec<u8> = f16s.iter().flat_map(|x| x.to_be_bytes()).collect();
    assert_eq!(Case::new(&npy("'>f2'", false, "(3, 4)", &swapped), &labels(&THREE_LABELS)).losses(), want);

    let mean = case.score(&[]).field("mean loss").to_owned();
    let path = case.path("logits.safetensors");
    let score = || run("score", [path.to_str().unwrap(), case.path("labels.npy").to_str().unwrap()]);
    for (dtype, data) in [(Dtype::F32, &f32_bytes), (Dtype::F16, &f16_bytes), (Dtype::BF16, &bf16_bytes)] {
        let tensor = TensorView::new(dtype, vec![3, 4], data).unwrap();
        fs::write(&path, safetensors::serialize([("scores", tensor)], None).unwrap()).unwrap();
        let run = score();
        assert_eq!((run.code, run.field("mean loss")), (Some(0), &*mean), "{dtype:?}: {run:?}");
    }
    let wrong = |tensors: Vec<(&str, TensorView<'_>)>, error: &str| {
        fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
        let run = score();
        assert!(run.code == Some(2) && run.err.contains(error), "{run:?}");
    };
    let tensor = |dtype, shape| TensorView::new(dtype, shape, &f32_bytes[..]).unwrap();
    wrong(vec![("a", tensor(Dtype::I32, vec![3, 4]))], "dtype I32; expected F32, F16 or BF16 logits");
    wrong(vec![("a", tensor(Dtype::F32, vec![12]))], "a 1-dimensional tensor");
    let two = || vec![("a", tensor(Dtype::F32, vec![3, 4])), ("b", tensor(Dtype::F32, vec![3, 4]))];
    wrong(two(), "2 tensors, of which none has the name \"logits\"");
    fs::write(&path, b"no such file").unwrap();
    assert!(score().err.contains("not a .safetensors file"), "{:?}", score());
}

#[test]
fn headers_of_every_version_and_both_byte_orders_are_read() {
    let want = Case::new(&three_rows(), &labels(&THREE_LABELS)).losses();
    let header = "{'shape': (3, 4), 'fortran_order': False, 'descr': '<f4'}";
    for version in [1, 2, 3] {
        let logits = with_header(version, header, &f32_bytes(&THREE_ROWS));
        assert_eq!(Case::new(&logits, &labels(&THREE_LABELS)).losses(), want, "version {version}");
    }
    let swapped: Vec<u8> = THREE_ROWS.iter().flat_map(|value| value.to_be_bytes()).collect();
    let logits = npy("'>f4'", false, "(3, 4)", &swapped);
    assert_eq!(Case::new(&logits, &labels(&THREE_LABELS)).losses(), want, "big-endian");
    let row = npy("'<f4'", true, "(1, 4)", &f32_bytes(&THREE_ROWS[..4]));
    assert_eq!(Case::new(&row, &labels(&[0])).losses(), want[..1], "a single row in Fortran order");
}

#[test]
fn nan_and_infinity_are_results() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let case = Case::new(&logits(3, 2, &[nan, 0.0, 0.0, -inf, 20.0, 0.0]), &labels(&[0, 1, 0]));
    let losses = case.losses();
    for (row, (&loss, want)) in losses.iter().zip([nan, inf, 2.061_153_7e-9]).enumerate() {
        assert!(same_bits(loss, want), "row {row}: {loss:e} for {want:e}");
    }
    let run = case.score(&[]);
    assert_eq!(run.field("mean loss"), "NaN nats");
    assert_eq!(run.field("top-1 accuracy"), "33.33 % (1 of 3)");
    let tiny = Case::new(&logits(1, 2, &[20.0, 0.0]), &labels(&[0])).score(&[]);
    assert_eq!(tiny.field("mean loss"), "2.0611537e-9 nats");
}

#[test]
fn no_rows_have_no_mean() {
    let case = Case::new(&logits(0, 5, &[]), &labels(&[]));
    assert_eq!(case.losses(), [0.0; 0]);
    assert_eq!(case.score(&[]).field("mean loss"), "NaN nats");
}

#[test]
fn labels_are_looked_for_among_the_most_probable_classes() {
    let case = Case::new(&three_rows(), &labels(&[3, 3, 1]));
    let run = case.score(&["--top-k", "2"]);
    assert_eq!(run.field("top-1 accuracy"), "33.33 % (1 of 3)");
    // The first row's label is the third of its classes.
    assert_eq!(run.field("top-2 accuracy"), "66.67 % (2 of 3)");
    assert_eq!(case.score(&["--top-k", "9"]).field("top-9 accuracy"), "100.00 % (3 of 3)");
}

#[test]
fn sequences_are_scored() {
    let case = Case::new(&three_rows(), &labels(&THREE_LABELS));
    let offsets = case.path("offsets.npy");
    fs::write(&offsets, labels(&[0, 2, 3])).unwrap();
    let run = case.score(&["--sequences", offsets.to_str().unwrap()]);
    assert_eq!((run.code, run.field("sequences")), (Some(0), "2"), "{run:?}");
    let sum: f64 = (0..2).map(|row| -reference::sparse_loss([0, 3][row], &THREE_ROWS[4 * row..][..4])).sum();
    let first = run.field("sequence 0");
    assert!(first.starts_with("2 tokens, -") && first.ends_with("greedy false"), "{first}");
    let printed: f64 = first["2 tokens, ".len()..].split(' ').next().unwrap().parse().unwrap();
    // Of terms of f32.
    assert!((printed / sum - 1.0).abs() < 1e-6, "{printed}, not {sum}");
    assert!(run.field("sequence 1").ends_with("greedy true"), "{run:?}");

    fs::write(&offsets, labels(&[0, 2, 4])).unwrap();
    let bad = case.score(&["--sequences", offsets.to_str().unwrap()]);
    assert_eq!(bad.code, Some(2));
    assert!(bad.err.contains("the sequence offset at 2 is 4"), "{bad:?}");
}
