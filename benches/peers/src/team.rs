//! Processes that take turns with each other: xent's and those of its peers, all with as many threads.

use anyhow::Result;

use crate::Folders;
use crate::child::{Child, Start};
use crate::measure::{Runner, take_turns};
use crate::plan::{Kind as Library, Peer, Turns};
use crate::results::{Entrant, Results};
use crate::setup::locked_version;

/// The backends that are compared, where the processor has them.
pub const BACKENDS: [&str; 2] = ["avx512", "avx2"];

pub struct Team<'a> {
    pub threads: usize,
    pub backends: Vec<&'static str>,
    pub xent: Child,
    pub peers: Vec<(&'a Peer, Child)>,
}

impl<'a> Team<'a> {
    /// Starts all of them for one part of what is measured; peers that do not start are missing.
    pub fn start(
        part: &str,
        xent: &Start,
        peers: impl IntoIterator<Item = &'a (&'a Peer, Start)>,
        threads: usize,
        folders: &Folders,
        results: &mut Results,
    ) -> Result<Self> {
        let log = |name: &str| folders.target.join(format!("logs/{part}-{name}-{threads}.log"));
        let xent = Child::start(xent, threads, &log("xent"))?;
        let best = xent.version.clone();
        let backends = BACKENDS.into_iter().filter(|backend| {
            // The one that is chosen is the best there is.
            best == "avx512" || best == *backend
        });
        let mut team = Self { threads, backends: backends.collect(), xent, peers: Vec::new() };
        results.versions.insert("xent backend".to_owned(), best.clone());
        for &(peer, ref start) in peers {
            match Child::start(start, threads, &log(peer.name)) {
                Ok(child) => {
                    let version = match peer.kind {
                        Library::Rust { package, .. } => {
                            package.and_then(|name| locked_version(folders, name))
                        }
                        Library::Python { .. } => Some(child.version.clone()),
                    };
                    results.versions.extend(version.map(|version| (peer.name.to_owned(), version)));
                    team.peers.push((peer, child));
                }
                Err(error) => results.missing(peer.name, &error),
            }
        }
        Ok(team)
    }

    /// Has peers load what a place is about. A library that ends in the middle does not end the others.
    pub fn load(&mut self, place: &str, load: impl Fn(&Peer, &Child) -> Result<()>, results: &mut Results) {
        let threads = self.threads;
        self.peers.retain(|(peer, child)| {
            let loaded = load(peer, child);
            if let Err(error) = &loaded {
                results.problem(format!("{} at {place} on {threads} threads: {error:#}", peer.name));
            }
            loaded.is_ok() || child.unload().is_ok()
        });
    }

    pub fn unload(&mut self) -> Result<()> {
        self.peers.retain(|(_, child)| child.unload().is_ok());
        self.xent.unload()
    }

    /// What runs in xent's process.
    pub fn own(&self, name: String, operation: String) -> Runner<'_> {
        Runner { name, child: &self.xent, operation }
    }

    /// Measures all of them in turns. A library that fails does not take xent's times with it.
    pub fn take_turns(
        &self,
        mut runners: Vec<Runner<'_>>,
        units: f64,
        turns: Turns,
        place: &str,
        results: &mut Results,
    ) -> Result<Vec<Entrant>> {
        take_turns(&runners, units, turns).or_else(|error| {
            results.problem(format!("{place} on {} threads: {error:#}", self.threads));
            runners.retain(|runner| std::ptr::eq(runner.child, &raw const self.xent));
            take_turns(&runners, units, turns)
        })
    }
}
