//! Any bytes as a base, as an increment and as a manifest: no panic, and chunks change nothing.

#![no_main]

// The two modules alone, without the rest of the crate and its clients of AWS.
#[path = "../../src"]
#[allow(dead_code, unused_imports, reason = "a part of the crate")]
mod source {
    pub mod aof;
    pub mod rdb;
}

use libfuzzer_sys::fuzz_target;
use source::{
    aof::{BaseScanner, IncrScanner, Manifest},
    rdb,
};

fuzz_target!(|bytes: &[u8]| {
    let scan = |size: usize| {
        let mut scanner = IncrScanner::new(jiff::Timestamp::from_second(100).ok());
        let mut base = BaseScanner::new();
        for chunk in bytes.chunks(size) {
            let _ = scanner.feed(chunk);
            base.feed(chunk);
        }
        (scanner.finish(), base.finish().made())
    };
    let ((mut whole, base), (mut pieces, base_of_pieces)) = (scan(bytes.len().max(1)), scan(3));
    if whole.broken.is_some() {
        (whole.bytes, pieces.bytes) = (0, 0);
    }
    assert_eq!((whole, base), (pieces, base_of_pieces));
    if let Ok(manifest) = Manifest::parse(bytes) {
        // History has no order among the others.
        let again = Manifest::parse(manifest.to_text().as_bytes()).unwrap();
        assert_eq!(again, manifest);
    }
});
