use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use futures::try_join;
use jiff::{SignedDuration, Timestamp};
use reconcile::{Documents, EntryKey, Error, Ledger, Result};
use secrets::PlainSecrets;
use turso::{Connect, Database, Keys, Organization, Turso};
use vault::Store;

use super::{
    wish::{From, Wish},
    work::Work,
};
use crate::{
    orders::{self, Ordered},
    points::{self, Found},
    request::RestoreRequest,
    restore::End,
};

/// Turso, with the outside systems that its restores see.
pub struct TursoRestores<C, K, S, D, L> {
    /// The way to the organization.
    pub connect: C,
    /// Where the token for it is.
    pub secrets: K,
    /// In which secret.
    pub secret: String,
    /// The vault at home.
    pub vault: S,
    /// Its copy, for when that does not answer.
    pub recovery_vault: S,
    /// Where orders are kept until they are over.
    pub documents: D,
    /// What is recorded already.
    pub ledger: L,
    /// A folder with room for a database.
    pub scratch: PathBuf,
    /// How long somebody may be bringing a database's content: as long as an invocation can last.
    pub lease: SignedDuration,
}

/// The same, once the organization is reached.
pub(crate) struct Reached<'f, T, S, D, L> {
    pub(crate) turso: T,
    pub(crate) keys: Keys,
    vault: &'f S,
    recovery_vault: &'f S,
    pub(crate) documents: &'f D,
    ledger: &'f L,
    pub(crate) scratch: &'f Path,
}

/// What bears on a person's request.
#[derive(Debug)]
pub struct Asked {
    pub(crate) request: RestoreRequest<Wish>,
    pub(crate) organization: Organization,
    /// The database to be restored, if it is still there.
    pub(crate) source: Option<Database>,
    /// The database that bears the new name.
    pub(crate) bearer: Option<Database>,
    /// What the vault holds of it.
    pub(crate) found: Found,
    /// The Region of the vault that said so, and its name.
    pub(crate) region: String,
    pub(crate) vault: String,
    /// Why it was not the vault at home.
    pub(crate) silent: Option<String>,
    /// The order under that name.
    pub(crate) order: Option<Ordered<Work>>,
    /// How it ended, if the ledger knows.
    pub(crate) order_end: Option<End>,
}

/// The restores there are.
#[derive(Debug)]
pub struct Restores {
    pub(crate) all: Vec<Ordered<Work>>,
    /// What the ledger says of them.
    pub(crate) recorded: BTreeSet<EntryKey>,
    /// Documents that hold no order.
    pub(crate) unreadable: Vec<(String, Error)>,
    /// For how long an upload is left to whoever began it.
    pub(crate) lease: SignedDuration,
}

/// Where orders are.
const DOCUMENTS: &str = "restores/turso/";

/// The document of the restore that makes `name`.
pub(crate) fn document(name: &str) -> String {
    format!("{DOCUMENTS}{name}.json")
}

impl<C: Connect, K: PlainSecrets, S: Store, D: Documents, L: Ledger> TursoRestores<C, K, S, D, L> {
    /// Reads the token, anew each time: another one takes effect at once.
    pub(crate) async fn reach(&self) -> Result<Reached<'_, C::Turso, S, D, L>> {
        let keys = Keys::parse(&self.secret, &self.secrets.text(&self.secret).await?)?;
        Ok(Reached {
            turso: self.connect.connect(keys.token.clone()),
            keys,
            vault: &self.vault,
            recovery_vault: &self.recovery_vault,
            documents: &self.documents,
            ledger: &self.ledger,
            scratch: &self.scratch,
        })
    }

    pub(crate) async fn observe_restores(&self, now: Timestamp) -> Result<Restores> {
        let (mut all, unreadable) = orders::all::<Work>(&self.documents, DOCUMENTS).await?;
        all.retain(|ordered| !ordered.order.refused && ordered.order.restore.is_remembered(now));
        let days = all.iter().map(|ordered| ordered.order.restore.day()).collect();
        let recorded = self.ledger.keys(&days).await?;
        Ok(Restores { all, recorded, unreadable, lease: self.lease })
    }
}

impl<T: Turso, S: Store, D: Documents, L: Ledger> Reached<'_, T, S, D, L> {
    /// The vault of that Region.
    pub(crate) fn vault(&self, region: &str) -> &S {
        if self.recovery_vault.region() == region { self.recovery_vault } else { self.vault }
    }

    pub(crate) async fn observe_request(
        &self,
        request: RestoreRequest<Wish>,
        now: Timestamp,
    ) -> Result<Asked> {
        let document = document(&request.name);
        let (organization, source, bearer, order, (found, region, silent)) = try_join!(
            self.turso.organization(),
            self.turso.database(&request.resource.name),
            self.turso.database(&request.name),
            orders::read::<Work>(self.documents, &document),
            self.find(&request, now),
        )?;
        let order_end = match order.as_ref().map(|ordered| &ordered.order.restore) {
            Some(restore) => restore.end(&self.ledger.keys(&BTreeSet::from([restore.day()])).await?),
            None => None,
        };
        let vault = self.vault(&region).bucket().to_owned();
        Ok(Asked { request, organization, source, bearer, found, region, vault, silent, order, order_end })
    }

    /// What the vault holds of it; its copy says so when it does not answer.
    async fn find(
        &self,
        request: &RestoreRequest<Wish>,
        now: Timestamp,
    ) -> Result<(Found, String, Option<String>)> {
        let (resource, to) = (&request.resource, &request.to);
        if request.wish.from == Some(From::RecoveryVault) {
            let found = points::find(self.recovery_vault, resource, to, now).await?;
            return Ok((found, self.recovery_vault.region().to_owned(), None));
        }
        match points::find(self.vault, resource, to, now).await {
            Ok(found) => Ok((found, self.vault.region().to_owned(), None)),
            // What is wrong with a manifest is wrong with its copy.
            Err(error) if error.code() == "ManifestUnreadable" => Err(error),
            Err(error) => {
                let found = points::find(self.recovery_vault, resource, to, now).await?;
                Ok((found, self.recovery_vault.region().to_owned(), Some(error.report())))
            }
        }
    }
}
