use domain::{Engine, ResourceId};
use jiff::Timestamp;
use reconcile::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::request::wish;
use crate::{
    engine::Of,
    orders::Order,
    request::{AnyRequest, RestoreRequest, Target, Wish, name},
    restore::{Part, Restore},
    turso,
};

/// What a set's restore consists of. That never changes: how far it has come, the ledger says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// The recovery set.
    pub(crate) set: String,
    /// The one instant that all of it is restored to.
    pub(crate) instant: Timestamp,
    pub(crate) members: Vec<Member>,
}

/// One database of the set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) resource: ResourceId,
    /// The new name.
    pub(crate) name: String,
    /// What its engine alone is told.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) wish: Map<String, Value>,
}

impl Order<Work> {
    /// What its parts know of it.
    pub(crate) fn part(&self) -> Part {
        Part {
            restore: self.restore.id.clone(),
            set: self.work.set.clone(),
            instant: self.work.instant,
            requested_at: self.restore.requested_at,
        }
    }

    /// What its members are, with the restore of each.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (&Member, Restore)> {
        self.work.members.iter().map(|member| (member, self.restore_of(member)))
    }

    fn restore_of(&self, member: &Member) -> Restore {
        let region = match member.resource.engine {
            Engine::Turso => turso::REGION,
            Engine::Rds | Engine::Redis | Engine::Tidemark => &self.restore.region,
        };
        Restore {
            id: Restore::id_of(&member.name, self.restore.requested_at),
            resource: member.resource.clone(),
            requested_at: self.restore.requested_at,
            region: region.to_owned(),
            set: Some(self.part()),
        }
    }

    /// What is asked for a member.
    pub(crate) fn request(&self, member: &Member, to: Target) -> Result<AnyRequest> {
        Ok(match member.resource.engine {
            Engine::Rds | Engine::Tidemark => Of::Rds(self.request_of(member, to)?),
            Engine::Redis => Of::Redis(self.request_of(member, to)?),
            // Where it is, its group says.
            Engine::Turso => Of::Turso(RestoreRequest { region: None, ..self.request_of(member, to)? }),
        })
    }

    fn request_of<W: Wish>(&self, member: &Member, to: Target) -> Result<RestoreRequest<W>> {
        Ok(RestoreRequest {
            resource: ResourceId { engine: W::ENGINE, name: name::<W>("resource", &member.resource.name)? },
            to,
            name: name::<W>("as", &member.name)?,
            region: Some(self.restore.region.clone()),
            drill: self.drill.clone(),
            part: Some(self.part()),
            wish: wish(&member.resource, &member.wish)?,
        })
    }

    /// For answers and the ledger.
    pub(crate) fn detail(&self) -> [(&'static str, Value); 5] {
        [
            ("set", json!(self.work.set)),
            ("to", json!(self.to)),
            ("set_instant", json!(self.work.instant)),
            ("name", json!(self.name)),
            ("requested_at", json!(self.restore.requested_at)),
        ]
    }
}
