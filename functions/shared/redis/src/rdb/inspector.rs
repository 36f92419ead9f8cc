mod ends;

use crc_fast::{CrcAlgorithm, Digest};
use serde::{Deserialize, Serialize};

use self::ends::WITH_CHECKSUM;
use super::{
    checkpoint::CheckpointVersion,
    corrupt::{Because, Corrupt},
    grammar::{Family, Item, Meaning, Rule, meaning},
    report::{Report, Verdict},
    tally::{Field, Tally},
    token::{self, Captured, Text},
};

/// Walked and summed at once: small enough to be in the processor's cache for the second of the two.
const BLOCK: usize = 128 << 10;

/// No server can be configured to have more databases.
const MOST_DATABASES: u64 = i32::MAX as u64;

/// Walks through an RDB as it comes in and checks all of it: see the module.
///
/// Serialise it after any chunk, and go on in another process with the byte at [`Inspector::offset`]: the report is
/// the same. Serialised it has a few KB.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Inspector {
    layout: CheckpointVersion,
    /// Where we are.
    phase: Phase,
    /// How long the file is, when that is known.
    length: Option<u64>,
    /// What follows the data: the end mark, and a checksum in most versions.
    tail: u64,
    /// Bytes that have been understood.
    parsed: u64,
    /// The beginning of a piece of which the rest has not come.
    carry: Vec<u8>,
    /// So many bytes more are of no interest.
    skip: u64,
    /// What the pieces belong to, outermost first. Empty between two keys.
    frames: Vec<Frame>,
    /// What the last [`Item::Count`] said.
    count: u64,
    /// Which auxiliary field's value comes next.
    field: Field,
    /// The checksum over all bytes before `phase` was [`Phase::Checksum`].
    sum: u64,
    family: Family,
    rdb_version: String,
    tally: Tally,
    corrupt: Option<Corrupt>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    Header,
    Body,
    /// The end mark has come, the checksum not yet.
    Checksum,
    Verified,
    NoChecksum,
}

/// Where we are in a rule.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Frame {
    rule: Rule,
    next: u8,
    /// How often the rule comes, this time included.
    left: u64,
}

impl Default for Inspector {
    fn default() -> Self {
        Self::new()
    }
}

impl Inspector {
    /// Of a file whose length is not known. Prefer [`Inspector::with_length`]: it finds a wrong length where it stands.
    pub fn new() -> Self {
        Self {
            layout: CheckpointVersion,
            phase: Phase::Header,
            length: None,
            tail: WITH_CHECKSUM,
            parsed: 0,
            carry: Vec::with_capacity(token::LONGEST),
            skip: 0,
            frames: Vec::with_capacity(8),
            count: 0,
            field: Field::Other,
            sum: 0,
            family: Family::Redis,
            rdb_version: String::new(),
            tally: Tally::default(),
            corrupt: None,
        }
    }

    /// Of a file of so many bytes.
    pub fn with_length(bytes: u64) -> Self {
        Self { length: Some(bytes), ..Self::new() }
    }

    /// How many bytes it has been fed: the next to feed is the one at this offset.
    pub fn offset(&self) -> u64 {
        self.parsed + self.carry.len() as u64
    }

