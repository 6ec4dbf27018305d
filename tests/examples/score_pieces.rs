//! The example `score` reads files in pieces of whole rows: of any size, with the same results.

use std::fs;

use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use xent::{Rows, SequenceLogProb, TokenLogProbs};

use super::score::Case;
use crate::common::example::{Run, run};
use crate::common::npy_bytes::{f32_bytes, labels, npy};

const ROWS: usize = 500;
const CLASSES: usize = 7;

/// Where sequences begin: rows before the first, one within a piece, one of nothing, one of many pieces.
const OFFSETS: [usize; 5] = [2, 4, 4, 490, 495];

/// A file of logits, its bytes per value, and the numbers in it.
struct File {
    name: &'static str,
    bytes: Vec<u8>,
    width: usize,
    values: Vec<f32>,
}

/// The same logits in files of several kinds, rounded to what each can hold.
fn files() -> [File; 4] {
    let mut random = fastrand::Rng::with_seed(7);
    let mut values: Vec<f32> = (0..ROWS * CLASSES).map(|_| (random.f32() - 0.5) * 20.0).collect();
    // The first sequence is the model's own, of another the last token.
    for row in [2, 3, 489] {
        values[row * CLASSES + row * row % CLASSES] = 15.0;
    }
    let f16s: Vec<f16> = values.iter().map(|value| f16::from_f32(*value)).collect();
    let bf16s: Vec<bf16> = values.iter().map(|value| bf16::from_f32(*value)).collect();
    let shape = format!("({ROWS}, {CLASSES})");
    let big_endian: Vec<u8> = f16s.iter().flat_map(|value| value.to_be_bytes()).collect();
    let bf16_bytes: Vec<u8> = bf16s.iter().flat_map(|value| value.to_le_bytes()).collect();
    let f32s = f32_bytes(&values);
    let tensor = |dtype, bytes| TensorView::new(dtype, vec![ROWS, CLASSES], bytes).unwrap();
    let before = TensorView::new(Dtype::F64, vec![3], &[0; 24]).unwrap();
    let tensors = [("before", before), ("logits", tensor(Dtype::BF16, &bf16_bytes))];
    let f32_tensor = [("any", tensor(Dtype::F32, &f32s))];
    let serialized = |tensors: &[_]| safetensors::serialize(tensors.iter().cloned(), None).unwrap();
    let [halves, brains] =
        [f16s.iter().map(|x| x.to_f32()).collect(), bf16s.iter().map(|x| x.to_f32()).collect()];
    [
        File { name: "a.npy", bytes: npy("'<f4'", false, &shape, &f32s), width: 4, values: values.clone() },
        File { name: "b.npy", bytes: npy("'>f2'", false, &shape, &big_endian), width: 2, values: halves },
        File { name: "c.safetensors", bytes: serialized(&tensors), width: 2, values: brains },
        File { name: "d.safetensors", bytes: serialized(&f32_tensor), width: 4, values },
    ]
}

fn text(case: &Case, name: &str) -> String {
    case.path(name).to_str().unwrap().to_owned()
}

fn tokens() -> Vec<i64> {
    (0..ROWS).map(|row| i64::try_from(row * row % CLASSES).unwrap()).collect()
}

/// What was printed, without the one line that no two runs share.
fn lines(run: &Run) -> Vec<&str> {
    run.out.lines().filter(|line| !line.starts_with("speed ")).collect()
}

