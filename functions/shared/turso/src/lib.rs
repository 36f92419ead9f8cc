//! Turso as Tidemark sees it: the Platform API, and a consistent copy of a database's pages.
