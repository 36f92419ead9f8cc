//! A walk through a server with all the time there is.

use std::time::Duration;

use jiff::Timestamp;
use redis::{
    checks::{Expected, Walk, check},
    server::{Server, Servers},
};

pub(crate) fn plenty() -> Duration {
    Duration::from_mins(10)
}

/// Everything at once.
pub(crate) async fn checked<S: Servers>(servers: &S, server: &Server, expected: Option<&Expected>) -> Walk {
    let mut walk = Walk::default();
    check(servers, server, None, expected, &mut walk, Timestamp::now(), plenty).await.unwrap();
    assert!(walk.is_over);
    walk
}
