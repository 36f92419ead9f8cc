//! Redis and Valkey: what an RDB or an append-only directory holds, a server as a client meets it, what a drill checks on one that was
//! restored, and ElastiCache as Tidemark sees it.

pub mod aof;
pub mod checks;
pub mod content;
pub mod elasticache;
pub mod heartbeats;
pub mod rdb;
pub mod server;
