//! Bodies: whole, from a file, and those that go wrong on purpose.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use tokio::io::AsyncReadExt;

use super::pass::Lost;
use crate::Trouble;

/// Streamed or whole. Its only error is that the connection is to break.
pub(crate) type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Lost>;

const PIECE: usize = 1 << 16;

pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// All of a file, from where it is.
pub(crate) fn file(file: std::fs::File) -> Body {
    let file = tokio::fs::File::from_std(file);
    let pieces = stream::unfold(Some(file), |file| async {
        let mut file = file?;
        let mut piece = vec![0; PIECE];
        match file.read(&mut piece).await {
            Ok(0) => None,
            Ok(length) => {
                piece.truncate(length);
                Some((Ok(Frame::data(Bytes::from(piece))), Some(file)))
            }
            // Not an end: the reader must not take it for one.
            Err(error) => {
                tracing::warn!(%error, "a file cannot be read any further");
                Some((Err(Lost), None))
            }
        }
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// Where a body ends too early.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    Bytes(u64),
    Lines(u64),
}

impl Cut {
    /// How much of this piece still comes; the rest is counted down. `None`: all of it.
    fn take(&mut self, piece: &Bytes) -> Option<usize> {
        match self {
            Self::Bytes(left) => {
                let length = piece.len() as u64;
                if *left >= length {
                    *left -= length;
                    return None;
                }
                usize::try_from(*left).ok()
            }
            Self::Lines(left) => {
                if *left == 0 {
                    return Some(0);
                }
                for (at, byte) in piece.iter().enumerate() {
                    if *byte == b'\n' {
                        *left -= 1;
                        if *left == 0 {
                            return Some(at + 1);
                        }
                    }
                }
                None
            }
        }
    }
}

struct Troubled {
    body: Body,
    cut: Option<(Cut, bool)>,
    slow: Option<(usize, Duration)>,
    /// Waiting to be sent, in pieces.
    waiting: VecDeque<Bytes>,
    /// What comes after them: the end, clean or not.
    end: Option<bool>,
}

/// A body that goes wrong: cut off (and whether cleanly), slow.
pub(crate) fn troubled(body: Body, cut: Option<(Cut, bool)>, troubles: &[Trouble]) -> Body {
    let slow = troubles.iter().find_map(|trouble| match trouble {
        Trouble::Slow { piece_bytes, pause } => Some(((*piece_bytes).max(1), *pause)),
        _ => None,
    });
    if cut.is_none() && slow.is_none() {
        return body;
    }
    let state = Troubled { body, cut, slow, waiting: VecDeque::new(), end: None };
    StreamBody::new(stream::unfold(Some(state), |state| async { next(state?).await })).boxed_unsync()
}

async fn next(mut state: Troubled) -> Option<(Result<Frame<Bytes>, Lost>, Option<Troubled>)> {
    loop {
        if let Some(piece) = state.waiting.pop_front() {
            if let Some((_, pause)) = state.slow {
                tokio::time::sleep(pause).await;
            }
            return Some((Ok(Frame::data(piece)), Some(state)));
        }
        match state.end {
            Some(true) => return None,
            Some(false) => return Some((Err(Lost), None)),
            None => {}
        }
        match state.body.frame().await {
            None => state.end = Some(true),
            Some(Err(lost)) => return Some((Err(lost), None)),
            Some(Ok(frame)) => {
                let Ok(mut piece) = frame.into_data() else { continue };
                if let Some((cut, clean)) = &mut state.cut
                    && let Some(length) = cut.take(&piece)
                {
                    piece.truncate(length);
                    state.end = Some(*clean);
                }
                let size = state.slow.map_or(PIECE, |(size, _)| size);
                while !piece.is_empty() {
                    state.waiting.push_back(piece.split_to(size.min(piece.len())));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn through(
        text: &'static str,
        cut: Option<(Cut, bool)>,
        troubles: &[Trouble],
    ) -> Result<String, Lost> {
        let body = troubled(whole(text), cut, troubles).collect().await?;
        Ok(String::from_utf8(body.to_bytes().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_cut_is_where_it_is_said_and_clean_only_if_said() {
        for (cut, expected) in [
            (Cut::Bytes(0), ""),
            (Cut::Bytes(4), "one\n"),
            (Cut::Bytes(99), "one\ntwo\nthree"),
            (Cut::Lines(0), ""),
            (Cut::Lines(2), "one\ntwo\n"),
            (Cut::Lines(9), "one\ntwo\nthree"),
        ] {
            let clean = through("one\ntwo\nthree", Some((cut, true)), &[]).await;
            assert_eq!(clean.as_deref().ok(), Some(expected), "{cut:?}");
        }
        assert!(through("one\ntwo\nthree", Some((Cut::Lines(1), false)), &[]).await.is_err());
        let slow = [Trouble::Slow { piece_bytes: 0, pause: Duration::ZERO }];
        assert_eq!(through("one\ntwo", None, &slow).await.unwrap(), "one\ntwo");
    }
}
