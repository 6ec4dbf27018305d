//! Rows in parallel: the only file that says `rayon`.
