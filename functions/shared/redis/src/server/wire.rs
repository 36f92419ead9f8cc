//! Commands out and answers in, over any stream of bytes.

use reconcile::{Error, Result};
use redis_protocol::resp2::{
    decode::decode,
    encode::encode,
    types::{OwnedFrame, Resp2Frame},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    NOT_REACHED, Reply, TOO_LARGE, UNREADABLE,
    extent::{Extent, LONGEST, Unfit},
};

/// A stream of bytes in both directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// What is spoken over a stream.
pub(super) struct Wire<S> {
    /// For errors.
    host: String,
    stream: S,
    received: Vec<u8>,
}

impl<S: Stream> Wire<S> {
    pub(super) fn new(host: &str, stream: S) -> Self {
        Self { host: host.to_owned(), stream, received: Vec::new() }
    }

    /// Sends commands, and reads as many answers.
    pub(super) async fn ask<W: AsRef<[u8]>>(&mut self, commands: &[Vec<W>]) -> Result<Vec<Reply>> {
        let mut request = Vec::new();
        for command in commands {
            let words = command.iter().map(|word| OwnedFrame::BulkString(word.as_ref().to_vec()));
            let frame = OwnedFrame::Array(words.collect());
            let before = request.len();
            request.resize(before + frame.encode_len(false), 0);
            encode(&mut request[before..], &frame, false)
                .map_err(|_| self.unreadable("a command is none"))?;
        }
        self.stream.write_all(&request).await.map_err(|error| self.lost(error))?;
        self.stream.flush().await.map_err(|error| self.lost(error))?;
        let mut replies = Vec::new();
        for _ in commands {
            replies.push(self.answer().await?);
        }
        if self.received.is_empty() {
            Ok(replies)
        } else {
            Err(self.unreadable("more comes than was asked for"))
        }
    }

    async fn answer(&mut self) -> Result<Reply> {
        let mut extent = Extent::default();
        let end = loop {
            match extent.end(&self.received) {
                Ok(Some(end)) => break end,
                Ok(None) => {}
                Err(Unfit::Malformed) => return Err(self.unreadable("it is not RESP")),
                Err(Unfit::TooLarge) => {
                    let said = format!(
                        "an answer of {} is longer or deeper than what is read ({LONGEST} bytes)",
                        self.host
                    );
                    return Err(Error::permanent(TOO_LARGE, said));
                }
            }
            if self.stream.read_buf(&mut self.received).await.map_err(|error| self.lost(error))? == 0 {
                let said = format!("{} closed the connection", self.host);
                return Err(Error::retryable(NOT_REACHED, said));
            }
        };
        let frame = match decode(&self.received[..end]) {
            Ok(Some((frame, length))) if length == end => frame,
            _ => return Err(self.unreadable("it is not RESP")),
        };
        self.received.drain(..end);
        Ok(frame.into())
    }

    fn lost(&self, error: std::io::Error) -> Error {
        Error::retryable(NOT_REACHED, format!("lost the connection to {}", self.host)).caused_by(error)
    }

    /// What came is not shown: it may hold data.
    fn unreadable(&self, why: &str) -> Error {
        Error::retryable(UNREADABLE, format!("cannot read an answer of {}: {why}", self.host))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// What comes of an answer to `PING` if that is all that the server sends.
    async fn answered(bytes: &[u8]) -> Result<Reply> {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let server = async {
            let mut asked = [0; 14];
            theirs.read_exact(&mut asked).await.unwrap();
            assert_eq!(&asked, b"*1\r\n$4\r\nPING\r\n");
            // A client that has read enough hangs up.
            let _ = theirs.write_all(bytes).await;
            drop(theirs);
        };
        let client = async {
            let mut wire = Wire::new("cache:6379", ours);
            wire.ask(&[vec!["PING"]]).await.map(|mut replies| replies.remove(0))
        };
        tokio::join!(server, client).1
    }

    #[tokio::test]
    async fn an_answer_comes_in_any_pieces() {
        let text = format!("*2\r\n$200\r\n{}\r\n*1\r\n:7\r\n", "x".repeat(200));
        let Reply::Many(parts) = answered(text.as_bytes()).await.unwrap() else { panic!("not many") };
        assert_eq!(
            (parts[0].bytes().unwrap().len(), &parts[1]),
            (200, &Reply::Many(vec![Reply::Integer(7)]))
        );
    }

    #[rstest]
    #[case::nothing(b"", NOT_REACHED)]
    #[case::cut_in_a_length(b"$10", NOT_REACHED)]
    #[case::cut_in_a_text(b"$10\r\n12345", NOT_REACHED)]
    #[case::cut_in_an_array(b"*2\r\n:1\r\n", NOT_REACHED)]
    #[case::huge(b"$999999999\r\n", TOO_LARGE)]
    #[case::no_resp(b"HTTP/1.1 400 Bad Request\r\n\r\n", UNREADABLE)]
    #[case::more_than_was_asked_for(b"+PONG\r\n+PONG\r\n", UNREADABLE)]
    #[case::no_number(b":seven\r\n", UNREADABLE)]
    #[case::no_line_break_after_a_text(b"*2\r\n$2\r\nabcd\r\n+x\r\n", UNREADABLE)]
    #[tokio::test]
    async fn no_cut_or_wrong_answer_passes(#[case] bytes: &[u8], #[case] code: &str) {
        assert_eq!(answered(bytes).await.unwrap_err().code(), code);
    }

    /// What would come without an end is left after eight megabytes.
    #[tokio::test]
    async fn an_answer_without_an_end_is_left() {
        let endless = [b"*100\r\n".to_vec(), b"$1000000\r\n".to_vec(), vec![b'x'; 9 << 20]].concat();
        let mut many = b"*100\r\n".to_vec();
        for _ in 0..9 {
            many.extend_from_slice(b"$1000000\r\n");
            many.extend(vec![b'x'; 1_000_000]);
            many.extend_from_slice(b"\r\n");
        }
        assert_eq!(answered(&many).await.unwrap_err().code(), TOO_LARGE);
        answered(&endless).await.unwrap_err();
    }
}
