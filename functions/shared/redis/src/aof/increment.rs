use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::rdb::CheckpointVersion;

/// No line of a command is longer, and no annotation that the server itself reads.
const LONGEST_LINE: usize = 1024;

/// A first argument as long as this may be one of the commands that open and close a transaction.
const LONGEST_NAME: u64 = 5;

/// No server takes more arguments, or a longer one.
const MOST: u64 = i64::MAX as u64 / 4;

/// Where an append-only file stops being one. A server would not load past it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("at byte {offset}: {because}")]
pub struct BrokenCommand {
    /// Of the first byte of what is wrong.
    pub offset: u64,
    /// What is wrong with it.
    pub because: Why,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// Neither a command nor an annotation.
    #[error("a command begins with *, and this with {0:#04x}")]
    NoCommand(u8),
    /// An argument does not begin as one.
    #[error("an argument begins with $, and this with {0:#04x}")]
    NoArgument(u8),
    /// What must be a number is none, or none that can stand here.
    #[error("no number that can stand here, or a line of more than 1024 bytes")]
    NoNumber,
    /// An argument has another length than it says.
    #[error("the argument is longer than it says")]
    NoEnd,
    /// `#TS:` without a time.
    #[error("a time annotation without a time")]
    NoTime,
    /// A transaction begins within a transaction, or ends outside of one.
    #[error("MULTI or EXEC where none can be")]
    Transaction,
}

/// Reads the commands of an append-only file, an increment above all, as they come in, and finds where to cut it.
///
/// In constant memory: an argument is passed over, whatever its length. Serialise it after any chunk and go on in
/// another process with the byte at [`IncrScanner::offset`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IncrScanner {
    layout: CheckpointVersion,
    expects: Expects,
    parsed: u64,
    carry: Vec<u8>,
    skip: u64,
    arguments_left: u64,
    is_first_argument: bool,
    transaction: Transaction,
    /// Where the command began that is being read, and the transaction that is open.
    command_at: u64,
    transaction_at: u64,
    report: IncrReport,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Expects {
    Command,
    Argument,
    /// The line end after an argument.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Transaction {
    None,
    Open,
    /// The command that is being read closes it.
    Closing,
}

/// What an append-only file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncrReport {
    /// Bytes read.
    pub bytes: u64,
    /// The first time annotation.
    pub first: Option<Timestamp>,
    /// The latest time annotation.
    pub last: Option<Timestamp>,
    /// How often a time annotation was earlier than one before it: the server's clock was set back.
    pub clock_set_back: u64,
    /// Whole commands.
    pub commands: u64,
    /// Of those, commands before the first time annotation: nobody can tell when they were.
    pub undated_commands: u64,
    /// Up to here all is whole: no command and no transaction is cut. What follows is a torn tail, as a crash leaves it.
    pub complete_bytes: u64,
    /// The second for which `cut_bytes` was looked for, Unix time.
    pub target: Option<i64>,
    /// So many bytes are up to that second: the first annotation with a later one begins there, or the transaction
    /// that it stands in. `None` if there is no later one.
    pub cut_bytes: Option<u64>,
    /// Where it cannot be read any further.
    pub broken: Option<BrokenCommand>,
}

impl IncrReport {
    /// How much of the end a crash, or a copy in the middle of a write, has cut off a command or transaction.
    pub fn torn_bytes(&self) -> u64 {
        self.bytes - self.complete_bytes
    }
}

impl IncrScanner {
    /// With `target`, the scanner also finds where to cut the file so that it holds no command of a later second.
    pub fn new(target: Option<Timestamp>) -> Self {
        Self {
            layout: CheckpointVersion,
            expects: Expects::Command,
            parsed: 0,
            carry: Vec::new(),
            skip: 0,
            arguments_left: 0,
            is_first_argument: false,
            transaction: Transaction::None,
            command_at: 0,
            transaction_at: 0,
            report: IncrReport {
                bytes: 0,
                first: None,
                last: None,
                clock_set_back: 0,
                commands: 0,
                undated_commands: 0,
                complete_bytes: 0,
                target: target.map(Timestamp::as_second),
                cut_bytes: None,
                broken: None,
            },
        }
    }

    /// How many bytes it has been fed: the next to feed is the one at this offset.
    pub fn offset(&self) -> u64 {
        self.parsed + self.carry.len() as u64
    }

