use data_encoding::HEXLOWER;
use domain::{RecoveryPointId, ResourceId, Slot};
use jiff::Timestamp;
use reconcile::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::store::LARGEST_PART_BYTES;

/// The name of a recovery point's manifest among its objects.
pub const MANIFEST: &str = "manifest.json";

/// What stands in the vault beside a recovery point's objects: what they are, what they must hash to, and what is in them.
///
/// It is written last, and only when every byte was read back and verified; so where it is, the recovery point is
/// complete. Its shape is `docs/vault.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The shape: 1.
    pub version: u32,
    /// The recovery point.
    pub id: RecoveryPointId,
    /// What it is of.
    pub resource: ResourceId,
    /// The provider's own id of that, or what stands for one: never given twice.
    pub incarnation: String,
    /// The slot that it fills.
    #[serde(with = "slot")]
    pub slot: Slot,
    /// The plan under which it was made.
    pub plan: String,
    /// How it was made: `elasticache-snapshot`, `append-only`, `page-export`, `cursor`, …
    pub method: String,
    /// As of when it holds the data.
    pub taken_at: Timestamp,
    /// The last instant to which it can be restored, where that is later: an append-only directory reaches further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restorable_to: Option<Timestamp>,
    /// When its last byte was verified.
    pub verified_at: Timestamp,
    /// Its objects.
    pub objects: Vec<StoredObject>,
    /// What a restore needs to know of the source: its settings.
    pub source: Map<String, Value>,
    /// What was found in it: counts, versions, digests.
    pub content: Map<String, Value>,
}

/// One object of a recovery point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredObject {
    /// Its name below the recovery point's prefix.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its bytes in parts of this size, the last one shorter.
    pub part_bytes: u64,
    /// The SHA-256 of each part, in hex: so that a part can be checked, and a check be resumed, by itself.
    pub sha256: Vec<String>,
    /// The CRC64NVME of the whole, in hex: the checksum that S3 keeps too.
    pub crc64nvme: String,
}

impl Manifest {
    /// The document.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Reads a document. `key` is where it is.
    pub fn parse(key: &str, text: &[u8]) -> Result<Self> {
        let unreadable = |why: String| {
            Error::permanent(
                "ManifestUnreadable",
                format!("{key} is no manifest that this version reads: {why}"),
            )
        };
        let manifest: Self = serde_json::from_slice(text).map_err(|error| unreadable(error.to_string()))?;
        if manifest.version != 1 {
            // It is not damaged: whoever was rolled back meets what its successor wrote.
            return Err(Error::misconfigured(
                "ManifestVersionUnknown",
                format!(
                    "{key} is a manifest of version {}, and 1 is understood; deploy the version that wrote it",
                    manifest.version
                ),
            ));
        }
        if !manifest.is_of_one_mind() {
            return Err(unreadable(format!(
                "{} is not the recovery point of {} ({}) for the slot {}",
                manifest.id, manifest.resource, manifest.incarnation, manifest.slot
            )));
        }
        for (at, object) in manifest.objects.iter().enumerate() {
            object.validate().map_err(|why| unreadable(format!("its object {:?} {why}", object.name)))?;
            if manifest.objects[..at].iter().any(|other| other.name == object.name) {
                return Err(unreadable(format!("it names {:?} twice", object.name)));
            }
        }
        Ok(manifest)
    }

    /// Whether its recovery point's name says the same as it does.
    fn is_of_one_mind(&self) -> bool {
        self.id.parts().is_some_and(|said| {
            said.resource == self.resource.name.to_lowercase()
                && said.slot == self.slot
                && said.mark == RecoveryPointId::mark(&self.incarnation)
        })
    }

    /// The object of that name.
    pub fn object(&self, name: &str) -> Option<&StoredObject> {
        self.objects.iter().find(|object| object.name == name)
    }
}

impl StoredObject {
    /// What is wrong with it, for whoever reads, restores or copies by it.
    fn validate(&self) -> Result<(), &'static str> {
        // Names become keys and paths: one that leads elsewhere is not ours.
        let leads_elsewhere = |part: &str| {
            part.is_empty()
                || part == "."
                || part == ".."
                || part.contains(|c: char| c.is_control() || c == '\\')
        };
        if self.name == MANIFEST || self.name.split('/').any(leads_elsewhere) {
            return Err("has a name that is none");
        }
        // A part is in memory at once.
        if !(1..=LARGEST_PART_BYTES).contains(&self.part_bytes) {
            return Err("has parts of a size that is not allowed: 1 byte to 512 MiB");
        }
        if self.bytes.div_ceil(self.part_bytes) != self.sha256.len() as u64 {
            return Err("has not one digest for each part");
        }
        let is_hex = |text: &String, length| text.len() == length && HEXLOWER.decode(text.as_bytes()).is_ok();
        if !self.sha256.iter().all(|digest| is_hex(digest, 64)) || !is_hex(&self.crc64nvme, 16) {
            return Err("has digests that are none: SHA-256 and CRC64NVME in lower-case hex are allowed");
        }
        Ok(())
    }
}

mod slot {
    use domain::Slot;
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(slot: &Slot, serializer: S) -> Result<S::Ok, S::Error> {
        slot.instant().serialize(serializer)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Slot, D::Error> {
        Timestamp::deserialize(deserializer).map(Slot::at)
    }
}
