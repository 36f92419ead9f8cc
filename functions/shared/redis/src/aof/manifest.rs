use std::collections::BTreeSet;

/// `appendonly.aof.manifest`: the files of an append-only directory in the order in which a server loads them.
///
/// The format is `aofLoadManifestFromFile` in `aof.c` of Redis 7.0 and later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What the increments are added to.
    pub base: Listed,
    /// Commands since, oldest first, with no gap in their sequence.
    pub increments: Vec<Listed>,
    /// Files that a rewrite has made useless and that the server is about to delete.
    pub history: Vec<Listed>,
}

/// A file of an append-only directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name in the directory.
    pub name: String,
    /// Its sequence number among its kind.
    pub seq: u64,
}

/// Why a manifest is none that a server wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each says it in its message")]
#[non_exhaustive]
pub enum ManifestError {
    #[error("the manifest is not UTF-8 text")]
    NotText,
    #[error("line {line} of the manifest is none: \"file NAME seq NUMBER type b|h|i\" is expected")]
    Line { line: usize },
    #[error("line {line} of the manifest names {name:?}: it must be a file of the directory itself")]
    Path { line: usize, name: String },
    #[error("line {line} of the manifest names {name:?}, which an earlier line does too")]
    Twice { line: usize, name: String },
    #[error("line {line} of the manifest names a second base")]
    SecondBase { line: usize },
    #[error("line {line} of the manifest has the increment {found} after {after}: {expected} is missing", expected = after + 1)]
    Gap { line: usize, after: u64, found: u64 },
    #[error("the manifest names no base: what the increments are added to is missing")]
    NoBase,
}

/// The server's own limit for a line.
const LONGEST_LINE: usize = 1024;

impl Manifest {
    /// Reads a manifest, and refuses one of which a file, or the order of files, cannot be told for certain.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ManifestError::NotText)?;
        let (mut base, mut increments, mut history) = (None, Vec::<Listed>::new(), Vec::new());
        let mut names = BTreeSet::new();
        for (line, written) in (1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#')) {
            let (listed, kind) = parse_line(written).ok_or(ManifestError::Line { line })?;
            let name = listed.name.clone();
            if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\', '\0']) {
                return Err(ManifestError::Path { line, name });
            }
            if !names.insert(name.clone()) {
                return Err(ManifestError::Twice { line, name });
            }
            match kind {
                'b' if base.is_some() => return Err(ManifestError::SecondBase { line }),
                'b' => base = Some(listed),
                'h' => history.push(listed),
                'i' => {
                    if let Some(last) =
                        increments.last().filter(|last| last.seq.checked_add(1) != Some(listed.seq))
                    {
                        return Err(ManifestError::Gap { line, after: last.seq, found: listed.seq });
                    }
                    increments.push(listed);
                }
                _ => return Err(ManifestError::Line { line }),
            }
        }
        Ok(Self { base: base.ok_or(ManifestError::NoBase)?, increments, history })
    }

    /// As a server reads it. Parsed again, it is the same.
    pub fn to_text(&self) -> String {
        let line =
            |listed: &Listed, kind| format!("file {} seq {} type {kind}\n", quoted(&listed.name), listed.seq);
        let base = line(&self.base, 'b');
        let history = self.history.iter().map(|listed| line(listed, 'h'));
        let increments = self.increments.iter().map(|listed| line(listed, 'i'));
        [base].into_iter().chain(history).chain(increments).collect()
    }
}

fn parse_line(line: &str) -> Option<(Listed, char)> {
    let words = words(line).filter(|words| line.len() < LONGEST_LINE && words.len() % 2 == 0)?;
    let (mut name, mut seq, mut kind) = (None, None, None);
    for pair in words.chunks(2) {
        let [key, value] = pair else { return None };
        // Others, such as the offsets that Redis 8 notes, are passed over, as the server does.
        if key.eq_ignore_ascii_case("file") {
            name = Some(value.clone());
        } else if key.eq_ignore_ascii_case("seq") {
            seq = Some(value.parse().ok().filter(|seq| *seq > 0)?);
        } else if key.eq_ignore_ascii_case("type") {
            let mut letters = value.chars();
            kind = letters.next().filter(|_| letters.next().is_none());
        }
    }
    Some((Listed { name: name?, seq: seq? }, kind?))
}

/// As `sdssplitargs` does it: words, of which some stand in quotes with escapes.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim_matches([' ', '\t', '\r']);
    while !rest.is_empty() {
        let (word, after) = match rest.as_bytes()[0] {
            b'"' => double_quoted(&rest[1..])?,
            b'\'' => rest[1..].split_once('\'').map(|(word, after)| (word.to_owned(), after))?,
            _ => {
                let end = rest.find([' ', '\t']).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        if !after.is_empty() && !after.starts_with([' ', '\t']) {
            return None;
        }
        words.push(word);
        rest = after.trim_start_matches([' ', '\t']);
    }
    Some(words)
}

fn double_quoted(text: &str) -> Option<(String, &str)> {
    let mut word = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        let (&first, after) = rest.split_first()?;
        rest = after;
        match first {
            b'"' => break,
            b'\\' => {
                let (&escaped, after) = rest.split_first()?;
                rest = after;
                word.push(match escaped {
                    b'x' => {
                        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                        rest = &rest[2..];
                        u8::from_str_radix(digits, 16).ok()?
                    }
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'a' => 7,
                    b'b' => 8,
                    other => other,
                });
            }
            plain => word.push(plain),
        }
    }
    Some((String::from_utf8(word).ok()?, std::str::from_utf8(rest).ok()?))
}

