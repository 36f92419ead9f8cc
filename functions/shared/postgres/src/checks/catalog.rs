//! What a server's catalogs say, and what of it a restore lost.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// What the catalogs of one database say, and those that all databases share. Without the objects of `PostgreSQL` itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Catalog {
    /// The database.
    pub database: String,
    /// The server's version, such as `18.6`.
    pub server_version: String,
    /// The encoding of its text, such as `UTF8`.
    pub encoding: String,
    /// How it sorts.
    pub collation: Collation,
    /// The extensions that are created, with their versions.
    pub extensions: BTreeMap<String, String>,
    /// The roles of the server, but for the predefined ones (`pg_…`). Without their passwords.
    pub roles: BTreeMap<String, Role>,
    /// How many objects there are, outside the schemas of `PostgreSQL` itself.
    pub counts: Counts,
    /// Indexes that no query uses (`NOT indisvalid`), such as what a `CREATE INDEX CONCURRENTLY` left that failed.
    pub invalid_indexes: Vec<String>,
    /// Whether pages have checksums. Without them, damage within values is not noticed.
    pub has_data_checksums: bool,
    /// Whether the server is told to take damaged pages for empty ones or for sound ones (`zero_damaged_pages`,
    /// `ignore_checksum_failure`). Then no check can tell that a page is damaged.
    pub hides_damage: bool,
}

/// How a database sorts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Collation {
    /// `LC_COLLATE`.
    pub collate: String,
    /// `LC_CTYPE`.
    pub ctype: String,
    /// `c` (libc), `i` (ICU) or `b` (built in); `None` before `PostgreSQL` 15.
    pub provider: Option<String>,
    /// The provider's own name of it, where it has one.
    pub locale: Option<String>,
    /// The version with which the indexes were made (`datcollversion`).
    pub recorded_version: Option<String>,
    /// The version that the server has now (`pg_database_collation_actual_version`). If it differs, indexes over text may be in
    /// the wrong order (`PostgreSQL` documentation, "ALTER COLLATION").
    pub actual_version: Option<String>,
}

/// A role, without its password.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Role {
    /// What it may: those of `SUPERUSER`, `INHERIT`, `CREATEROLE`, `CREATEDB`, `LOGIN`, `REPLICATION`, `BYPASSRLS` that it has.
    pub attributes: Vec<String>,
    /// How many connections it may have; -1 is as many as it likes.
    pub connection_limit: i32,
    /// Until when its password is good.
    pub valid_until: Option<String>,
    /// The roles that it is a member of, in the order of their names.
    pub member_of: Vec<String>,
}

/// How many objects there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Schemas.
    pub schemas: u64,
    /// Tables, partitioned and foreign ones among them.
    pub tables: u64,
    /// Views.
    pub views: u64,
    /// Materialized views.
    pub materialized_views: u64,
    /// Indexes, partitioned ones among them.
    pub indexes: u64,
    /// Sequences.
    pub sequences: u64,
    /// Functions, procedures and aggregates, without those of extensions.
    pub functions: u64,
    /// Large objects.
    pub large_objects: u64,
}

impl Counts {
    fn named(&self) -> [(&'static str, u64); 8] {
        [
            ("schemas", self.schemas),
            ("tables", self.tables),
            ("views", self.views),
            ("materialized views", self.materialized_views),
            ("indexes", self.indexes),
            ("sequences", self.sequences),
            ("functions", self.functions),
            ("large objects", self.large_objects),
        ]
    }
}

/// What kind of difference it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// The source has it, the restored server does not.
    Missing,
    /// Both have it, and it is not the same.
    Changed,
    /// The restored server has fewer. A restore to an earlier instant may.
    Fewer,
    /// Whatever the source has: the restored server is not as it should be.
    Unsound,
}

/// What the restored server has not, or has otherwise, than its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What kind it is.
    pub kind: DifferenceKind,
    /// What it is about, such as `extension hstore`.
    pub what: String,
    /// What the source has.
    pub source: String,
    /// What the restored server has.
    pub restored: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} at the source, {} in the restored server", self.what, self.source, self.restored)
    }
}

