//! What nobody should send, and somebody will.

use rstest::rstest;

use super::*;

#[rstest]
#[case::nothing(json!(null))]
#[case::list(json!([]))]
#[case::records_are_no_list(json!({"Records": "x"}))]
#[case::records_are_huge(json!({"Records": "x".repeat(200_000)}))]
#[case::records_are_no_objects(json!({"Records": [1, 2]}))]
#[case::of_another_service(json!({"Records": [{"eventSource": "aws:s3", "eventSourceARN": "a", "body": "b"}]}))]
#[case::body_is_no_text(json!({"Records": [{"eventSource": "aws:sqs", "eventSourceARN": "a", "body": {"a": 1}}]}))]
#[case::unknown_wake(json!({"wake": "up"}))]
fn what_is_no_wake_is_a_typed_error(#[case] payload: Value) {
    let error = Ask::parse(payload).unwrap_err();
    assert_eq!(error.code(), "MalformedEvent");
    assert!(error.report().len() < 1_000);
}

#[rstest]
#[case::empty("")]
#[case::not_json("<html>")]
#[case::wrong_types(r#"{"requestContext": {"functionArn": 7}}"#)]
#[case::no_function(r#"{"requestContext": {"functionArn": "arn:aws:lambda"}}"#)]
#[case::name_with_a_line_break(
    r#"{"requestContext": {"functionArn": "a:function:x\r\nBcc: all@example.com"}}"#
)]
#[tokio::test]
async fn a_record_that_is_not_understood_is_told_of_and_not_repeated_raw(#[case] body: &str) {
    let world = World::new();
    world.receive(queue("tidemark-prod-failures", body, world.now)).await;
    assert_eq!(world.said(), ["opened tidemark/failures-queue function-failed"]);
    let message = world.topic.published().remove(0);
    assert!(message.text.contains("RecordUnreadable"), "{}", message.text);
    assert!(!message.text.contains("\nBcc") && !message.subject.contains('\n'));
}

#[tokio::test]
async fn a_huge_record_is_cut() {
    let world = World::new();
    let body = format!("{{\"requestContext\": \"{}\"", "x".repeat(250_000));
    world.receive(queue("tidemark-prod-failures", &body, world.now)).await;
    let error = "y".repeat(200_000);
    world.receive(given_up("tidemark-prod-backup-rds", &error, &error, world.now)).await;
    for message in world.topic.published() {
        assert!(message.text.len() < 5_000 && message.json.to_string().len() < 5_000);
    }
    assert_eq!(world.said().len(), 2);
}

#[tokio::test]
async fn hostile_words_stay_words() {
    let world = World::new();
    let mut hostile = finding("orders", "slot-missed", "2026-11-22T03:27:00Z");
    hostile.says = "<!channel> <https://evil.example|click> & \u{202e}gnp.exe\r\nSubject: x\u{0}".to_owned();
    hostile.next = "a\nb".to_owned();
    hostile.resource = ResourceId::rds("or\r\nders\u{7}");
    world.board("watch-rpo", &[hostile]);
    world.tick().await;
    let message = world.topic.published().remove(0);
    assert!(message.subject.chars().all(|c| (' '..='~').contains(&c)), "{:?}", message.subject);
    assert!(!message.text.contains("\nSubject: x") && !message.text.contains('\u{202e}'));
    let chat = message.chat["content"]["description"].as_str().unwrap();
    assert!(!chat.contains('<') && chat.contains("&lt;!channel&gt;"), "{chat}");
}

proptest! {
    /// Bodies of any kind neither crash nor reach anybody raw.
    #[test]
    fn no_body_crashes(body in ".{0,300}", sent in ".{0,20}") {
        for name in ["tidemark-prod-failures", "tidemark-prod-canary"] {
            let mut payload = queue(name, &body, Timestamp::UNIX_EPOCH);
            payload["Records"][0]["attributes"]["SentTimestamp"] = json!(sent);
            _ = Ask::parse(payload);
        }
    }

    /// Nor does any JSON that almost looks right.
    #[test]
    fn no_destination_crashes(arn in ".{0,80}", code in ".{0,80}", message in ".{0,80}") {
        let body = json!({
            "requestContext": {"functionArn": arn}, "responsePayload": {"errorType": code, "errorMessage": message}
        });
        let Ask::Receive(received) = Ask::parse(queue("f", &body.to_string(), Timestamp::UNIX_EPOCH)).unwrap() else {
            panic!("not received")
        };
        let failure = &received.failures[0];
        prop_assert!(!failure.says.contains('\n') && !failure.code.contains(char::is_whitespace));
    }
}
