use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    base::BaseReport,
    increment::IncrReport,
    manifest::{Listed, Manifest},
};

/// The seconds that a directory can be brought back to, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// When the base was made.
    pub from: Timestamp,
    /// The latest second that a command is of. If the server was running when the directory was copied, more
    /// commands of this second may have come after the copy.
    pub to: Timestamp,
}

impl std::fmt::Display for Interval {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} to {}", self.from, self.to)
    }
}

/// What to keep of a directory so that a server that loads it holds every command up to a second, and none after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembly {
    /// In the order in which they are loaded, the base first.
    pub files: Vec<Kept>,
    /// Increments of which nothing is kept, and files that a rewrite had made useless.
    pub dropped: Vec<String>,
    /// What to write into `appendonly.aof.manifest`.
    pub manifest: String,
    /// So many bytes at the end of the last increment were an incomplete command or transaction and are cut off.
    pub torn_bytes: u64,
}

/// A file that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name, before and after.
    pub name: String,
    /// To keep, from its beginning.
    pub bytes: u64,
    /// That it has.
    pub of_bytes: u64,
}

/// Why a directory cannot be brought back to a second.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each says it in its message")]
pub enum Refusal {
    #[error("{name} is in the manifest and not in the directory: the copy is incomplete, take another")]
    Missing { name: String },
    #[error("{name} has {has} bytes and {read} were read: it is being written to, read it again")]
    Changed { name: String, has: u64, read: u64 },
    #[error("the manifest has {listed} increments, and {read} were read")]
    Count { listed: usize, read: usize },
    #[error("{name} was read for another second than {target}: read it again")]
    OtherTarget { name: String, target: Timestamp },
    #[error("the base {name} cannot be loaded: {defect}")]
    Base { name: String, defect: String },
    #[error("{name} cannot be loaded: {defect}")]
    Increment { name: String, defect: String },
    #[error(
        "{name} ends with {bytes} bytes of an incomplete command and another increment follows: what was lost \
         between the two cannot be told"
    )]
    TornInTheMiddle { name: String, bytes: u64 },
    #[error(
        "the base {name} does not tell when it was made: let the server rewrite it (BGREWRITEAOF) and copy again"
    )]
    UndatedBase { name: String },
    #[error("{target} is not within {interval}: choose a second of it, or an earlier or later copy")]
    Outside { target: Timestamp, interval: Interval },
    #[error(
        "{name} has {commands} commands before its first time annotation, and nothing proves that they are not after \
         {target}: choose a later second, and set aof-timestamp-enabled yes for the copies to come"
    )]
    Undated { name: String, commands: u64, target: Timestamp },
}

/// The seconds that a directory can be brought back to, by what its files say. What the target of the scans was does
/// not matter.
pub fn interval(
    manifest: &Manifest,
    base: &BaseReport,
    increments: &[IncrReport],
) -> Result<Interval, Refusal> {
    let from = base.made().ok_or_else(|| Refusal::UndatedBase { name: manifest.base.name.clone() })?;
    let to = increments.iter().filter_map(|increment| increment.last).max();
    Ok(Interval { from, to: to.map_or(from, |to| to.max(from)) })
}

/// What to keep so that a server has every command up to and including the second of `target`, and none after it.
///
/// `sizes_bytes` are those of the directory's files by name, as listed; `base` and `increments` what reading them gave,
/// the increments with this `target`, in the order of the manifest. A transaction is kept whole or not at all.
///
/// What `redis-check-aof --truncate-to-timestamp` does is the same for the last increment; it cuts no other, and
/// given a second before the base it leaves the base, which holds later data, and calls that success.
pub fn assemble(
    manifest: &Manifest,
    sizes_bytes: &BTreeMap<String, u64>,
    base: &BaseReport,
    increments: &[IncrReport],
    target: Timestamp,
) -> Result<Assembly, Refusal> {
    belong_together(manifest, sizes_bytes, base, increments)?;
    let interval = interval(manifest, base, increments)?;
    let second = target.as_second();
    if second < interval.from.as_second() || second > interval.to.as_second() {
        return Err(Refusal::Outside { target, interval });
    }
    let mut files =
        vec![Kept { name: manifest.base.name.clone(), bytes: base.bytes(), of_bytes: base.bytes() }];
    let (mut kept, mut torn_bytes) = (Vec::<Listed>::new(), 0);
    for (at, (listed, increment)) in manifest.increments.iter().zip(increments).enumerate() {
        if increment.target != Some(second) {
            return Err(Refusal::OtherTarget { name: listed.name.clone(), target });
        }
        let cut = increment.cut_bytes;
        if cut == Some(0) {
            break;
        }
        dated(listed, &increments[at..], target)?;
        if cut.is_none() {
            torn_bytes = increment.torn_bytes();
        }
        let bytes = cut.unwrap_or(increment.complete_bytes);
        files.push(Kept { name: listed.name.clone(), bytes, of_bytes: increment.bytes });
        kept.push(listed.clone());
        if cut.is_some() {
            break;
        }
    }
    let later = manifest.increments.iter().skip(kept.len()).chain(&manifest.history);
    let dropped = later.map(|listed| listed.name.clone()).collect();
    let manifest = Manifest { base: manifest.base.clone(), increments: kept, history: Vec::new() }.to_text();
    Ok(Assembly { files, dropped, manifest, torn_bytes })
}

/// Whether all files are there, as large as they were read, and can be loaded one after the other.
fn belong_together(
    manifest: &Manifest,
    sizes_bytes: &BTreeMap<String, u64>,
    base: &BaseReport,
    increments: &[IncrReport],
) -> Result<(), Refusal> {
    if manifest.increments.len() != increments.len() {
        return Err(Refusal::Count { listed: manifest.increments.len(), read: increments.len() });
    }
    if let Some(defect) = base.defect() {
        return Err(Refusal::Base { name: manifest.base.name.clone(), defect });
    }
    for (at, (listed, increment)) in manifest.increments.iter().zip(increments).enumerate() {
        let (name, bytes) = (listed.name.clone(), increment.torn_bytes());
        if let Some(broken) = &increment.broken {
            return Err(Refusal::Increment { name, defect: broken.to_string() });
        }
        if bytes > 0 && at + 1 < increments.len() {
            return Err(Refusal::TornInTheMiddle { name, bytes });
        }
    }
    // Last, because what is broken is not read to its end.
    let read = increments.iter().map(|increment| increment.bytes);
    let files = [&manifest.base].into_iter().chain(&manifest.increments);
    for (Listed { name, .. }, read) in files.zip([base.bytes()].into_iter().chain(read)) {
        let name = name.clone();
        match sizes_bytes.get(&name) {
            None => return Err(Refusal::Missing { name }),
            Some(&has) if has != read => return Err(Refusal::Changed { name, has, read }),
            Some(_) => {}
        }
    }
    Ok(())
}

/// Commands before the first time annotation are of an earlier time than any annotation after them: one that is not
/// after the target proves that they are not either.
fn dated(listed: &Listed, from_here: &[IncrReport], target: Timestamp) -> Result<(), Refusal> {
    let commands = from_here.first().map_or(0, |increment| increment.undated_commands);
    let proof = |first: Timestamp| first.as_second() <= target.as_second();
    if commands > 0 && !from_here.iter().filter_map(|increment| increment.first).any(proof) {
        return Err(Refusal::Undated { name: listed.name.clone(), commands, target });
    }
    Ok(())
}
