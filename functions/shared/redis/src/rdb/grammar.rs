//! The format as data: what stands after which type and opcode. The sources are `rdb.h` and `rdb.c` of Redis and
//! Valkey; `docs/rdb.md` names them by version.

use serde::{Deserialize, Serialize};

use super::report::Kind;

/// One thing that stands in the file.
pub(super) enum Item {
    /// A number as a length, of no consequence.
    Number,
    /// A string.
    Text,
    /// A score as text.
    Score,
    /// So many bytes.
    Fixed(u8),
    /// A length, and then the rule so many times.
    Each(Rule),
    /// A length that says how often a later [`Item::Counted`] comes.
    Count,
    /// The rule as many times as the last [`Item::Count`] said.
    Counted(Rule),
    /// A length that says which of the rules comes.
    OneOf(&'static [Option<Rule>]),
    /// As [`Item::OneOf`], again and again, until a 0.
    Until0(&'static [Option<Rule>]),
    /// The length must be this.
    Exactly(u64),
    /// The name of an auxiliary field.
    FieldName,
    /// Its value.
    FieldValue,
    /// The number of the database that the next keys are in.
    Database,
    /// When the next key expires, in seconds or in milliseconds of Unix time.
    ExpirySeconds,
    ExpiryMilliseconds,
    /// Nothing: a function was complete.
    Function,
    /// Nothing: a key was complete.
    Key(Kind),
}

/// What stands after one another. The numbers are in checkpoints: see `CheckpointVersion`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Rule {
    String,
    List,
    Set,
    SortedSet,
    SortedSet2,
    Hash,
    Packed(Kind),
    QuickList,
    QuickList2,
    HashWithTimes,
    HashWithTimesFrom,
    HashPackedFrom,
    Hash2,
    Stream1,
    Stream2,
    Stream3,
    Stream4,
    Stream5,
    Module,
    Array,
    KeyMetadata,
    SlotImport,
    SlotInfo,
    Function,
    ModuleAuxiliary,
    Idle,
    Frequency,
    Auxiliary,
    Resize,
    ExpiryMilliseconds,
    ExpirySeconds,
    Database,
    // Parts of the above.
    Text,
    Two,
    Number,
    Nothing,
    Bytes4,
    Bytes8,
    Bytes16,
    Member,
    Member2,
    Node,
    TimedPair,
    PairTimed,
    Group1,
    Group2,
    Group3,
    Group5,
    Pending,
    Consumer1,
    Consumer3,
    Producer,
    Message,
    Element,
    Class,
    Range,
}

/// A module writes its values with their kinds: integers, floats, doubles, strings.
const MODULE: &[Option<Rule>] =
    &[None, Some(Rule::Number), Some(Rule::Number), Some(Rule::Bytes4), Some(Rule::Bytes8), Some(Rule::Text)];

impl Rule {
    pub(super) fn items(self) -> &'static [Item] {
        use Item::{Count, Counted, Each, Fixed, Key, Number, OneOf, Text, Until0};
        match self {
            Self::String | Self::Packed(Kind::String) => &[Text, Text, Key(Kind::String)],
            Self::Packed(Kind::List) => &[Text, Text, Key(Kind::List)],
            Self::Packed(Kind::Set) => &[Text, Text, Key(Kind::Set)],
            Self::Packed(Kind::SortedSet) => &[Text, Text, Key(Kind::SortedSet)],
            Self::Packed(_) => &[Text, Text, Key(Kind::Hash)],
            Self::List | Self::QuickList => &[Text, Each(Self::Text), Key(Kind::List)],
            Self::QuickList2 => &[Text, Each(Self::Node), Key(Kind::List)],
            Self::Set => &[Text, Each(Self::Text), Key(Kind::Set)],
            Self::SortedSet => &[Text, Each(Self::Member), Key(Kind::SortedSet)],
            Self::SortedSet2 => &[Text, Each(Self::Member2), Key(Kind::SortedSet)],
            Self::Hash => &[Text, Each(Self::Two), Key(Kind::Hash)],
            Self::HashWithTimes => &[Text, Each(Self::TimedPair), Key(Kind::Hash)],
            Self::HashWithTimesFrom => &[Text, Fixed(8), Each(Self::TimedPair), Key(Kind::Hash)],
            Self::HashPackedFrom => &[Text, Fixed(8), Text, Key(Kind::Hash)],
            Self::Hash2 => &[Text, Each(Self::PairTimed), Key(Kind::Hash)],
            Self::Stream1 => {
                &[Text, Each(Self::Two), Number, Number, Number, Each(Self::Group1), Key(Kind::Stream)]
            }
            Self::Stream2 => &[
                Text,
                Each(Self::Two),
                Number,
                Number,
                Number,
                Number,
                Number,
                Number,
                Number,
                Number,
                Each(Self::Group2),
                Key(Kind::Stream),
            ],
            Self::Stream3 => &[
                Text,
                Each(Self::Two),
                Number,
                Number,
                Number,
                Number,
                Number,
                Number,
                Number,
                Number,
                Each(Self::Group3),
                Key(Kind::Stream),
            ],
            Self::Stream4 => &[
                Text,
                Each(Self::Two),
                Number,
                Number,
                Number,
                Number,
                Number,
                Number,
                Number,
                Number,
                Each(Self::Group3),
                Number,
                Number,
                Each(Self::Producer),
                Number,
                Number,
                Key(Kind::Stream),
            ],
            Self::Stream5 => &[
                Text,
                Each(Self::Two),
                Number,
                Number,
                Number,
                Number,
                Number,
                Number,
                Number,
                Number,
                Each(Self::Group5),
                Number,
                Number,
                Each(Self::Producer),
                Number,
                Number,
                Key(Kind::Stream),
            ],
            Self::Module => &[Text, Number, Until0(MODULE), Key(Kind::Module)],
            Self::Array => &[
                Text,
                Count,
                OneOf(&[Some(Self::Nothing), Some(Self::Number)]),
                Counted(Self::Element),
                Key(Kind::Array),
            ],
            other => other.other_items(),
        }
    }

