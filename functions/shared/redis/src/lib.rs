//! Redis and Valkey: what an RDB or an append-only directory holds, and ElastiCache as Tidemark sees it.

pub mod aof;
pub mod content;
pub mod elasticache;
pub mod rdb;
