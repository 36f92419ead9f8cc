//! Any bytes, in one piece and in many with a checkpoint between: the same verdict, no panic, a small state.

#![no_main]

// The two modules alone, without the rest of the crate and its clients of AWS.
#[path = "../../src"]
#[allow(dead_code, unused_imports, reason = "a part of the crate")]
mod source {
    pub mod rdb;
}

use libfuzzer_sys::fuzz_target;
use source::rdb::{Inspector, Report, Verdict};

fuzz_target!(|bytes: &[u8]| {
    let whole = inspect(bytes, bytes.len().max(1), None);
    let size = 1 + bytes.first().map_or(0, |byte| usize::from(*byte)) % 40;
    let pieces = inspect(bytes, size, None);
    match (&whole.verdict, &pieces.verdict) {
        (Verdict::Corrupt(one), Verdict::Corrupt(other)) => assert_eq!(one, other),
        _ => assert_eq!(whole, pieces),
    }
    // Knowing the length may only tell earlier.
    let known = inspect(bytes, bytes.len().max(1), Some(bytes.len() as u64));
    if let (Verdict::Corrupt(known), Verdict::Corrupt(unknown)) = (&known.verdict, &whole.verdict) {
        assert!(known.offset <= unknown.offset);
    } else {
        assert_eq!(known, whole);
    }
});

fn inspect(bytes: &[u8], size: usize, length: Option<u64>) -> Report {
    let mut inspector = length.map_or_else(Inspector::new, Inspector::with_length);
    for (n, chunk) in bytes.chunks(size).enumerate() {
        if inspector.feed(chunk).is_err() {
            break;
        }
        // Slow under a sanitizer: three in a file.
        if n % (bytes.len() / size / 3 + 1) == 0 {
            let checkpoint = serde_json::to_string(&inspector).unwrap();
            assert!(checkpoint.len() < 65_536);
            inspector = serde_json::from_str(&checkpoint).unwrap();
        }
    }
    inspector.finish(None)
}
