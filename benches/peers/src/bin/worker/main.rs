//! `worker PEER THREADS`: one library behind a line protocol on standard input and output, so that the
//! program that measures can take turns between this process and another.
//!
//! | request | answer |
//! |---|---|
//! | | `ready VERSION`, once |
//! | `generate SHAPE` | `ok`: inputs made here |
//! | `load SHAPE FOLDER` | `ok`: inputs read from files |
//! | `load_linear SIZE FOLDER` | `ok`: a linear classifier read from files; or `none` |
//! | `check OPERATION FOLDER` | `ok COUNT`: results, or samples of long ones, written; or `none`: not offered |
//! | `time OPERATION CALLS` | `ok SECONDS`, or `none` |
//! | `memory OPERATION` | `ok BYTES`: how far one call raises the memory in use at most; or `none` |
//! | `unload` | `ok` |
//!
//! Anything else that is answered is an error message.

#[cfg(feature = "burn")]
mod burn;
#[cfg(feature = "candle")]
mod candle;
#[cfg(feature = "extras")]
mod extras;
mod memory;
mod naive;
#[cfg(feature = "ndarray")]
mod nd;
mod peer;
#[cfg(feature = "rten")]
mod rten;
mod xent;

use std::io::{self, BufRead, Write};
use std::path::Path;

use anyhow::{Context, Error, Result, bail};
use rayon::ThreadPoolBuilder;
use xent_peers::common::shape::Shape;
use xent_peers::files;

use peer::{Loaded, Peer};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, threads] = &arguments[..] else { bail!("usage: worker PEER THREADS") };
    let peer = peer(name)?;
    let threads = threads.parse()?;
    // The global pool is what the libraries take; work is called from inside it, so that one thread
    // means this one.
    ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    println!("ready {}", peer.version());
    rayon::scope(|_| serve(peer.as_ref(), threads))
}

fn peer(name: &str) -> Result<Box<dyn Peer>> {
    Ok(match name {
        "xent" => Box::new(xent::Xent),
        "loop" => Box::new(naive::Naive),
        #[cfg(feature = "extras")]
        "extras" => Box::new(extras::Extras),
        #[cfg(feature = "candle")]
        "candle" => Box::new(candle::Candle),
        #[cfg(feature = "burn")]
        "burn" => Box::new(burn::Burn),
        #[cfg(feature = "rten")]
        "rten" => Box::new(rten::Rten),
        #[cfg(feature = "ndarray")]
        "ndarray" => Box::new(nd::NdArray),
        _ => bail!("this worker was built without {name}"),
    })
}

fn serve(peer: &dyn Peer, threads: usize) -> Result<()> {
    let mut loaded = None;
    for line in io::stdin().lock().lines() {
        let answer = answer(peer, threads, &mut loaded, &line?);
        println!("{}", answer.unwrap_or_else(|error| format!("error: {error:#}").replace('\n', " ")));
        io::stdout().flush()?;
    }
    Ok(())
}

fn answer(
    peer: &dyn Peer,
    threads: usize,
    loaded: &mut Option<Box<dyn Loaded>>,
    line: &str,
) -> Result<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match &words[..] {
        ["generate", shape] => {
            *loaded = None;
            *loaded = Some(peer.generate(parse(shape)?, threads)?);
        }
        ["load", shape, folder] => {
            *loaded = None;
            let buffers = files::read_inputs(Path::new(folder), parse(shape)?)?;
            *loaded = Some(peer.load(buffers, threads)?);
        }
        ["load_linear", size, folder] => {
            *loaded = None;
            let problem = files::read_problem(Path::new(folder), size.parse().map_err(Error::msg)?)?;
            *loaded = peer.load_linear(problem, threads);
            return Ok(if loaded.is_some() { "ok" } else { "none" }.into());
        }
        ["unload"] => *loaded = None,
        ["check", operation, folder] => {
            let loaded = current(loaded)?;
            if !loaded.run(operation)? {
                return Ok("none".into());
            }
            let results = loaded.results(operation)?;
            for (index, values) in results.iter().enumerate() {
                files::write(&Path::new(folder).join(files::result_name(index)), &files::sample(values))?;
            }
            return Ok(format!("ok {}", results.len()));
        }
        ["time", operation, calls] => {
            let seconds = current(loaded)?.time(operation, calls.parse()?)?;
            return Ok(seconds.map_or_else(|| "none".into(), |seconds| format!("ok {seconds:e}")));
        }
        ["memory", operation] => {
            let loaded = current(loaded)?;
            let raised = memory::raised(|| loaded.run(operation))?;
            return Ok(raised.map_or_else(|| "none".into(), |bytes| format!("ok {bytes}")));
        }
        _ => bail!("not a request: {line}"),
    }
    Ok("ok".into())
}

fn parse(shape: &str) -> Result<Shape> {
    shape.parse().map_err(Error::msg)
}

fn current(loaded: &mut Option<Box<dyn Loaded>>) -> Result<&mut (dyn Loaded + 'static)> {
    loaded.as_deref_mut().context("nothing is loaded")
}
