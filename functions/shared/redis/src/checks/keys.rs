//! Whether one key can be read, and is what it says it is.

use std::{collections::HashSet, time::Duration};

use reconcile::Result;

use super::{Fault, FaultKind};
use crate::server::{Connection, Reply};

/// So many elements of a value are read, from its beginning.
const ELEMENTS: usize = 1_000;
/// So many bytes of a string are read, from its beginning.
const BYTES: usize = 1 << 20;

/// What came of reading a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// What was read of it is what it says.
    Sound,
    /// It is not there any more.
    Gone,
    /// Its type is none that is read.
    NotRead,
    /// Fields of a hash may have expired.
    FieldsMayHaveExpired,
    /// It is not what it says, or is not given away.
    Wrong(Fault),
}

/// Why a value is not what it says.
enum Trouble {
    Fault(Fault),
    Lost(reconcile::Error),
    FewerFields,
}

impl From<reconcile::Error> for Trouble {
    fn from(error: reconcile::Error) -> Self {
        Self::Lost(error)
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

fn corrupt(message: impl Into<String>) -> Trouble {
    Trouble::Fault(Fault::new(FaultKind::Corrupt, message))
}

/// Reads a key of this type, up to 1,000 elements or 1 MiB of it.
pub(super) async fn read(
    connection: &mut impl Connection,
    kind: &str,
    key: &[u8],
    within: Duration,
) -> Result<Found> {
    for attempt in 0..2 {
        let mut reader = Reader { connection: &mut *connection, key, within };
        let read = match kind {
            "string" => reader.string().await,
            "list" => reader.list().await,
            "set" => reader.set().await,
            "zset" => reader.sorted_set().await,
            "hash" => reader.hash().await,
            "stream" => reader.stream().await,
            _ => return Ok(Found::NotRead),
        };
        let trouble = match read {
            Ok(()) => return Ok(Found::Sound),
            Err(Trouble::Lost(error)) => return Err(error),
            Err(trouble) => trouble,
        };
        // It may have expired in between, or changed: only what is wrong twice is.
        if reader.ask("EXISTS", &[]).await?.integer() == Some(0) {
            return Ok(Found::Gone);
        }
        if attempt > 0 {
            return Ok(match trouble {
                Trouble::Fault(fault) => Found::Wrong(fault),
                Trouble::FewerFields => Found::FieldsMayHaveExpired,
                Trouble::Lost(error) => return Err(error),
            });
        }
    }
    Ok(Found::Gone)
}

struct Reader<'r, C> {
    connection: &'r mut C,
    key: &'r [u8],
    within: Duration,
}

impl<C: Connection> Reader<'_, C> {
    async fn ask(&mut self, command: &str, rest: &[&str]) -> Result<Reply> {
        let mut words = vec![command.as_bytes(), self.key];
        words.extend(rest.iter().map(|word| word.as_bytes()));
        self.connection.ask(&words, self.within).await
    }

    async fn granted(&mut self, command: &str, rest: &[&str]) -> Result<Reply, Trouble> {
        match self.ask(command, rest).await? {
            Reply::Refused(words) => Err(Fault::refused(command, &words).into()),
            reply => Ok(reply),
        }
    }

    /// How many there are.
    async fn length(&mut self, command: &str) -> Result<usize, Trouble> {
        let length = self.granted(command, &[]).await?.integer();
        length
            .and_then(|length| usize::try_from(length).ok())
            .ok_or_else(|| corrupt(format!("{command} answers no number")))
    }

    /// As [`Reader::length`], of what is gone when it is empty.
    async fn length_of_something(&mut self, command: &str) -> Result<usize, Trouble> {
        match self.length(command).await? {
            0 => Err(corrupt(format!("{command} answers 0, and what is empty does not exist"))),
            length => Ok(length),
        }
    }

    async fn many(&mut self, command: &str, rest: &[&str]) -> Result<Vec<Reply>, Trouble> {
        match self.granted(command, rest).await? {
            Reply::Many(parts) => Ok(parts),
            _ => Err(corrupt(format!("{command} answers no list"))),
        }
    }

    async fn string(&mut self) -> Result<(), Trouble> {
        let length = self.length("STRLEN").await?;
        let last = (BYTES - 1).to_string();
        let read = self.granted("GETRANGE", &["0", &last]).await?;
        same("a string", length.min(BYTES), "bytes", read.bytes().map_or(0, <[u8]>::len))?;
        if length > BYTES {
            let last = (length - 1).to_string();
            let read = self.granted("GETRANGE", &[&last, &last]).await?;
            same("the end of a string", 1, "byte", read.bytes().map_or(0, <[u8]>::len))?;
        }
        Ok(())
    }

    async fn list(&mut self) -> Result<(), Trouble> {
        let length = self.length_of_something("LLEN").await?;
        let elements = self.many("LRANGE", &["0", &(ELEMENTS - 1).to_string()]).await?;
        same("a list", length.min(ELEMENTS), "elements", texts(&elements)?.len())?;
        if length > ELEMENTS {
            let elements = self.many("LRANGE", &["-1", "-1"]).await?;
            same("the end of a list", 1, "element", texts(&elements)?.len())?;
        }
        Ok(())
    }

