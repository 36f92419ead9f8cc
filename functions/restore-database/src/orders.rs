//! Restores that take several steps: what was ordered, kept as a document for each until it is over.

use jiff::Timestamp;
use reconcile::{Documents, Error, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    drill::{Asker, Drill},
    request::Target,
    restore::Restore,
};

/// What was ordered, and how it is carried out. That never changes; how far it has come does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order<P> {
    #[serde(flatten)]
    pub(crate) restore: Restore,
    /// As it was asked for: `latest`, an instant, a recovery point's id.
    pub(crate) to: String,
    /// The new name.
    pub(crate) name: String,
    /// The drill that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) drill: Option<Drill>,
    /// How it is carried out, and how far it has come.
    pub(crate) work: P,
    /// It was refused when it was begun, and the person who asked knows: nothing of it goes on.
    #[serde(default)]
    pub(crate) refused: bool,
}

/// An order as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Ordered<P> {
    pub(crate) order: Order<P>,
    /// Its document.
    pub(crate) document: String,
    /// Which version of it.
    pub(crate) version: String,
}

impl<P> Order<P> {
    /// Whether that request, now, is this restore: an answer was lost, and the person asks again.
    pub(crate) fn is_same(
        &self,
        restore: &Restore,
        to: &Target,
        drill: Option<&Drill>,
        now: Timestamp,
    ) -> bool {
        self.is_for(Asker::new(drill, restore.set.as_ref()), now)
            && (&self.restore.resource, &self.restore.region) == (&restore.resource, &restore.region)
            && self.to == to.as_tag()
    }

    /// Whether that other order, made now, is for the same.
    pub(crate) fn is_same_as(&self, other: &Self, now: Timestamp) -> bool {
        self.is_for(other.asker(), now)
            && (&self.restore.resource, &self.restore.region, &self.to)
                == (&other.restore.resource, &other.restore.region, &other.to)
    }

    fn is_for(&self, asker: Asker<'_>, now: Timestamp) -> bool {
        !self.refused && asker.is_same(self.asker(), self.restore.requested_at, now)
    }

    fn asker(&self) -> Asker<'_> {
        Asker::new(self.drill.as_ref(), self.restore.set.as_ref())
    }
}

/// The order in the document of that name.
pub(crate) async fn read<P: DeserializeOwned>(
    documents: &impl Documents,
    name: &str,
) -> Result<Option<Ordered<P>>> {
    let Some(document) = documents.read(name).await? else { return Ok(None) };
    let order = serde_json::from_str(&document.text).map_err(|error| {
        Error::permanent(
            "RestoreUnreadable",
            format!(
                "document {name} of the state bucket is no restore that this version reads; look at what it made, then \
                 delete the document, or use another name"
            ),
        )
        .caused_by(error)
    })?;
    Ok(Some(Ordered { order, document: name.to_owned(), version: document.version }))
}

/// All orders whose documents' names begin so, and those that could not be read.
pub(crate) async fn all<P: DeserializeOwned>(
    documents: &impl Documents,
    prefix: &str,
) -> Result<(Vec<Ordered<P>>, Vec<(String, Error)>)> {
    let (mut orders, mut unreadable) = (Vec::new(), Vec::new());
    for name in documents.names(prefix).await? {
        match read(documents, &name).await {
            Ok(order) => orders.extend(order),
            Err(error) => unreadable.push((name, error)),
        }
    }
    Ok((orders, unreadable))
}

impl<P: Serialize + DeserializeOwned> Ordered<P> {
    /// Writes down an order where there was none, or in place of one that is over. `None` if somebody else wrote meanwhile.
    pub(crate) async fn begin(
        documents: &impl Documents,
        document: &str,
        order: Order<P>,
        replacing: Option<&str>,
    ) -> Result<Option<Self>> {
        let version = documents.write(document, &text(&order)?, replacing).await?;
        Ok(version.map(|version| Self { order, document: document.to_owned(), version }))
    }

    /// Writes down how far it has come. Another invocation that did so meanwhile goes on with it: this one stops.
    pub(crate) async fn save(&mut self, documents: &impl Documents) -> Result<()> {
        match documents.write(&self.document, &text(&self.order)?, Some(&self.version)).await? {
            Some(version) => {
                self.version = version;
                Ok(())
            }
            None => Err(Error::retryable(
                "RestoreContended",
                format!("another invocation works on {}; the next tick looks again", self.order.restore.id),
            )),
        }
    }
}

fn text<P: Serialize>(order: &Order<P>) -> Result<String> {
    serde_json::to_string(order).map_err(|error| Error::permanent("RestoreUnwritable", error.to_string()))
}
