//! The key that database tokens are signed with, and the tokens: JSON Web Tokens that sqld itself checks.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a token says. sqld reads `a` and `exp`, we read the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) a: Access,
    pub(crate) iat: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) exp: Option<i64>,
    /// The group that it is for. (`id` is not ours to use: sqld takes it for a namespace.)
    pub(crate) group: String,
    /// How often the group's tokens had been invalidated.
    pub(crate) group_round: u64,
    /// The database that it is for, and how often its tokens had been invalidated. `None`: all of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) database: Option<(String, u64)>,
}

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Access {
    #[serde(rename = "ro")]
    ReadOnly,
    #[serde(rename = "rw")]
    Full,
}

impl Claims {
    pub(crate) fn have_expired(&self, now: Timestamp) -> bool {
        self.exp.is_some_and(|exp| exp <= now.as_second())
    }
}

/// A pair of keys, new with every start.
pub(crate) struct Keys {
    pair: Ed25519KeyPair,
    /// `SubjectPublicKeyInfo` in PEM, for sqld.
    pub(crate) public_pem: String,
}

impl Keys {
    /// `None` if there is no randomness to be had.
    pub(crate) fn generate() -> Option<Self> {
        let pair = Ed25519KeyPair::generate().ok()?;
        let der = pair.public_key().as_der().ok()?;
        let public_pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            BASE64.encode(der.as_ref())
        );
        Some(Self { pair, public_pem })
    }

    pub(crate) fn token(&self, claims: &Claims) -> String {
        let encode = |value: &serde_json::Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let header = encode(&serde_json::json!({"alg": "EdDSA", "typ": "JWT"}));
        let payload = encode(&serde_json::json!(claims));
        let message = format!("{header}.{payload}");
        let signature = BASE64URL_NOPAD.encode(self.pair.sign(message.as_bytes()).as_ref());
        format!("{message}.{signature}")
    }

    /// The claims of a token that is ours, whether it has expired or not.
    pub(crate) fn claims(&self, token: &str) -> Option<Claims> {
        let (message, signature) = token.rsplit_once('.')?;
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).ok()?;
        let public = UnparsedPublicKey::new(&ED25519, self.pair.public_key().as_ref());
        public.verify(message.as_bytes(), &signature).ok()?;
        let payload = BASE64URL_NOPAD.decode(message.split_once('.')?.1.as_bytes()).ok()?;
        serde_json::from_slice(&payload).ok()
    }
}

/// How long a token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    Forever,
    Seconds(i64),
}

/// `never`, or such as `2w1d30m`.
pub(crate) fn lifetime(text: &str) -> Option<Lifetime> {
    if text == "never" {
        return Some(Lifetime::Forever);
    }
    let (mut total, mut digits) = (0_i64, String::new());
    for letter in text.chars() {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        let unit = match letter {
            'w' => 7 * 86_400,
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        total = total.checked_add(digits.parse::<i64>().ok()?.checked_mul(unit)?)?;
        digits.clear();
    }
    (digits.is_empty() && !text.is_empty()).then_some(Lifetime::Seconds(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(exp: Option<i64>) -> Claims {
        let (group, database) = ("g".to_owned(), Some(("d".to_owned(), 2)));
        Claims { a: Access::ReadOnly, iat: 5, exp, group, group_round: 1, database }
    }

    #[test]
    fn a_token_is_believed_if_it_is_ours() {
        let (ours, theirs) = (Keys::generate().unwrap(), Keys::generate().unwrap());
        let token = ours.token(&claims(Some(101)));
        assert_eq!(ours.claims(&token), Some(claims(Some(101))));
        assert_eq!(theirs.claims(&token), None);
        let forged = token.replacen('.', ".e30", 1);
        for hostile in ["", ".", "..", "a.b.c", forged.as_str(), "é.é.é"] {
            assert_eq!(ours.claims(hostile), None, "{hostile}");
        }
    }

    #[test]
    fn a_token_expires_at_the_second() {
        for (second, expected) in [(100, false), (101, true), (102, true)] {
            let now = Timestamp::from_second(second).unwrap();
            assert_eq!(claims(Some(101)).have_expired(now), expected, "{second}");
            assert!(!claims(None).have_expired(now));
        }
    }

    #[test]
    fn lifetimes_as_turso_writes_them() {
        for (text, expected) in [
            ("never", Some(Lifetime::Forever)),
            ("2w1d30m", Some(Lifetime::Seconds(2 * 604_800 + 86_400 + 1800))),
            ("1h", Some(Lifetime::Seconds(3600))),
            ("90s", Some(Lifetime::Seconds(90))),
            ("", None),
            ("1", None),
            ("h", None),
            ("1y", None),
            ("-1h", None),
            ("99999999999999999999w", None),
            ("9223372036854775807w", None),
        ] {
            assert_eq!(lifetime(text), expected, "{text}");
        }
    }
}
