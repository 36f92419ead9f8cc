//! Placeholder wiring while the rooms are being built.
fn main() {}
