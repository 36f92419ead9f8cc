//! The canonical form, signatures and keys.

use rstest::rstest;
use secrecy::SecretString;

use super::{LONG, OLD, both, keys, new, old, orders, written};
use crate::{Doubt, InvalidKeys, Key, KeyId, Keys, Row, heartbeat::Content};

/// Each signature as Python has it:
///
/// ```sh
/// python3 -c 'import hmac,sys; print(hmac.new(bytes.fromhex(sys.argv[1]), sys.argv[2].encode(), "sha256").hexdigest())' <key> <text>
/// ```
#[rstest]
#[case::the_first(
    ("2026-11", OLD), (1, 0, 1_795_430_400_000, "rds/orders"),
    "tidemark-heartbeat/1\n1\n0\n1795430400000\n2026-11\nrds/orders",
    "82f10aaf0c18448669cc0946a5a86571d26e058072bbffeb35efd294e2bb43bf"
)]
#[case::one_with_milliseconds(
    ("2026-11", OLD), (2_881, 2_880, 1_795_603_260_123, "redis/sessions"),
    "tidemark-heartbeat/1\n2881\n2880\n1795603260123\n2026-11\nredis/sessions",
    "46fd7871f8caba2e27b1af099c578a2d13a50b2319111e2681591a9a9a81130a"
)]
#[case::the_last_with_an_odd_name_and_a_long_key(
    ("k.2_A-z", LONG), (9_223_372_036_854_775_807, 9_223_372_036_854_775_806, -1, "turso/Grüße\n7"),
    "tidemark-heartbeat/1\n9223372036854775807\n9223372036854775806\n-1\nk.2_A-z\nturso/Grüße\n7",
    "2c5df142098182cbcf3f75a358d851a10578ba7d3957c111c91860214f736641"
)]
fn what_is_signed_and_how(
    #[case] key: (&str, &str),
    #[case] (number, follows, at_ms, resource): (u64, u64, i64, &str),
    #[case] canonical: &str,
    #[case] signature: &str,
) {
    let keys = keys(&[key]);
    let at = jiff::Timestamp::from_millisecond(at_ms).unwrap();
    let content = Content { number, follows, at, resource: resource.to_owned().try_into().unwrap() };
    assert_eq!(content.canonical(&keys.newest().id), canonical);
    let heartbeat = content.sign(keys.newest());
    let row = Row::from(&heartbeat);
    assert_eq!(row.signature, format!("v1:{signature}"));
    assert_eq!(row.verify(&keys), Ok(heartbeat));
    assert_eq!(Row::of_fields(row.fields().map(str::to_owned)), row);
}

#[test]
fn a_row_is_believed_with_its_own_key_alone() {
    let row = &written(1)[0];
    assert!(row.verify(&old()).is_ok());
    assert!(row.verify(&both()).is_ok());
    assert_eq!(row.verify(&new()), Err(Doubt::UnknownKey));
    // Another secret under the same id.
    assert_eq!(row.verify(&keys(&[("2026-11", &"00".repeat(32))])), Err(Doubt::WrongSignature));
}

#[rstest]
#[case::no_number(|row: &mut Row| row.number.clear())]
#[case::zero(|row: &mut Row| "0".clone_into(&mut row.number))]
#[case::negative(|row: &mut Row| "-1".clone_into(&mut row.number))]
#[case::a_leading_zero(|row: &mut Row| row.number.insert(0, '0'))]
#[case::a_plus(|row: &mut Row| row.number.insert(0, '+'))]
#[case::beyond_the_column(|row: &mut Row| "9223372036854775808".clone_into(&mut row.number))]
#[case::beyond_64_bits(|row: &mut Row| "18446744073709551616".clone_into(&mut row.number))]
#[case::endless(|row: &mut Row| row.number = "9".repeat(1_000_000))]
#[case::follows_itself(|row: &mut Row| row.follows.clone_from(&row.number))]
#[case::follows_nothing_known(|row: &mut Row| "NaN".clone_into(&mut row.follows))]
#[case::the_end_of_time(|row: &mut Row| row.at_ms = i64::MAX.to_string())]
#[case::before_all_time(|row: &mut Row| row.at_ms = i64::MIN.to_string())]
#[case::negative_zero(|row: &mut Row| "-0".clone_into(&mut row.at_ms))]
#[case::a_real(|row: &mut Row| row.at_ms.push_str(".0"))]
#[case::no_engine(|row: &mut Row| "orders".clone_into(&mut row.resource))]
#[case::no_name(|row: &mut Row| "rds/".clone_into(&mut row.resource))]
#[case::a_key_id_of_two_lines(|row: &mut Row| row.key_id.push('\n'))]
#[case::no_key_id(|row: &mut Row| row.key_id.clear())]
#[case::no_version(|row: &mut Row| { row.signature.drain(..3); })]
#[case::another_version(|row: &mut Row| row.signature.replace_range(..2, "v2"))]
#[case::in_capitals(|row: &mut Row| row.signature.make_ascii_uppercase())]
#[case::cut_short(|row: &mut Row| { row.signature.pop(); row.signature.pop(); })]
#[case::too_long(|row: &mut Row| row.signature.push_str("00"))]
#[case::no_signature(|row: &mut Row| row.signature.clear())]
fn what_can_be_no_heartbeat_is_unreadable(#[case] change: fn(&mut Row)) {
    let mut row = written(2).pop().unwrap();
    change(&mut row);
    assert_eq!(row.verify(&old()), Err(Doubt::Unreadable), "{row:?}");
}

