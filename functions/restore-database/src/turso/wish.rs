use domain::Engine;
use serde::Deserialize;

use crate::request;

/// What a restore may be told of Turso alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Wish {
    /// How it is made, where there is a choice.
    pub(crate) from: Option<From>,
    /// The group of the new database; the source's unless told otherwise.
    pub(crate) group: Option<String>,
}

/// How a new database is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum From {
    /// From the vault's file.
    Vault,
    /// From the recovery Region's copy of it: to try whether that can be restored from.
    RecoveryVault,
    /// As a branch of the living one.
    Branch,
}

impl request::Wish for Wish {
    const ENGINE: Engine = Engine::Turso;
    const KEYS: &'static [&'static str] = &["from", "group"];
    const LONGEST: usize = 64;
    const NAMES: &'static str =
        "a Turso database's name is 1 to 64 of a-z, 0-9 and hyphens, with no hyphen first or last";

    /// As the Platform API says of a new database's name.
    fn name(text: &str) -> Option<String> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let valid = (1..=Self::LONGEST).contains(&text.len())
            && text.chars().all(allowed)
            && !text.starts_with('-')
            && !text.ends_with('-');
        valid.then(|| text.to_owned())
    }
}
