use std::{collections::BTreeMap, fmt};

use reconcile::{Error, Result};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::{Session, wire};

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
        keys.filter(|keys| is_token(&keys.token)).ok_or_else(|| {
            let said = format!(
                "secret {secret} holds neither a token of the Turso Platform API nor {{\"token\": \"…\", \"encryption_keys\": \
                 {{\"<database>\": \"…\"}}}}; make one with `turso auth api-tokens mint tidemark` and put it there"
            );
            Error::misconfigured("SecretUnreadable", said)
        })
    }
}

fn is_token(token: &SecretString) -> bool {
    let token = token.expose_secret();
    !token.is_empty() && token.chars().all(|c| c.is_ascii_graphic())
}

impl Session {
    /// Reads the text of the secret of that name, of one database alone: `hostname`, `token`, and `encryption_key` if it has one.
    pub fn parse(secret: &str, text: &SecretString) -> Result<Self> {
        #[derive(Deserialize)]
        struct Document {
            hostname: String,
            token: SecretString,
            encryption_key: Option<SecretString>,
        }
        // As above.
        let document = serde_json::from_str(text.expose_secret()).ok();
        let usable = |document: &Document| wire::is_host(&document.hostname) && is_token(&document.token);
        let Some(Document { hostname, token, encryption_key }) = document.filter(usable) else {
            let said = format!(
                "secret {secret} is not {{\"hostname\": \"<database>-<organization>.turso.io\", \"token\": \"…\"}}, with the token of \
                 that one database"
            );
            return Err(Error::misconfigured("SecretUnreadable", said));
        };
        Ok(Self { hostname, token, encryption_key })
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

    #[rstest]
    #[case(r#"{"hostname": "orders-acme.turso.io", "token": "eyJ"}"#, false)]
    #[case(
        r#"{"hostname": "orders-acme.turso.io", "token": "eyJ", "encryption_key": "a2V5", "more": 1}"#,
        true
    )]
    fn one_databases_secret_is_read(#[case] text: &str, #[case] is_encrypted: bool) {
        let session = Session::parse("tidemark/heartbeat-orders", &SecretString::from(text)).unwrap();
        assert_eq!(session.hostname, "orders-acme.turso.io");
        assert_eq!((session.token.expose_secret(), session.encryption_key.is_some()), ("eyJ", is_encrypted));
        assert!(!format!("{session:?}").contains("eyJ"));
    }

    #[rstest]
    #[case("hush")]
    #[case(r#"{"token": "hush"}"#)]
    #[case(r#"{"hostname": "evil.example/hush?", "token": "hush"}"#)]
    #[case(r#"{"hostname": "hush@evil.example", "token": "hush"}"#)]
    #[case(r#"{"hostname": "orders-acme.turso.io", "token": "hu sh"}"#)]
    fn what_leads_to_no_database_is_refused_and_not_shown(#[case] text: &str) {
        let error = Session::parse("tidemark/heartbeat-orders", &SecretString::from(text)).unwrap_err();
        assert_eq!(error.code(), "SecretUnreadable");
        assert!(!error.report().contains("hush") && error.report().contains("tidemark/heartbeat-orders"));
    }
}