/// As `sdscatrepr` does it, where a name has need of it.
fn quoted(name: &str) -> String {
    use std::fmt::Write;
    if !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\'))
    {
        return name.to_owned();
    }
    let mut quoted = String::from("\"");
    for byte in name.bytes() {
        // Writing to a String does not fail.
        let _ = match byte {
            b'"' | b'\\' => write!(quoted, "\\{}", char::from(byte)),
            b' '..=b'~' => write!(quoted, "{}", char::from(byte)),
            _ => write!(quoted, "\\x{byte:02x}"),
        };
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn listed(name: &str, seq: u64) -> Listed {
        Listed { name: name.to_owned(), seq }
    }

    #[test]
    fn reads_what_a_server_writes_in_the_middle_of_a_rewrite() {
        let text = b"file appendonly.aof.2.base.rdb seq 2 type b\n\
            file appendonly.aof.1.base.rdb seq 1 type h\n\
            file appendonly.aof.7.incr.aof seq 7 type i startoffset 5 endoffset 9\n\
            FILE \"my \\\"own\\x22 \\xc3\\xa4.8.incr.aof\" Seq 8 Type i\r\n";
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!(manifest.base, listed("appendonly.aof.2.base.rdb", 2));
        assert_eq!(manifest.history, [listed("appendonly.aof.1.base.rdb", 1)]);
        assert_eq!(
            manifest.increments,
            [listed("appendonly.aof.7.incr.aof", 7), listed("my \"own\" ä.8.incr.aof", 8)]
        );
    }

    #[rstest]
    #[case::nothing("", ManifestError::NoBase)]
    #[case::no_base("file a seq 1 type i\n", ManifestError::NoBase)]
    #[case::two_bases("file a seq 1 type b\nfile b seq 2 type b\n", ManifestError::SecondBase { line: 2 })]
    #[case::parent("file ../a seq 1 type b\n", ManifestError::Path { line: 1, name: "../a".into() })]
    #[case::hidden("file \"a\\x2fb\" seq 1 type b\n", ManifestError::Path { line: 1, name: "a/b".into() })]
    #[case::dots("file .. seq 1 type b\n", ManifestError::Path { line: 1, name: "..".into() })]
    #[case::twice("file a seq 1 type b\nfile a seq 1 type i\n", ManifestError::Twice { line: 2, name: "a".into() })]
    #[case::gap(
        "file a seq 1 type b\nfile b seq 1 type i\nfile c seq 3 type i\n",
        ManifestError::Gap { line: 3, after: 1, found: 3 }
    )]
    #[case::backwards(
        "file a seq 1 type b\nfile b seq 2 type i\nfile c seq 1 type i\n",
        ManifestError::Gap { line: 3, after: 2, found: 1 }
    )]
    #[case::unknown_type("file a seq 1 type x\n", ManifestError::Line { line: 1 })]
    #[case::odd("file a seq 1 type\n", ManifestError::Line { line: 1 })]
    #[case::empty_line("file a seq 1 type b\n\n", ManifestError::Line { line: 2 })]
    #[case::open_quote("file \"a seq 1 type b\n", ManifestError::Line { line: 1 })]
    #[case::no_number("file a seq one type b\n", ManifestError::Line { line: 1 })]
    #[case::zero("file a seq 0 type b\n", ManifestError::Line { line: 1 })]
    #[case::not_text_in_quotes("file \"\\xff\" seq 1 type b\n", ManifestError::Line { line: 1 })]
    fn refuses(#[case] text: &str, #[case] error: ManifestError) {
        assert_eq!(Manifest::parse(text.as_bytes()), Err(error));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Manifest::parse(&bytes);
        }

        #[test]
        fn any_line_is_read_or_refused(words in "file [\"'\\\\x0-9a-f ]{0,12} seq [0-9]{1,3} type [bhi]") {
            let _ = Manifest::parse(words.as_bytes());
        }

        #[test]
        fn written_and_read_again_is_the_same(names in prop::collection::btree_set("[^/\\\\\0]{1,12}", 2..6)) {
            let names: Vec<_> = names.into_iter().filter(|name| name != "." && name != "..").collect();
            prop_assume!(names.len() > 1);
            let manifest = Manifest {
                base: listed(&names[0], 4),
                increments: (7..).zip(&names[1..]).map(|(seq, name)| listed(name, seq)).collect(),
                history: Vec::new(),
            };
            prop_assert_eq!(Manifest::parse(manifest.to_text().as_bytes()), Ok(manifest));
        }
    }
}
