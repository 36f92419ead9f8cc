//! The functions as they are deployed, over the world's account.

use std::cell::RefCell;

use backup_rds::BackupRds;
use backup_redis::{BackupRedis, Buckets};
use backup_turso::BackupTurso;
use jiff::SignedDuration;
use reconcile::{Reconciler, Result};
use secrecy::SecretString;
use secrets::PlainSecrets;
use send_alert::{Manner, SendAlert};
use vault::FakeStore;
use watch_rpo::{SecretOrganization, WatchRpo};

use crate::world::{AWAY, HOME, World, clock};

/// The name of the organization's secret.
const SECRET: &str = "tidemark/turso";

/// A secret that holds that text.
struct Secret(&'static str);

impl PlainSecrets for Secret {
    async fn text(&self, _secret: &str) -> Result<SecretString> {
        Ok(SecretString::from(self.0))
    }
}

/// The cloud's other buckets.
struct Others(FakeStore);

impl Buckets for Others {
    type Store = FakeStore;

    fn store(&self, bucket: &str) -> FakeStore {
        self.0.beside(HOME, bucket)
    }
}

impl World {
    pub(crate) fn backup_rds(&self) -> impl Reconciler + use<> {
        BackupRds {
            home: self.account.region(HOME),
            recovery: self.account.region(AWAY),
            ledger: self.ledger.clone(),
            plans: self.plans.clone(),
            recovery_key: "key".to_owned(),
        }
    }

    pub(crate) fn backup_redis(&self) -> impl Reconciler + use<> {
        BackupRedis {
            caches: self.caches.region(HOME),
            vault: self.vault.clone(),
            recovery: self.recovery_vault.clone(),
            exports: self.exports.clone(),
            archives: Others(self.vault.clone()),
            ledger: self.ledger.clone(),
            plans: self.plans.clone(),
            documents: self.ledger.documents.clone(),
            pace: backup_redis::Pace::deployed(SignedDuration::from_mins(10)),
        }
    }

    pub(crate) fn backup_turso(&self) -> impl Reconciler + use<> {
        BackupTurso {
            organization: Some((self.turso.clone(), SECRET.to_owned())),
            secrets: Secret(self.token),
            home: self.vault.clone(),
            recovery: self.recovery_vault.clone(),
            ledger: self.ledger.clone(),
            documents: self.ledger.documents.clone(),
            staging: self.vault.beside(HOME, "state"),
            plans: self.plans.clone(),
            pace: backup_turso::Pace::new(self.disk.path(), 8 << 20, clock),
            account: RefCell::default(),
        }
    }

    pub(crate) fn watch_rpo(&self) -> impl Reconciler + use<> {
        let secret = Secret(self.token);
        WatchRpo {
            home: self.account.region(HOME),
            recovery: self.account.region(AWAY),
            caches: self.caches.region(HOME),
            turso: Some(SecretOrganization::new(secret, SECRET.to_owned(), self.turso.clone())),
            vault: self.vault.clone(),
            recovery_vault: self.recovery_vault.clone(),
            plans: self.plans.clone(),
            documents: self.ledger.documents.clone(),
        }
    }

    pub(crate) fn send_alert(&self) -> impl Reconciler + use<> {
        SendAlert {
            alarms: self.alarms.clone(),
            topic: self.topic.clone(),
            documents: self.ledger.documents.clone(),
            manner: Manner {
                stage: "prod".to_owned(),
                prefix: "tidemark-prod-".to_owned(),
                runbooks: String::new(),
                lease: SignedDuration::from_secs(30),
                reminder: SignedDuration::from_hours(4),
            },
        }
    }
}