#[test]
fn pieces_of_any_size_give_the_same_results() {
    let offsets = OFFSETS.map(|offset| i64::try_from(offset).unwrap());
    let case = Case::new(&[], &labels(&tokens()));
    fs::write(case.path("offsets.npy"), labels(&offsets)).unwrap();
    for file in files() {
        fs::write(case.path(file.name), &file.bytes).unwrap();
        let score = |piece_bytes: usize| {
            let [logits, labels, offsets, losses] =
                [file.name, "labels.npy", "offsets.npy", "losses.npy"].map(|name| text(&case, name));
            let size = piece_bytes.to_string();
            let options =
                ["--top-k", "3", "--sequences", &offsets, "--per-row", &losses, "--piece-bytes", &size];
            let run = run("score", [&*logits, &labels].into_iter().chain(options));
            assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{run:?}");
            (run, fs::read(losses).unwrap())
        };
        let row_bytes = CLASSES * file.width;
        let (whole, losses) = score(ROWS * row_bytes);
        // A row although it is longer; rows and a part of one; a last piece of fewer rows.
        for piece_bytes in [0, row_bytes - 1, row_bytes, 3 * row_bytes, 4 * row_bytes - 1, 64 * row_bytes] {
            let (run, losses_of_pieces) = score(piece_bytes);
            assert_eq!(lines(&run), lines(&whole), "{}, {piece_bytes} bytes", file.name);
            assert!(losses_of_pieces == losses, "{}, {piece_bytes} bytes", file.name);
        }
        assert_sequences(&whole, &file.values);
    }
}

/// Expects the very sums that the crate gives for all rows at once.
fn assert_sequences(run: &Run, values: &[f32]) {
    let logits = Rows::new(values, ROWS, CLASSES).unwrap();
    let sequences = TokenLogProbs::new().sequence_log_probs(&tokens(), logits, &OFFSETS).unwrap();
    assert_eq!(run.field("sequences"), (OFFSETS.len() - 1).to_string());
    for (i, sequence) in sequences.iter().enumerate() {
        let SequenceLogProb { sum, tokens, is_greedy } = sequence;
        let perplexity = sequence.perplexity();
        let want = format!("{tokens} tokens, {sum:?} nats, perplexity {perplexity:?}, greedy {is_greedy}");
        assert_eq!(run.field(&format!("sequence {i} ")), want);
    }
}

#[test]
fn what_is_wrong_with_a_later_piece_is_of_a_row_of_the_file() {
    let file = files().into_iter().next().unwrap();
    let mut tokens = tokens();
    tokens[400] = 7;
    let case = Case::new(&file.bytes, &labels(&tokens));
    let run = case.score(&["--piece-bytes", "100", "--per-row", &text(&case, "losses.npy")]);
    assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{run:?}");
    assert!(
        run.err.contains("labels.npy: the label 7 of row 400 is out of range; expected 0 to 6"),
        "{run:?}"
    );
    assert_eq!(fs::read_dir(case.folder.path()).unwrap().count(), 2, "something was written");
}

