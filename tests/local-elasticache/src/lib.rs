//! An ElastiCache control plane over real Valkey: snapshots are RDB files, restores start servers on them.
