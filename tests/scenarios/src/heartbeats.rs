//! What scenarios about heartbeats have in common: keys, a role that can write nothing else, and what is read back.

use anyhow::Result;
use aws_sdk_secretsmanager::operation::create_secret::CreateSecretError;
use heartbeat::{Keys, Place, Row};
use postgres::{Client, TlsPostgres, heartbeats::Table};
use secrets::Credentials;
use serde_json::{Value, json};

use crate::Estate;

/// The secret with the keys.
const KEYS: &str = "tidemark/heartbeat-keys";

/// 00 01 … 1f.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// The writer's password, wherever it has one.
pub const HEARTBEAT_PASSWORD: &str = "beat-beat-beat";

/// The key that signs in scenarios.
pub fn heartbeat_keys() -> Result<Keys> {
    Ok(Keys::parse(&key_document().to_string().into())?)
}

fn key_document() -> Value {
    json!({"keys": [{"id": "2026-11", "secret": KEY}]})
}

impl Estate<'_> {
    /// Makes a secret, or puts another value into it.
    pub async fn put_secret(&self, name: &str, value: &Value) -> Result<()> {
        let secrets = aws_sdk_secretsmanager::Client::new(&self.cloud.config(self.home()));
        let text = value.to_string();
        match secrets.create_secret().name(name).secret_string(&text).send().await {
            Ok(_) => {}
            Err(error)
                if error.as_service_error().is_some_and(CreateSecretError::is_resource_exists_exception) =>
            {
                secrets.put_secret_value().secret_id(name).secret_string(text).send().await?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Gives write-heartbeat and run-drill the keys, as the template's parameter does.
    pub async fn sign_heartbeats(&self) -> Result<()> {
        self.put_secret(KEYS, &key_document()).await?;
        for function in ["write-heartbeat", "run-drill"] {
            self.cloud.set_environment(function, "TIDEMARK_HEARTBEAT_SECRET", KEYS).await?;
        }
        Ok(())
    }

    /// Makes the table and the role in an instance, as `docs/heartbeats.md` has them, and the secret with its credentials; the name
    /// of that.
    pub async fn make_heartbeat_table(&self, name: &str) -> Result<String> {
        let owner = self.connect(self.home(), name).await?;
        owner.run(heartbeat::postgres::TABLE).await?;
        owner.run(&format!("CREATE ROLE tidemark_heartbeat LOGIN PASSWORD '{HEARTBEAT_PASSWORD}'")).await?;
        owner.run(heartbeat::postgres::GRANTS).await?;
        let secret = format!("tidemark/heartbeat-{name}");
        let login = json!({"username": "tidemark_heartbeat", "password": HEARTBEAT_PASSWORD});
        self.put_secret(&secret, &login).await?;
        Ok(secret)
    }

    /// Connects to an instance as somebody.
    pub async fn connect_as(&self, name: &str, credentials: &Credentials) -> Result<Client> {
        let tls = TlsPostgres::new(Some(self.cloud.rds().ca_certificate().display().to_string()));
        let server = self.wait_available(self.home(), name).await?;
        Ok(tls.connect(&server, credentials).await?)
    }

    /// The heartbeats of an instance, the newest first, as whoever may read them.
    pub async fn heartbeats(&self, name: &str, credentials: &Credentials) -> Result<Vec<Row>> {
        let mut table = Table::new(self.connect_as(name, credentials).await?);
        Ok(table.read(heartbeat::KEEP).await?)
    }
}
