//! A connection to a server: the few commands that a control plane needs.

use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::encode::encode;
use redis_protocol::resp2::types::{OwnedFrame, Resp2Frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Error;

/// One connection. A call at a time.
pub(super) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    pub(super) async fn connect(port: u16, password: Option<&str>) -> Result<Self, Error> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let mut client = Self { stream, received: Vec::new() };
        if let Some(password) = password {
            client.call(&["AUTH", password]).await?;
        }
        Ok(client)
    }

    /// Sends a command and waits for its answer; an answer that is an error is one.
    pub(super) async fn call(&mut self, command: &[impl AsRef<[u8]>]) -> Result<OwnedFrame, Error> {
        let parts = command.iter().map(|part| OwnedFrame::BulkString(part.as_ref().to_vec()));
        let frame = OwnedFrame::Array(parts.collect());
        let mut request = vec![0; frame.encode_len(false)];
        encode(&mut request, &frame, false)?;
        self.stream.write_all(&request).await?;
        match self.answer().await? {
            OwnedFrame::Error(answer) => {
                let name = command.first().map(|name| String::from_utf8_lossy(name.as_ref()).into_owned());
                Err(Error::Refused { command: name.unwrap_or_default(), answer })
            }
            answer => Ok(answer),
        }
    }

    async fn answer(&mut self) -> Result<OwnedFrame, Error> {
        loop {
            if let Some((frame, length)) = decode(&self.received)? {
                self.received.drain(..length);
                return Ok(frame);
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(Error::Gone);
            }
        }
    }

    /// As [`Client::call`], for answers that are text.
    pub(super) async fn text(&mut self, command: &[&str]) -> Result<String, Error> {
        match self.call(command).await? {
            OwnedFrame::BulkString(bytes) | OwnedFrame::SimpleString(bytes) => {
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            other => Err(Error::Refused { command: command.join(" "), answer: format!("{other:?}") }),
        }
    }
}

/// The value of a line `name:value`, as INFO has them.
pub(super) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}
