//! One cloud for a whole test binary: started by the first test that needs it, ended with the process by its guard.

use std::{collections::BTreeSet, sync::LazyLock};

use local_cloud::{CallFilter, Cloud, Options, Progress};

struct Lines;

impl Progress for Lines {
    fn step(&self, line: &str) {
        eprintln!("{line}");
    }
}

static CLOUD: LazyLock<Cloud> = LazyLock::new(|| {
    // A runtime of its own: the first test's would end with that test.
    let start = || {
        tokio::runtime::Runtime::new()
            .unwrap()
            .block_on(Cloud::start(Options::default(), std::sync::Arc::new(Lines)))
    };
    std::thread::spawn(start).join().unwrap().unwrap()
});

/// The cloud that the tests of this binary share.
pub(crate) fn cloud() -> &'static Cloud {
    &CLOUD
}

/// The RDS calls of a function that changed something, about resources that hold `name` in theirs. One that RDS refused,
/// because another invocation had been quicker, changed nothing.
#[allow(dead_code, reason = "not every test binary looks at calls")]
pub(crate) fn changes(function: &str, name: &str) -> Vec<String> {
    let reads = BTreeSet::from(["Describe", "List"]);
    cloud()
        .calls(&CallFilter::all().service("rds").function(function))
        .into_iter()
        .filter(|call| call.error_code.is_none() && !reads.iter().any(|read| call.action.starts_with(read)))
        .filter(|call| call.resource.as_deref().is_some_and(|resource| resource.contains(name)))
        .map(|call| call.action)
        .collect()
}
