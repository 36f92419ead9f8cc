//! The functions in memory.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use invoke::{Answer, FakeFunctions, Functions};
use reconcile::Error;
use serde_json::json;

#[tokio::test]
async fn they_answer_what_the_test_says_unless_it_breaks_them() {
    let worked = Arc::new(AtomicUsize::new(0));
    let functions = FakeFunctions::new({
        let worked = Arc::clone(&worked);
        move |function, payload| {
            worked.fetch_add(1, Ordering::Relaxed);
            Ok(Answer::Done(json!({"by": function, "asked": payload})))
        }
    });
    functions.refuse_next(Error::retryable("TooManyRequestsException", "no"));
    functions.lose_answer_of_next();
    let error = functions.invoke("restore", &json!(1)).await.unwrap_err();
    assert_eq!((error.code(), worked.load(Ordering::Relaxed)), ("TooManyRequestsException", 0));
    let error = functions.invoke("restore", &json!(2)).await.unwrap_err();
    assert_eq!((error.code(), worked.load(Ordering::Relaxed)), ("RequestTimedOut", 1));
    let answer = functions.invoke("restore", &json!(3)).await.unwrap();
    assert_eq!(answer, Answer::Done(json!({"by": "restore", "asked": 3})));
    let calls = [1, 2, 3].map(|number| ("restore".to_owned(), json!(number)));
    assert_eq!(functions.calls(), calls);
}
