//! The smallest pieces of an RDB. Each function reads one from the front of a slice and says how many bytes it took,
//! or `None` when the slice ends within it.

use super::corrupt::Because;

/// No piece is longer, header included. See `CAPTURED`.
pub(super) const LONGEST: usize = 96;

/// So long a value of an auxiliary field is read; a longer one is skipped.
const CAPTURED: usize = 64;

/// LZF's best: three bytes that stand for 264.
const LZF_RATIO: u64 = 88;

pub(super) type Piece<T> = Result<Option<(T, usize)>, Because>;

/// What a string is, once its header is read.
pub(super) enum Text {
    /// So many bytes follow.
    Follows(u64),
    /// A number, nothing follows.
    Number(i32),
}

/// A length that is no encoding.
pub(super) fn length(bytes: &[u8]) -> Piece<u64> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let taken = match first >> 6 {
        0 => return Ok(Some((u64::from(first), 1))),
        1 => {
            let Some(&second) = bytes.get(1) else { return Ok(None) };
            return Ok(Some((u64::from(first & 0x3f) << 8 | u64::from(second), 2)));
        }
        _ => first,
    };
    match taken {
        0x80 => Ok(array(bytes, 1).map(|four| (u64::from(u32::from_be_bytes(four)), 5))),
        0x81 => Ok(array(bytes, 1).map(|eight| (u64::from_be_bytes(eight), 9))),
        _ => Err(Because::Length(first)),
    }
}

/// A string's header; of a number all of it.
pub(super) fn text(bytes: &[u8]) -> Piece<Text> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    match first {
        0xc0 => Ok(array(bytes, 1).map(|one| (Text::Number(i8::from_le_bytes(one).into()), 2))),
        0xc1 => Ok(array(bytes, 1).map(|two| (Text::Number(i16::from_le_bytes(two).into()), 3))),
        0xc2 => Ok(array(bytes, 1).map(|four| (Text::Number(i32::from_le_bytes(four)), 5))),
        0xc3 => compressed(bytes),
        0x82..=0xff => Err(Because::Text(first)),
        _ => Ok(length(bytes)?.map(|(length, taken)| (Text::Follows(length), taken))),
    }
}

/// How many bytes a string takes with its header, if that is told by its first two.
#[inline]
pub(super) fn whole_text(bytes: &[u8], at: usize) -> Option<usize> {
    match *bytes.get(at)? {
        short @ 0..0x40 => Some(1 + usize::from(short)),
        high @ 0x40..0x80 => Some(2 + (usize::from(high & 0x3f) << 8 | usize::from(*bytes.get(at + 1)?))),
        0xc0 => Some(2),
        0xc1 => Some(3),
        0xc2 => Some(5),
        _ => None,
    }
}

fn compressed(bytes: &[u8]) -> Piece<Text> {
    let Some((compressed, first)) = length(&bytes[1..])? else { return Ok(None) };
    let Some((length, second)) = length(&bytes[1 + first..])? else { return Ok(None) };
    // Two bytes of LZF are at least one of data, and none are none.
    if length == 0 || length < compressed / 2 || length > compressed.saturating_mul(LZF_RATIO) {
        return Err(Because::Compressed { compressed, length });
    }
    Ok(Some((Text::Follows(compressed), 1 + first + second)))
}

/// A sorted set's score as text: how many bytes follow its first, which is all that is read of it.
pub(super) fn score(bytes: &[u8]) -> Option<u64> {
    bytes.first().map(|&first| match first {
        // Not a number, and the two infinities.
        253..=255 => 0,
        digits => digits.into(),
    })
}

/// A short string with what it says; `None` inside for one too long to be of interest, of which the bytes follow.
pub(super) fn captured(bytes: &[u8]) -> Piece<Captured> {
    let Some((text, taken)) = text(bytes)? else { return Ok(None) };
    match text {
        Text::Number(number) => Ok(Some((Captured::Says(number.to_string()), taken))),
        Text::Follows(length) => {
            let short = usize::try_from(length).ok().filter(|length| *length <= CAPTURED && bytes[0] != 0xc3);
            let Some(length) = short else { return Ok(Some((Captured::Follows(length), taken))) };
            let said = bytes.get(taken..taken + length);
            Ok(said.map(|said| (Captured::Says(printable(said)), taken + length)))
        }
    }
}

/// See [`captured`].
pub(super) enum Captured {
    Says(String),
    Follows(u64),
}

/// Reports and logs are read by people and terminals: what is not plain text in a file that may be hostile becomes `?`.
fn printable(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|&byte| if byte == b' ' || byte.is_ascii_graphic() { char::from(byte) } else { '?' })
        .collect()
}

/// So many bytes, from the `at`th on.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