    /// Of what is no key, and of the parts of keys.
    fn other_items(self) -> &'static [Item] {
        use Item::{
            Database, Each, Exactly, ExpiryMilliseconds, ExpirySeconds, FieldName, FieldValue, Fixed,
            Function, Number, OneOf, Score, Text, Until0,
        };
        match self {
            Self::KeyMetadata => &[Each(Self::Class)],
            Self::SlotImport => &[Text, Each(Self::Range)],
            Self::SlotInfo => &[Number, Number, Number],
            Self::Function => &[Text, Function],
            Self::ModuleAuxiliary => &[Number, Exactly(2), Number, Until0(MODULE)],
            Self::Idle | Self::Number => &[Number],
            Self::Frequency => &[Fixed(1)],
            Self::Auxiliary => &[FieldName, FieldValue],
            Self::Resize | Self::Range => &[Number, Number],
            Self::ExpiryMilliseconds => &[ExpiryMilliseconds],
            Self::ExpirySeconds => &[ExpirySeconds],
            Self::Database => &[Database],
            Self::Text => &[Text],
            Self::Two => &[Text, Text],
            Self::Bytes4 => &[Fixed(4)],
            Self::Bytes8 => &[Fixed(8)],
            Self::Bytes16 => &[Fixed(16)],
            Self::Member => &[Text, Score],
            Self::Member2 => &[Text, Fixed(8)],
            // Plain or packed: a string either way.
            Self::Node => &[OneOf(&[None, Some(Self::Text), Some(Self::Text)])],
            Self::TimedPair => &[Number, Text, Text],
            Self::PairTimed => &[Text, Text, Fixed(8)],
            Self::Group1 => &[Text, Number, Number, Each(Self::Pending), Each(Self::Consumer1)],
            Self::Group2 => &[Text, Number, Number, Number, Each(Self::Pending), Each(Self::Consumer1)],
            Self::Group3 => &[Text, Number, Number, Number, Each(Self::Pending), Each(Self::Consumer3)],
            Self::Group5 => &[
                Text,
                Number,
                Number,
                Number,
                Each(Self::Pending),
                Each(Self::Consumer3),
                Each(Self::Bytes16),
            ],
            Self::Pending => &[Fixed(24), Number],
            Self::Consumer1 => &[Text, Fixed(8), Each(Self::Bytes16)],
            Self::Consumer3 => &[Text, Fixed(16), Each(Self::Bytes16)],
            Self::Producer => &[Text, Each(Self::Message)],
            Self::Message => &[Text, Number, Number],
            Self::Element => &[
                Number,
                OneOf(&[Some(Self::Text), Some(Self::Bytes8), Some(Self::Bytes8), Some(Self::Text)]),
            ],
            Self::Class => &[Fixed(4), Until0(MODULE)],
            // And the keys.
            _ => &[],
        }
    }

    /// So many bytes it takes at least.
    pub(super) fn least_bytes(self) -> u64 {
        self.items()
            .iter()
            .map(|item| match item {
                Item::Fixed(bytes) => u64::from(*bytes),
                Item::Function | Item::Key(_) | Item::Counted(_) => 0,
                _ => 1,
            })
            .sum()
    }
}