/// Fields that run into one another would be one text.
#[test]
fn a_resource_that_looks_like_the_fields_before_it_is_another_heartbeat() {
    let content = |number, resource: &str| Content {
        number,
        follows: 0,
        at: super::start(),
        resource: resource.to_owned().try_into().unwrap(),
    };
    let id = KeyId::try_from("a".to_owned()).unwrap();
    let plain = content(1, "rds/x").canonical(&id);
    assert_ne!(plain, content(1, "rds/x\n").canonical(&id));
    assert_ne!(plain, content(11, "rds/x").canonical(&id));
    let row = Row { resource: "rds/orders\n".to_owned(), ..written(1).remove(0) };
    assert_eq!(row.verify(&old()), Err(Doubt::WrongSignature));
}

#[rstest]
#[case::no_json("2026-11 0001", InvalidKeys::Unreadable)]
#[case::a_token_alone(
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    InvalidKeys::Unreadable
)]
#[case::no_keys(r#"{"keys": []}"#, InvalidKeys::None)]
#[case::a_number(r#"{"keys": [{"id": "a", "secret": 7777777}]}"#, InvalidKeys::Unreadable)]
#[case::the_secret_for_an_id(
    r#"{"keys": [{"secret": "a", "id": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"}]}"#,
    InvalidKeys::Id(1)
)]
#[case::too_short(
    r#"{"keys": [{"id": "a", "secret": "000102030405060708090a0b0c0d0e0f"}]}"#,
    InvalidKeys::Secret(1)
)]
#[case::no_hex(
    r#"{"keys": [{"id": "a", "secret": "correct horse battery staple and more"}]}"#,
    InvalidKeys::Secret(1)
)]
#[case::empty(r#"{"keys": [{"id": "a", "secret": ""}]}"#, InvalidKeys::Secret(1))]
fn what_are_no_keys_is_told_without_a_word_of_them(#[case] text: &str, #[case] expected: InvalidKeys) {
    let error = Keys::parse(&SecretString::from(text)).unwrap_err();
    assert_eq!(error, expected);
    for told in [error.to_string(), format!("{error:?}")] {
        for word in ["0001", "7777777", "correct"] {
            assert!(!told.contains(word), "{told}");
        }
    }
}

#[test]
fn keys_need_ids_of_their_own_and_32_to_64_bytes() {
    let entry = |id: &str, bytes: usize| format!(r#"{{"id":"{id}","secret":"{}"}}"#, "Ab".repeat(bytes));
    let parsed = |entries: &[String]| {
        Keys::parse(&SecretString::from(format!(r#"{{"keys":[{}],"note":"x"}}"#, entries.join(","))))
    };
    assert!(parsed(&[entry("a", 32), entry("b", 64)]).is_ok());
    assert_eq!(parsed(&[entry("a", 32), entry("b", 65)]).unwrap_err(), InvalidKeys::Secret(2));
    assert_eq!(
        parsed(&[entry("a", 32), entry("b", 32), entry("a", 33)]).unwrap_err(),
        InvalidKeys::Duplicate(3)
    );
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?} {:?}", both(), old().newest());
    assert!(shown.contains("2026-11") && shown.contains("REDACTED"), "{shown}");
    assert!(!shown.contains("165") && !shown.contains("a5") && !shown.contains("31"), "{shown}");
}

/// Zeros at the end are how HMAC fills a key up: two such keys are the same, so both verify.
#[test]
fn a_key_is_the_same_however_it_is_written() {
    let id = || KeyId::try_from("2026-11".to_owned()).unwrap();
    let upper = Key::new(id(), &SecretString::from(OLD.to_uppercase())).unwrap();
    assert!(written(1)[0].verify(&Keys::new(upper, Vec::new()).unwrap()).is_ok());
    assert_eq!(written(1)[0].resource, orders().to_string());
}