    /// Reads on. Once it has found the file broken it says the same to whatever else it is fed.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), BrokenCommand> {
        if let Some(broken) = &self.report.broken {
            return Err(broken.clone());
        }
        self.read(bytes).map_err(|because| {
            self.report.broken.insert(BrokenCommand { offset: self.parsed, because }).clone()
        })
    }

    /// No more bytes follow.
    pub fn finish(mut self) -> IncrReport {
        self.report.bytes = self.offset();
        self.report
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), Why> {
        let mut rest = bytes;
        while !self.carry.is_empty() && !rest.is_empty() {
            let had = self.carry.len();
            let more = rest.len().min(LONGEST_LINE + 1);
            let mut line = std::mem::take(&mut self.carry);
            line.extend_from_slice(&rest[..more]);
            let Some(used) = self.piece(&line)? else {
                // Not longer than a line, or it would have been refused.
                self.carry = line;
                return Ok(());
            };
            self.parsed += used as u64;
            rest = &rest[used.saturating_sub(had).min(more)..];
        }
        loop {
            let here = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rest.len());
            self.skip -= here as u64;
            self.parsed += here as u64;
            rest = &rest[here..];
            if rest.is_empty() {
                return Ok(());
            }
            let Some(used) = self.piece(rest)? else {
                self.carry.extend_from_slice(rest);
                return Ok(());
            };
            self.parsed += used as u64;
            rest = &rest[used..];
        }
    }

    /// One line, or `None` if it is not all there.
    fn piece(&mut self, bytes: &[u8]) -> Result<Option<usize>, Why> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        match (self.expects, first) {
            (Expects::Command, b'#') => self.annotation(bytes),
            (Expects::Command, b'*') => self.command(bytes),
            (Expects::Command, other) => Err(Why::NoCommand(other)),
            (Expects::Argument, b'$') => self.argument(bytes),
            (Expects::Argument, other) => Err(Why::NoArgument(other)),
            (Expects::End, _) => self.end(bytes),
        }
    }

    fn annotation(&mut self, bytes: &[u8]) -> Result<Option<usize>, Why> {
        let Some(line) = line(bytes)? else { return Ok(None) };
        if let Some(time) = line.strip_prefix(b"#TS:") {
            let second = time
                .strip_suffix(b"\r\n")
                .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
                .and_then(|second| Timestamp::from_second(second).ok())
                .ok_or(Why::NoTime)?;
            self.time(second);
        }
        if self.transaction == Transaction::None {
            self.report.complete_bytes = self.parsed + line.len() as u64;
        }
        Ok(Some(line.len()))
    }

    fn time(&mut self, time: Timestamp) {
        let report = &mut self.report;
        report.first.get_or_insert(time);
        report.clock_set_back += u64::from(report.last.is_some_and(|last| last > time));
        report.last = report.last.max(Some(time));
        if report.cut_bytes.is_none() && report.target.is_some_and(|target| time.as_second() > target) {
            let open = self.transaction != Transaction::None;
            report.cut_bytes = Some(if open { self.transaction_at } else { self.parsed });
        }
    }

    fn command(&mut self, bytes: &[u8]) -> Result<Option<usize>, Why> {
        let Some(line) = line(bytes)? else { return Ok(None) };
        self.arguments_left = number(line).filter(|arguments| *arguments > 0).ok_or(Why::NoNumber)?;
        self.command_at = self.parsed;
        self.is_first_argument = true;
        self.expects = Expects::Argument;
        Ok(Some(line.len()))
    }

    fn argument(&mut self, bytes: &[u8]) -> Result<Option<usize>, Why> {
        let Some(line) = line(bytes)? else { return Ok(None) };
        let length = number(line).ok_or(Why::NoNumber)?;
        let mut used = line.len();
        if self.is_first_argument && length <= LONGEST_NAME {
            let length = usize::try_from(length).unwrap_or_default();
            let Some(name) = bytes.get(used..used + length) else { return Ok(None) };
            self.transaction(name)?;
            used += length;
        } else {
            self.skip = length;
        }
        self.is_first_argument = false;
        self.expects = Expects::End;
        Ok(Some(used))
    }

    fn transaction(&mut self, command: &[u8]) -> Result<(), Why> {
        let is_open = self.transaction == Transaction::Open;
        if command.eq_ignore_ascii_case(b"multi") {
            if is_open {
                return Err(Why::Transaction);
            }
            self.transaction = Transaction::Open;
            self.transaction_at = self.command_at;
        } else if command.eq_ignore_ascii_case(b"exec") {
            if !is_open {
                return Err(Why::Transaction);
            }
            self.transaction = Transaction::Closing;
        }
        Ok(())
    }

    fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Why> {
        if !b"\r\n".starts_with(&bytes[..bytes.len().min(2)]) {
            return Err(Why::NoEnd);
        }
        if bytes.len() < 2 {
            return Ok(None);
        }
        self.arguments_left = self.arguments_left.saturating_sub(1);
        self.expects = Expects::Argument;
        if self.arguments_left == 0 {
            self.expects = Expects::Command;
            self.report.commands += 1;
            self.report.undated_commands += u64::from(self.report.first.is_none());
            if self.transaction == Transaction::Closing {
                self.transaction = Transaction::None;
            }
            if self.transaction == Transaction::None {
                self.report.complete_bytes = self.parsed + 2;
            }
        }
        Ok(Some(2))
    }
}

/// A line with its end.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, Why> {
    let within = &bytes[..bytes.len().min(LONGEST_LINE)];
    match within.iter().position(|byte| *byte == b'\n') {
        Some(end) => Ok(Some(&within[..=end])),
        None if within.len() == LONGEST_LINE => Err(Why::NoNumber),
        None => Ok(None),
    }
}

/// Of a line that begins with another character.
fn number(line: &[u8]) -> Option<u64> {
    let digits = line.get(1..)?.strip_suffix(b"\r\n")?;
    // Nineteen digits are past every length there is, and a sign is none.
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.len() < 20 && !digits.starts_with('+'))?;
    digits.parse().ok().filter(|number| *number <= MOST)
}