    async fn set(&mut self) -> Result<(), Trouble> {
        let length = self.length_of_something("SCARD").await?;
        let (members, is_whole) = self.scan("SSCAN", 1).await?;
        if is_whole {
            same("a set", length, "members", members)
        } else {
            at_most("a set", length, "members", members)
        }
    }

    async fn hash(&mut self) -> Result<(), Trouble> {
        let length = self.length_of_something("HLEN").await?;
        let (fields, is_whole) = self.scan("HSCAN", 2).await?;
        // Fields that have expired are counted until they are removed, and not given.
        if is_whole && fields < length && self.fields_expire().await? {
            return Err(Trouble::FewerFields);
        }
        if is_whole {
            same("a hash", length, "fields", fields)
        } else {
            at_most("a hash", length, "fields", fields)
        }
    }

    /// Whether this server knows fields that expire: Redis from 7.4 on, Valkey from 9.0 on.
    async fn fields_expire(&mut self) -> Result<bool, Trouble> {
        Ok(self.ask("HTTL", &["FIELDS", "1", "field"]).await?.refusal().is_none())
    }

    /// How many different elements there are, each of so many parts, and whether those are all. The server may give one twice (Redis
    /// documentation, "SCAN", Scan guarantees).
    async fn scan(&mut self, command: &str, parts: usize) -> Result<(usize, bool), Trouble> {
        let (mut cursor, mut seen) = ("0".to_owned(), HashSet::new());
        // A page may be empty without being the last. What gives no more in so many is left.
        for _ in 0..ELEMENTS {
            let reply = self.many(command, &[&cursor, "COUNT", "500"]).await?;
            let Some((next, page)) = page(&reply) else {
                return Err(corrupt(format!("{command} answers no page")));
            };
            let page = texts(page)?;
            if page.len() % parts != 0 {
                return Err(corrupt(format!("{command} answers a part of an element")));
            }
            seen.extend(page.chunks(parts).filter_map(|element| element.first()).map(|name| name.to_vec()));
            if next == "0" {
                return Ok((seen.len(), true));
            }
            if seen.len() > ELEMENTS {
                break;
            }
            next.clone_into(&mut cursor);
        }
        Ok((seen.len(), false))
    }

    async fn sorted_set(&mut self) -> Result<(), Trouble> {
        let length = self.length_of_something("ZCARD").await?;
        let all = self.many("ZRANGE", &["0", &(ELEMENTS - 1).to_string(), "WITHSCORES"]).await?;
        let all = texts(&all)?;
        same("a sorted set", 2 * length.min(ELEMENTS), "members and scores", all.len())?;
        let mut before = f64::NEG_INFINITY;
        for score in all.iter().skip(1).step_by(2) {
            let score: Option<f64> = std::str::from_utf8(score).ok().and_then(|text| text.parse().ok());
            match score {
                Some(score) if score >= before => before = score,
                _ => return Err(corrupt("a sorted set is not in the order of its scores")),
            }
        }
        Ok(())
    }

    async fn stream(&mut self) -> Result<(), Trouble> {
        let length = self.length("XLEN").await?;
        let entries = self.many("XRANGE", &["-", "+", "COUNT", &ELEMENTS.to_string()]).await?;
        same("a stream", length.min(ELEMENTS), "entries", entries.len())?;
        let mut before = None;
        for entry in &entries {
            let Some((id, fields)) =
                entry.many().and_then(|parts| Some((id(parts.first()?.text()?)?, parts.get(1)?.many()?)))
            else {
                return Err(corrupt("an entry of a stream is none"));
            };
            if before >= Some(id) || texts(fields)?.len() % 2 != 0 {
                return Err(corrupt("a stream is not in the order of its ids, or an entry has half a field"));
            }
            before = Some(id);
        }
        Ok(())
    }
}

/// `1-0`.
fn id(text: &str) -> Option<(u64, u64)> {
    let (milliseconds, number) = text.split_once('-')?;
    Some((milliseconds.parse().ok()?, number.parse().ok()?))
}

/// A cursor, and what there is up to it.
pub(super) fn page(reply: &[Reply]) -> Option<(&str, &[Reply])> {
    let [cursor, page] = reply else { return None };
    Some((cursor.text()?, page.many()?))
}

fn texts(parts: &[Reply]) -> Result<Vec<&[u8]>, Trouble> {
    let texts: Option<Vec<_>> = parts.iter().map(Reply::bytes).collect();
    texts.ok_or_else(|| corrupt("an element is none"))
}

fn same(what: &str, said: usize, of: &str, read: usize) -> Result<(), Trouble> {
    if said == read {
        Ok(())
    } else {
        Err(corrupt(format!("{what} has {said} {of} as it says, and {read} as it gives")))
    }
}

fn at_most(what: &str, said: usize, of: &str, read: usize) -> Result<(), Trouble> {
    if read <= said { Ok(()) } else { same(what, said, of, read) }
}