    /// Reads on. Once it has found the file corrupt it says the same to whatever else it is fed.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Corrupt> {
        let used = self.feed_preamble(bytes)?;
        if used < bytes.len() {
            return Err(self.found(self.parsed, Because::Trailing));
        }
        Ok(())
    }

    /// As [`Inspector::feed`], of an RDB that something else may follow, such as the commands of an append-only file.
    /// Says how many of the bytes belong to the RDB: fewer than there are, once it is over.
    pub fn feed_preamble(&mut self, bytes: &[u8]) -> Result<usize, Corrupt> {
        if let Some(corrupt) = &self.corrupt {
            return Err(corrupt.clone());
        }
        let mut used = 0;
        while used < bytes.len() && !self.is_over() {
            let block = &bytes[used..bytes.len().min(used + BLOCK)];
            used += match self.block(block) {
                Ok(used) => used,
                Err(because) => return Err(self.found(self.parsed, because)),
            };
        }
        Ok(used)
    }

    /// Whether the file's end, its checksum included, has been read.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Verified | Phase::NoChecksum)
    }

    /// No more bytes follow. `expected_length` is what the file's keeper says of its size; where that is known from
    /// the start, say so to [`Inspector::with_length`] too.
    pub fn finish(mut self, expected_length: Option<u64>) -> Report {
        let found = self.offset();
        if self.corrupt.is_none() && !self.is_over() {
            self.found(found, Because::Truncated);
        }
        for expected in
            [self.length, expected_length].into_iter().flatten().filter(|expected| *expected != found)
        {
            if self.corrupt.is_none() {
                self.found(found, Because::Size { expected, found });
            }
        }
        let verdict = match (self.corrupt, self.phase) {
            (Some(corrupt), _) => Verdict::Corrupt(corrupt),
            (None, Phase::Verified) => Verdict::Verified,
            (None, _) => Verdict::NoChecksum,
        };
        self.tally.report(verdict, found, self.rdb_version)
    }

    fn found(&mut self, offset: u64, because: Because) -> Corrupt {
        self.corrupt.insert(Corrupt { offset, because }).clone()
    }

    /// Of a block: how many bytes were used, which is all of them until the file is over.
    fn block(&mut self, block: &[u8]) -> Result<usize, Because> {
        let mut at = 0;
        if self.is_data() {
            at = self.carried(block)?;
            if self.carry.is_empty() {
                at += self.walk(&block[at..])?;
            }
            if self.is_data() {
                self.add_to_sum(block);
                self.carry.extend_from_slice(&block[at..]);
                return Ok(block.len());
            }
            // The end mark is the last byte that the checksum is over.
            self.add_to_sum(&block[..at]);
        }
        if self.phase == Phase::Checksum {
            at += self.checksum(&block[at..])?;
        }
        Ok(at)
    }

    fn is_data(&self) -> bool {
        matches!(self.phase, Phase::Header | Phase::Body)
    }

    /// Completes the piece that the last block broke off in, if it did. Says how many bytes that took.
    fn carried(&mut self, block: &[u8]) -> Result<usize, Because> {
        let had = self.carry.len();
        if had == 0 {
            return Ok(0);
        }
        let more = block.len().min(token::LONGEST.saturating_sub(had));
        let mut piece = std::mem::take(&mut self.carry);
        piece.extend_from_slice(&block[..more]);
        let used = self.piece(&piece)?;
        if let Some(used) = used {
            self.parsed += used as u64;
            piece.clear();
        } else {
            piece.truncate(had);
        }
        self.carry = piece;
        Ok(used.unwrap_or(had).saturating_sub(had))
    }

    /// Understands as much as is whole.
    fn walk(&mut self, bytes: &[u8]) -> Result<usize, Because> {
        let begun = self.parsed;
        let mut at = 0;
        while self.is_data() {
            let here = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len() - at);
            at += here;
            self.skip -= here as u64;
            if self.skip == 0 {
                at = self.stride(bytes, at, begun);
            }
            self.parsed = begun + at as u64;
            if self.skip > 0 {
                break;
            }
            let Some(used) = self.piece(&bytes[at..])? else { break };
            at += used;
            self.parsed = begun + at as u64;
        }
        Ok(at)
    }

    /// Takes what is most of a file in as few steps as can be: short strings, and whatever else is whole in this block
    /// and needs no look. It stops before all else, which is [`Inspector::piece`]'s; without it the result is the same.
    fn stride(&mut self, bytes: &[u8], mut at: usize, begun: u64) -> usize {
        // What reaches into the end of the file is an error, which is not told here.
        let end =
            self.length.map_or(u64::MAX, |length| length.saturating_sub(begun).saturating_sub(self.tail));
        let bytes = &bytes[..usize::try_from(end).unwrap_or(usize::MAX).min(bytes.len())];
        while let Some(frame) = self.frames.last_mut() {
            let items = frame.rule.items();
            loop {
                let taken = match items.get(usize::from(frame.next)) {
                    Some(Item::Text) => token::whole_text(bytes, at),
                    Some(Item::Fixed(length)) => Some(usize::from(*length)),
                    Some(Item::Key(kind)) => {
                        self.tally.key(*kind);
                        Some(0)
                    }
                    None if frame.left > 1 => {
                        frame.left -= 1;
                        frame.next = 0;
                        continue;
                    }
                    None => break,
                    Some(_) => return at,
                };
                match taken {
                    Some(taken) if taken <= bytes.len().saturating_sub(at) => at += taken,
                    _ => return at,
                }
                frame.next += 1;
            }
            self.frames.pop();
        }
        at
    }

    /// One piece, or `None` if it is not all there.
    #[inline]
    fn piece(&mut self, bytes: &[u8]) -> Result<Option<usize>, Because> {
        let Some(frame) = self.frames.last_mut() else { return self.between(bytes) };
        let Some(item) = frame.rule.items().get(usize::from(frame.next)) else {
            frame.next = 0;
            frame.left = frame.left.saturating_sub(1);
            if frame.left == 0 {
                self.frames.pop();
            }
            return Ok(Some(0));
        };
        let used = match item {
            Item::Text => {
                let Some((text, used)) = token::text(bytes)? else { return Ok(None) };
                if let Text::Follows(length) = text {
                    self.skip_over(length, used)?;
                }
                used
            }
            Item::Number => {
                let Some((_, used)) = token::length(bytes)? else { return Ok(None) };
                used
            }
            Item::Fixed(length) => {
                self.skip_over(u64::from(*length), 0)?;
                0
            }
            Item::Score => {
                let Some(length) = token::score(bytes) else { return Ok(None) };
                self.skip_over(length, 1)?;
                1
            }
            Item::Key(kind) => {
                self.tally.key(*kind);
                0
            }
            item => return self.seldom(item, bytes),
        };
        self.advance();
        Ok(Some(used))
    }

    /// The items that few bytes of a file are.
    fn seldom(&mut self, item: &Item, bytes: &[u8]) -> Result<Option<usize>, Because> {
        match item {
            Item::FieldName => return self.field_name(bytes),
            Item::FieldValue => return self.field_value(bytes),
            Item::ExpirySeconds => {
                let Some(four) = token::array(bytes, 0) else { return Ok(None) };
                self.tally.expires(i64::from(i32::from_le_bytes(four)) * 1000);
                self.advance();
                return Ok(Some(4));
            }
            Item::ExpiryMilliseconds => {
                let Some(eight) = token::array(bytes, 0) else { return Ok(None) };
                self.tally.expires(i64::from_le_bytes(eight));
                self.advance();
                return Ok(Some(8));
            }
            Item::Counted(rule) => {
                self.advance();
                self.enter(*rule, self.count, 0)?;
                return Ok(Some(0));
            }
            Item::Function => {
                self.tally.function();
                self.advance();
                return Ok(Some(0));
            }
            _ => {}
        }
        let Some((number, used)) = token::length(bytes)? else { return Ok(None) };
        match item {
            Item::Each(rule) => {
                self.advance();
                self.enter(*rule, number, used)?;
            }
            Item::Count => {
                self.count = number;
                self.advance();
            }
            Item::OneOf(rules) => {
                let rule = choose(rules, number)?;
                self.advance();
                self.enter(rule, 1, used)?;
            }
            Item::Until0(rules) => {
                if number == 0 {
                    self.advance();
                } else {
                    self.enter(choose(rules, number)?, 1, used)?;
                }
            }
            Item::Exactly(only) if number == *only => self.advance(),
            Item::Database if number < MOST_DATABASES => {
                self.tally.enter_database(u32::try_from(number).map_err(|_| Because::Database(number))?);
                self.advance();
            }
            Item::Database => return Err(Because::Database(number)),
            _ => return Err(Because::Choice(number)),
        }
        Ok(Some(used))
    }

    /// What stands outside of all rules: the header, and the types and opcodes.
    #[inline]
    fn between(&mut self, bytes: &[u8]) -> Result<Option<usize>, Because> {
        if self.phase == Phase::Header {
            return self.header(bytes);
        }
        let Some(&number) = bytes.first() else { return Ok(None) };
        match meaning(number, self.family) {
            Meaning::Rule(rule) => {
                self.enter(rule, 1, 1)?;
                Ok(Some(1))
            }
            Meaning::End => {
                self.phase = if self.tail == WITH_CHECKSUM { Phase::Checksum } else { Phase::NoChecksum };
                Ok(Some(1))
            }
            Meaning::PreReleaseModule => Err(Because::PreReleaseModule),
            Meaning::PreReleaseFunction => Err(Because::PreReleaseFunction),
            Meaning::Unknown => Err(Because::Unknown { number, version: self.rdb_version.clone() }),
        }
    }

    fn field_name(&mut self, bytes: &[u8]) -> Result<Option<usize>, Because> {
        let Some((captured, used)) = token::captured(bytes)? else { return Ok(None) };
        self.field = match captured {
            Captured::Says(name) => Field::of(&name),
            Captured::Follows(length) => {
                self.skip_over(length, used)?;
                Field::Other
            }
        };
        self.advance();
        Ok(Some(used))
    }

    fn field_value(&mut self, bytes: &[u8]) -> Result<Option<usize>, Because> {
        let Some((captured, used)) = token::captured(bytes)? else { return Ok(None) };
        match captured {
            Captured::Says(value) => self.tally.learn(self.field, value),
            Captured::Follows(length) => self.skip_over(length, used)?,
        }
        self.advance();
        Ok(Some(used))
    }

    #[inline]
    fn advance(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.next += 1;
        }
    }

    #[inline]
    fn enter(&mut self, rule: Rule, times: u64, used: usize) -> Result<(), Because> {
        if times > 1 {
            self.must_fit(times.saturating_mul(rule.least_bytes()), used)?;
        }
        if times > 0 {
            self.frames.push(Frame { rule, next: 0, left: times });
        }
        Ok(())
    }

    #[inline]
    fn skip_over(&mut self, length: u64, used: usize) -> Result<(), Because> {
        self.must_fit(length, used)?;
        self.skip = length;
        Ok(())
    }

    /// Whether so many bytes can follow the next `used`, before the end mark.
    #[inline]
    fn must_fit(&self, declared: u64, used: usize) -> Result<(), Because> {
        let Some(length) = self.length else { return Ok(()) };
        let left = length.saturating_sub(self.parsed).saturating_sub(used as u64 + self.tail);
        if declared > left {
            return Err(Because::Beyond { declared, left });
        }
        Ok(())
    }

    fn add_to_sum(&mut self, bytes: &[u8]) {
        let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc64Redis, self.sum);
        digest.update(bytes);
        self.sum = digest.get_state();
    }
}

fn choose(rules: &[Option<Rule>], number: u64) -> Result<Rule, Because> {
    let rule = usize::try_from(number).ok().and_then(|number| rules.get(number)).copied().flatten();
    rule.ok_or(Because::Choice(number))
}
