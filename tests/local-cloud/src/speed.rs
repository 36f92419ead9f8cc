/// How long the providers take at least, however quick the real work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    /// Of RDS.
    pub rds: local_rds::Speed,
    /// Of ElastiCache.
    pub elasticache: local_elasticache::Speed,
    /// Of Turso.
    pub turso: local_turso::Speed,
}

impl Speed {
    /// No time but the work's own. For tests.
    pub const fn instant() -> Self {
        Self {
            rds: local_rds::Speed::instant(),
            elasticache: local_elasticache::Speed::instant(),
            turso: local_turso::Speed::instant(),
        }
    }

    /// A second or two each. For a person who watches.
    pub const fn demo() -> Self {
        Self {
            rds: local_rds::Speed::demo(),
            elasticache: local_elasticache::Speed::demo(),
            turso: local_turso::Speed::demo(),
        }
    }
}