/// What `restored` has not, or has otherwise, than `source`. What it has more is no difference.
pub fn compare(source: &Catalog, restored: &Catalog) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut tell = |kind, what: String, source: String, restored: String| {
        differences.push(Difference { kind, what, source, restored });
    };
    for (name, version) in &source.extensions {
        let what = format!("extension {name}");
        match restored.extensions.get(name) {
            None => tell(DifferenceKind::Missing, what, version.clone(), "none".to_owned()),
            Some(other) if other != version => {
                tell(DifferenceKind::Changed, what, version.clone(), other.clone());
            }
            Some(_) => {}
        }
    }
    for (name, role) in &source.roles {
        let what = format!("role {name}");
        match restored.roles.get(name) {
            None => tell(DifferenceKind::Missing, what, role.to_string(), "none".to_owned()),
            Some(other) if other != role => {
                tell(DifferenceKind::Changed, what, role.to_string(), other.to_string());
            }
            Some(_) => {}
        }
    }
    for (what, of) in SETTINGS {
        let (was, is) = (of(source), of(restored));
        if was != is {
            tell(DifferenceKind::Changed, what.to_owned(), was, is);
        }
    }
    for ((what, was), (_, is)) in source.counts.named().into_iter().zip(restored.counts.named()) {
        if is < was {
            tell(DifferenceKind::Fewer, what.to_owned(), was.to_string(), is.to_string());
        }
    }
    for index in restored.invalid_indexes.iter().filter(|index| !source.invalid_indexes.contains(index)) {
        tell(DifferenceKind::Unsound, format!("index {index}"), "valid".to_owned(), "invalid".to_owned());
    }
    let Collation { recorded_version, actual_version, .. } = &restored.collation;
    if let (Some(recorded), Some(actual)) = (recorded_version, actual_version)
        && recorded != actual
    {
        let what = "version of the collation that the indexes were made with".to_owned();
        tell(DifferenceKind::Unsound, what, recorded.clone(), actual.clone());
    }
    differences
}

/// A name, and the value in a catalog.
type Setting = (&'static str, fn(&Catalog) -> String);

const SETTINGS: [Setting; 5] = [
    ("encoding", |catalog| catalog.encoding.clone()),
    ("LC_COLLATE", |catalog| catalog.collation.collate.clone()),
    ("LC_CTYPE", |catalog| catalog.collation.ctype.clone()),
    ("collation provider", |catalog| catalog.collation.provider.clone().unwrap_or_default()),
    ("locale", |catalog| catalog.collation.locale.clone().unwrap_or_default()),
];

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attributes =
            if self.attributes.is_empty() { "no attributes".to_owned() } else { self.attributes.join(" ") };
        write!(f, "{attributes}, limit {}", self.connection_limit)?;
        if let Some(until) = &self.valid_until {
            write!(f, " until {until}")?;
        }
        if !self.member_of.is_empty() {
            write!(f, " in {}", self.member_of.join(" "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Catalog {
        let role = Role { attributes: vec!["LOGIN".to_owned()], connection_limit: -1, ..Role::default() };
        Catalog {
            encoding: "UTF8".to_owned(),
            extensions: [("hstore", "1.8"), ("citext", "1.6")]
                .map(|(name, version)| (name.to_owned(), version.to_owned()))
                .into(),
            roles: [("app".to_owned(), role)].into(),
            counts: Counts { tables: 12, functions: 3, ..Counts::default() },
            ..Catalog::default()
        }
    }

    #[test]
    fn the_same_has_no_difference_and_more_is_none() {
        let (source, mut restored) = (source(), source());
        assert_eq!(compare(&source, &restored), []);
        restored.extensions.insert("amcheck".to_owned(), "1.5".to_owned());
        restored.roles.insert("tidemark".to_owned(), Role::default());
        restored.counts.tables += 1;
        assert_eq!(compare(&source, &restored), []);
    }

    #[test]
    fn every_difference_is_told() {
        let source = source();
        let mut restored = source.clone();
        restored.extensions.remove("hstore");
        restored.extensions.insert("citext".to_owned(), "1.5".to_owned());
        restored.roles.insert("app".to_owned(), Role::default());
        restored.encoding = "LATIN1".to_owned();
        restored.counts.tables = 11;
        restored.invalid_indexes.push("public.orders_at".to_owned());
        restored.collation.recorded_version = Some("2.31".to_owned());
        restored.collation.actual_version = Some("2.34".to_owned());
        let told: Vec<_> = compare(&source, &restored).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "extension citext: 1.6 at the source, 1.5 in the restored server",
                "extension hstore: 1.8 at the source, none in the restored server",
                "role app: LOGIN, limit -1 at the source, no attributes, limit 0 in the restored server",
                "encoding: UTF8 at the source, LATIN1 in the restored server",
                "tables: 12 at the source, 11 in the restored server",
                "index public.orders_at: valid at the source, invalid in the restored server",
                "version of the collation that the indexes were made with: 2.31 at the source, 2.34 in the restored server",
            ]
        );
        let text = serde_json::to_string(&restored).unwrap();
        assert_eq!(serde_json::from_str::<Catalog>(&text).unwrap(), restored);
    }
}
