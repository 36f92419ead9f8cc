//! Where an answer ends, seen before it is decoded.
//!
//! The decoder begins at the front each time more bytes come, and calls itself for each array in an array: a hostile server could
//! have it read forever, or out of stack. So an answer is decoded once, when it is whole, and if it is neither longer nor deeper than
//! any that is asked for.

/// The longest answer that is read.
pub(super) const LONGEST: usize = 8 << 20;
/// The longest line: a status, a refusal or a length.
const LONGEST_LINE: usize = 64 << 10;
/// The deepest: `XRANGE` has three levels, `CLUSTER SLOTS` four.
const DEEPEST: usize = 8;
/// So many parts at most. A part takes some 70 bytes in memory, however short it is.
const PARTS: usize = 200_000;

/// How much of an answer has been walked over.
#[derive(Debug, Default)]
pub(super) struct Extent {
    at: usize,
    /// How many parts are to come of each array that is open, the outermost first.
    open: Vec<usize>,
    parts: usize,
}

/// Why an answer is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    TooLarge,
    Malformed,
}

impl Extent {
    /// Walks on over what has come of an answer, from its first byte on: where it ends, once that is known.
    pub(super) fn end(&mut self, received: &[u8]) -> Result<Option<usize>, Unfit> {
        loop {
            let Some(Line { kind, text, next }) = line(received, self.at)? else {
                return Ok(None);
            };
            self.parts += 1;
            if self.parts > PARTS {
                return Err(Unfit::TooLarge);
            }
            let (next, inside) = match kind {
                b'+' | b'-' | b':' => (next, 0),
                b'$' => match length(text)? {
                    None => (next, 0),
                    // With the line break that follows.
                    Some(length) => (next + length + 2, 0),
                },
                b'*' => (next, length(text)?.unwrap_or(0)),
                _ => return Err(Unfit::Malformed),
            };
            if next > LONGEST {
                return Err(Unfit::TooLarge);
            }
            if next > received.len() {
                // Its line is looked at once more when more has come.
                self.parts -= 1;
                return Ok(None);
            }
            self.at = next;
            if inside > 0 {
                self.open.push(inside);
                if self.open.len() > DEEPEST {
                    return Err(Unfit::TooLarge);
                }
            } else if self.close() {
                return Ok(Some(self.at));
            }
        }
    }

    /// A part is over; whether that was all.
    fn close(&mut self) -> bool {
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return false;
            }
            self.open.pop();
        }
        true
    }
}

/// A line, without the line break.
struct Line<'r> {
    kind: u8,
    /// What follows its first byte.
    text: &'r [u8],
    /// Where the next one begins.
    next: usize,
}

/// The line from `at` on, once it is whole.
fn line(received: &[u8], at: usize) -> Result<Option<Line<'_>>, Unfit> {
    let rest = received.get(at..).unwrap_or_default();
    let Some(length) = rest.windows(2).take(LONGEST_LINE).position(|pair| pair == b"\r\n") else {
        return if rest.len() > LONGEST_LINE { Err(Unfit::TooLarge) } else { Ok(None) };
    };
    let (kind, text) = rest[..length].split_first().ok_or(Unfit::Malformed)?;
    Ok(Some(Line { kind: *kind, text, next: at + length + 2 }))
}

/// A length; `None` for the -1 that stands for nothing.
fn length(text: &[u8]) -> Result<Option<usize>, Unfit> {
    if text == b"-1" {
        return Ok(None);
    }
    let length: Option<usize> = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    match length.ok_or(Unfit::Malformed)? {
        length if length > LONGEST => Err(Unfit::TooLarge),
        length => Ok(Some(length)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redis_protocol::resp2::{
        decode::decode,
        encode::encode,
        types::{OwnedFrame, Resp2Frame},
    };
    use rstest::rstest;

    use super::*;

    fn frames() -> impl Strategy<Value = OwnedFrame> {
        let leaf = prop_oneof![
            Just(OwnedFrame::Null),
            any::<i64>().prop_map(OwnedFrame::Integer),
            "[ -~]{0,20}".prop_map(|text| OwnedFrame::SimpleString(text.into_bytes())),
            "[ -~]{1,20}".prop_map(OwnedFrame::Error),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(OwnedFrame::BulkString),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| prop::collection::vec(inner, 0..6).prop_map(OwnedFrame::Array))
    }

    proptest! {
        /// In pieces of any size, it ends where the decoder says.
        #[test]
        fn it_ends_where_the_decoder_says(frame in frames(), more in prop::collection::vec(any::<u8>(), 0..9), piece in 1_usize..9) {
            let mut bytes = vec![0; frame.encode_len(false)];
            encode(&mut bytes, &frame, false).unwrap();
            let length = bytes.len();
            bytes.extend(more);
            let mut extent = Extent::default();
            let mut received = 0;
            let end = loop {
                received = (received + piece).min(bytes.len());
                if let Some(end) = extent.end(&bytes[..received]).unwrap() {
                    break end;
                }
                prop_assert!(received < length);
            };
            prop_assert_eq!(end, length);
            prop_assert_eq!(decode(&bytes[..end]).unwrap().unwrap(), (frame, length));
        }

        #[test]
        fn nonsense_makes_no_panic(bytes in prop::collection::vec(prop::sample::select(&b"*$+-:0123456789\r\n"[..]), 0..60)) {
            let _ = Extent::default().end(&bytes);
        }
    }

    #[rstest]
    #[case::endless_nesting("*1\r\n".repeat(100_000).into_bytes(), Unfit::TooLarge)]
    #[case::nesting_between_others("*2\r\n:1\r\n".repeat(100_000).into_bytes(), Unfit::TooLarge)]
    #[case::a_long_text(b"$8388609\r\n".to_vec(), Unfit::TooLarge)]
    #[case::a_text_that_cannot_be(b"$18446744073709551615\r\n".to_vec(), Unfit::TooLarge)]
    #[case::a_number_that_is_none(b"$99999999999999999999\r\n".to_vec(), Unfit::Malformed)]
    #[case::long_in_all([b"*9\r\n".to_vec(), b"$1048576\r\n".to_vec(), vec![b'x'; 1 << 20], b"\r\n$7340032\r\n".to_vec()].concat(), Unfit::TooLarge)]
    #[case::many_parts(format!("*300000\r\n{}", ":1\r\n".repeat(300_000)).into_bytes(), Unfit::TooLarge)]
    #[case::an_endless_line(vec![b'+'; 70_000], Unfit::TooLarge)]
    #[case::another_protocol(b"HTTP/1.1 400 Bad Request\r\n".to_vec(), Unfit::Malformed)]
    #[case::tls(b"\x15\x03\x03\x00\x02\x02\x46\r\n".to_vec(), Unfit::Malformed)]
    #[case::less_than_nothing(b"*-2\r\n".to_vec(), Unfit::Malformed)]
    #[case::nothing(b"\r\n".to_vec(), Unfit::Malformed)]
    fn what_is_unfit_is_not_decoded(#[case] bytes: Vec<u8>, #[case] why: Unfit) {
        assert_eq!(Extent::default().end(&bytes), Err(why));
    }
}