/// What a byte between two keys means.
pub(super) enum Meaning {
    /// The rule follows.
    Rule(Rule),
    /// The end of the data.
    End,
    PreReleaseModule,
    PreReleaseFunction,
    Unknown,
}

/// Who wrote the file: from 22 on each counts its types for itself, and 243 is two opcodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Family {
    Redis,
    Valkey,
}

pub(super) fn meaning(byte: u8, family: Family) -> Meaning {
    use Family::{Redis, Valkey};
    Meaning::Rule(match (byte, family) {
        (0, _) => Rule::String,
        (1, _) => Rule::List,
        (2, _) => Rule::Set,
        (3, _) => Rule::SortedSet,
        (4, _) => Rule::Hash,
        (5, _) => Rule::SortedSet2,
        (6, _) => return Meaning::PreReleaseModule,
        (7, _) => Rule::Module,
        (9 | 13 | 16, _) | (23, Redis) => Rule::Packed(Kind::Hash),
        (10, _) => Rule::Packed(Kind::List),
        (11 | 20, _) => Rule::Packed(Kind::Set),
        (12 | 17, _) => Rule::Packed(Kind::SortedSet),
        (14, _) => Rule::QuickList,
        (15, _) => Rule::Stream1,
        (18, _) => Rule::QuickList2,
        (19, _) => Rule::Stream2,
        (21, _) => Rule::Stream3,
        (22, Valkey) => Rule::Hash2,
        (22, Redis) => Rule::HashWithTimes,
        (24, Redis) => Rule::HashWithTimesFrom,
        (25, Redis) => Rule::HashPackedFrom,
        (26, Redis) => Rule::Stream4,
        (27, Redis) => Rule::Stream5,
        (28, Redis) => Rule::Array,
        (243, Redis) => Rule::KeyMetadata,
        (243, Valkey) => Rule::SlotImport,
        (244, _) => Rule::SlotInfo,
        (245, _) => Rule::Function,
        (246, _) => return Meaning::PreReleaseFunction,
        (247, _) => Rule::ModuleAuxiliary,
        (248, _) => Rule::Idle,
        (249, _) => Rule::Frequency,
        (250, _) => Rule::Auxiliary,
        (251, _) => Rule::Resize,
        (252, _) => Rule::ExpiryMilliseconds,
        (253, _) => Rule::ExpirySeconds,
        (254, _) => Rule::Database,
        (255, _) => return Meaning::End,
        _ => return Meaning::Unknown,
    })
}