#[test]
fn tensors_that_are_not_as_long_as_their_header_says() {
    let file = files().into_iter().next_back().unwrap();
    let (bytes, needed) = (file.bytes, ROWS * CLASSES * file.width);
    let case = Case::new(&[], &labels(&tokens()));
    let path = case.path("logits.safetensors");
    let refused = |bytes: &[u8], says: &str| {
        fs::write(&path, bytes).unwrap();
        let run = run("score", [&path, &case.path("labels.npy")]);
        assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{run:?}");
        assert!(run.err.contains(&format!("logits.safetensors: {says}")), "{says:?} expected: {run:?}");
    };
    let needs = format!("bytes of data; the shapes in its header need {needed}");
    refused(&bytes[..bytes.len() - 1], &format!("{} {needs}", needed - 1));
    refused(&[&bytes[..], &[0]].concat(), &format!("{} {needs}", needed + 1));
    let says = "not a .safetensors file: its header would have";
    refused(&bytes[..20], &format!("{says} {} bytes, of which there are 12", bytes.len() - needed - 8));
    refused(&[&[0xff; 8], &bytes[8..]].concat(), says);
    refused(&bytes[..7], "not a .safetensors file");
    // Fewer rows than there are bytes for.
    let text = String::from_utf8_lossy(&bytes[8..bytes.len() - needed]).replace("[500,7]", "[499,7]");
    refused(
        &[&bytes[..8], text.as_bytes(), &bytes[bytes.len() - needed..]].concat(),
        "not a .safetensors file",
    );
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read() {
    use crate::common::example::{finish, path};
    use std::process::Command;

    let file = files().into_iter().next().unwrap();
    let case = Case::new(&file.bytes, &labels(&tokens()));
    let [logits, labels] = ["logits.npy", "labels.npy"].map(|name| case.path(name));
    let mut piped = Command::new("sh");
    piped.args(["-c", r#"cat "$1" | "$0" /dev/stdin "$2""#]).arg(path("score")).args([logits, labels]);
    let (run, want) = (finish(&mut piped), case.score(&[]));
    assert_eq!((run.code, lines(&run)), (Some(0), lines(&want)), "{run:?}");
}

/// A terminal is what `script` makes for standard error alone.
#[cfg(target_os = "linux")]
#[test]
fn a_progress_bar_is_drawn_on_a_terminal() {
    use crate::common::example::{finish, path};
    use std::process::Command;

    let file = files().into_iter().next().unwrap();
    let case = Case::new(&file.bytes, &labels(&tokens()));
    let on_terminal = |piece_bytes: &str| {
        let mut command = Command::new("script");
        command.args(["-qec", r#""$SCORE" "$LOGITS" "$LABELS" --piece-bytes "$SIZE" > "$OUT""#, "/dev/null"]);
        command.env("SCORE", path("score")).env("SIZE", piece_bytes).env("TERM", "xterm");
        for (variable, name) in [("LOGITS", "logits.npy"), ("LABELS", "labels.npy"), ("OUT", "out")] {
            command.env(variable, case.path(name));
        }
        let run = finish(&mut command);
        assert_eq!(run.code, Some(0), "{run:?}");
        let out = fs::read_to_string(case.path("out")).unwrap();
        assert_eq!(lines(&Run { out, ..run.clone() }), lines(&case.score(&[])));
        run.out
    };
    if let Err(error) = Command::new("script").arg("--version").output() {
        println!("NOT CHECKED: script: {error}");
        return;
    }
    let bar = on_terminal("100");
    assert!(bar.contains("of 500 rows") && bar.ends_with("\u{1b}[2K"), "{bar:?}");
    assert_eq!(on_terminal("1000000"), "", "there is nothing to wait for");
}

/// Zeros without a place on the disk.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_is_larger_than_memory_is_scored() {
    use crate::common::example::{finish, path};
    use std::process::Command;

    const MEMORY: usize = 256 << 20;
    let (rows, classes) = (1 << 17, 768);
    let case = Case::new(
        &npy("'<f4'", false, &format!("({rows}, {classes})"), &[]),
        &npy("'|u1'", false, &format!("({rows},)"), &[]),
    );
    for (name, len) in [("logits.npy", 4 * rows * classes), ("labels.npy", rows)] {
        let file = fs::File::options().append(true).open(case.path(name)).unwrap();
        let header = file.metadata().unwrap().len();
        file.set_len(header + u64::try_from(len).unwrap()).unwrap();
    }
    let score = |options: &[&str]| {
        let limit = format!(r#"ulimit -v {} && exec "$0" "$@""#, MEMORY >> 10);
        // Each thread has a stack, and would have an arena.
        let mut command = Command::new("sh");
        command.env("RAYON_NUM_THREADS", "2").env("MALLOC_ARENA_MAX", "1");
        finish(command.args(["-c", &limit]).arg(path("score")).args(options))
    };
    if score(&["--help"]).code != Some(0) {
        println!(
            "NOT CHECKED: built in a way that needs more memory than {MEMORY} bytes to say what it does"
        );
        return;
    }
    let [logits, labels] = ["logits.npy", "labels.npy"].map(|name| text(&case, name));
    let whole = score(&[&logits, &labels, "--piece-bytes", "1000000000"]);
    assert!(whole.code == Some(2) && whole.err.contains("logits.npy: memory allocation failed"), "{whole:?}");
    let run = score(&[&logits, &labels]);
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{run:?}");
    assert_eq!((run.field("rows"), run.field("classes")), ("131072", "768"));
    assert_eq!(run.field("mean loss"), "6.64379 nats");
    assert_eq!(run.field("top-1 accuracy"), "100.00 % (131072 of 131072)");
}
