use std::{collections::BTreeMap, fmt};

use reconcile::{Error, Result};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// What stands in the organization's secret: the token for the Platform API, alone as text or in JSON as `token`, there with
/// `encryption_keys`, the keys of encrypted databases by name.
#[derive(Clone, Deserialize)]
pub struct Keys {
    /// The token.
    pub token: SecretString,
    /// The keys of encrypted databases, in base64.
    #[serde(default)]
    pub encryption_keys: BTreeMap<String, SecretString>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("encrypted", &self.encryption_keys.keys()).finish_non_exhaustive()
    }
}

impl Keys {
    /// Reads the text of the secret of that name.
    pub fn parse(secret: &str, text: &SecretString) -> Result<Self> {
        let trimmed = text.expose_secret().trim();
        // serde's own message may quote what it stumbled over: it is not passed on.
        let keys = if trimmed.starts_with('{') {
            serde_json::from_str(trimmed).ok()
        } else {
            Some(Self { token: SecretString::from(trimmed), encryption_keys: BTreeMap::new() })
        };
        let is_token = |keys: &Self| {
            let token = keys.token.expose_secret();
            !token.is_empty() && token.chars().all(|c| c.is_ascii_graphic())
        };
        keys.filter(is_token).ok_or_else(|| {
            let said = format!(
                "secret {secret} holds neither a token of the Turso Platform API nor {{\"token\": \"…\", \"encryption_keys\": \
                 {{\"<database>\": \"…\"}}}}; make one with `turso auth api-tokens mint tidemark` and put it there"
            );
            Error::misconfigured("SecretUnreadable", said)
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("eyJ.x.y", "eyJ.x.y", 0)]
    #[case(" eyJ.x.y\n", "eyJ.x.y", 0)]
    #[case(r#"{"token": "eyJ", "encryption_keys": {"orders": "a2V5"}}"#, "eyJ", 1)]
    fn either_shape_is_read(#[case] text: &str, #[case] token: &str, #[case] keys: usize) {
        let read = Keys::parse("tidemark/turso", &SecretString::from(text)).unwrap();
        assert_eq!((read.token.expose_secret(), read.encryption_keys.len()), (token, keys));
        assert!(!format!("{read:?}").contains(token));
    }

    #[rstest]
    #[case("")]
    #[case("two words")]
    #[case(r#"{"password": "hush"}"#)]
    #[case(r#"{"token": ""}"#)]
    fn another_shape_is_refused_and_not_shown(#[case] text: &str) {
        let error = Keys::parse("tidemark/turso", &SecretString::from(text)).unwrap_err();
        assert_eq!(error.code(), "SecretUnreadable");
        assert!(!error.report().contains("hush") && error.report().contains("tidemark/turso"));
    }
}
