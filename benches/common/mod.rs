//! What every measurement shares: shapes, inputs, the operations of the crate, and the limits of the
//! machine. The benches include it, and so does the package that measures other libraries.

#![allow(dead_code, reason = "each program that includes it needs a part")]

pub mod inputs;
pub mod limits;
pub mod linear;
pub mod loops;
pub mod operations;
pub mod shape;
pub mod tokens;
