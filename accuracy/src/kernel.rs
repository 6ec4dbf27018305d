//! The crate's own sources of what is approximated: nothing of it is public for this.

#[path = "../../src/kernel/exp.rs"]
pub(crate) mod exp;
#[path = "../../src/kernel/flow.rs"]
mod flow;
#[path = "../../src/kernel/map.rs"]
pub(crate) mod map;
#[path = "../../src/kernel/math.rs"]
pub(crate) mod math;
#[path = "../../src/kernel/share.rs"]
mod share;
