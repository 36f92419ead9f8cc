//! `watch-rpo`.
