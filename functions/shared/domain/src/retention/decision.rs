use bitflags::bitflags;

use super::{Candidate, Region, Tier};

bitflags! {
    /// What keeps a recovery point whatever its tiers.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Floors: u8 {
        /// It is the newest verified one.
        const NEWEST = 1;
        /// It is one of the newest verified ones that the plan's redundancy asks for.
        const REDUNDANCY = 1 << 1;
        /// It is younger than the minimum age.
        const YOUNG = 1 << 2;
        /// A person holds it.
        const HELD = 1 << 3;
        /// Tidemark did not make it.
        const FOREIGN = 1 << 4;
        /// A copy of it is under way.
        const COPIED = 1 << 5;
        /// It is still being made.
        const PENDING = 1 << 6;
        /// It is not verified, and would fill a bucket if it were.
        const MAY_FILL = 1 << 7;
    }
}

/// How a recovery point stands to one tier of one Region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// It fills its bucket.
    Fills,
    /// It is not verified, and would fill its bucket if it were.
    WouldFill,
    /// Its bucket is filled by that candidate, which is earlier.
    FilledBy(u32),
    /// Its bucket is older than those that are kept.
    Beyond,
    /// It counts for no tier.
    #[default]
    None,
}

/// What becomes of a recovery point, and all that speaks for it and against it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// How it stands to each tier, in the order of [`Tier::ALL`], in each Region, in the order of [`Region::ALL`].
    pub places: [[Place; 4]; 2],
    /// What keeps it besides.
    pub floors: Floors,
}

impl Decision {
    /// Whether it is kept; otherwise it is expired.
    pub fn is_kept(&self) -> bool {
        !self.floors.is_empty() || self.has(Place::Fills)
    }

    pub(super) fn has(&self, place: Place) -> bool {
        self.places.as_flattened().contains(&place)
    }

    /// The tiers that it fills in either Region, the finest first.
    pub fn tiers(&self) -> impl Iterator<Item = Tier> {
        Tier::ALL.into_iter().filter(|tier| self.at(*tier).contains(&Place::Fills))
    }

    /// The coarsest tier that it fills.
    pub fn tier(&self) -> Option<Tier> {
        self.tiers().last()
    }

    /// How it stands to that tier, at home and in the recovery Region.
    fn at(&self, tier: Tier) -> [Place; 2] {
        Region::ALL.map(|region| self.places[region as usize][tier as usize])
    }

    /// Why, one reason after the other: what keeps it; of an expired one, what has taken its place in each tier.
    pub fn reasons(&self, candidates: &[Candidate]) -> Vec<String> {
        let tiers = Tier::ALL.into_iter();
        if self.is_kept() {
            let fills = tiers.filter_map(|tier| match self.at(tier) {
                [Place::Fills, _] => Some(format!("the first verified one of {}", bucket_says(tier))),
                [_, Place::Fills] => Some(format!("the first verified copy of {}", bucket_says(tier))),
                _ => None,
            });
            return fills.chain(self.floors.iter().map(|floor| floor_says(floor).to_owned())).collect();
        }
        let against = |place: Place, tier: Tier| match place {
            Place::FilledBy(at) => {
                let by = candidates.get(at as usize).map_or("another one", |candidate| candidate.id.as_str());
                Some(format!("{} has {by}", bucket_says(tier)))
            }
            Place::Beyond => Some(format!("{} is older than those that are kept", bucket_says(tier))),
            Place::Fills | Place::WouldFill | Place::None => None,
        };
        let both = |tier: Tier| {
            let [home, recovery] = self.at(tier).map(|place| against(place, tier));
            let recovery = recovery.filter(|recovery| home.as_ref() != Some(recovery));
            home.into_iter().chain(recovery.map(|says| format!("{says} in the recovery Region")))
        };
        let against: Vec<String> = tiers.flat_map(both).collect();
        if against.is_empty() { vec!["it failed, and will never be restorable".to_owned()] } else { against }
    }
}

fn bucket_says(tier: Tier) -> &'static str {
    match tier {
        Tier::Daily => "its day",
        Tier::Weekly => "its week",
        Tier::Monthly => "its month",
        Tier::Annual => "its year",
    }
}

fn floor_says(floor: Floors) -> &'static str {
    match floor {
        Floors::NEWEST => "the newest verified one",
        Floors::REDUNDANCY => "one of the newest verified ones that the plan keeps in any case",
        Floors::YOUNG => "younger than the minimum age",
        Floors::HELD => "under legal hold",
        Floors::FOREIGN => "not made by Tidemark",
        Floors::COPIED => "a copy of it is under way",
        Floors::PENDING => "still being made",
        Floors::MAY_FILL => "not verified, and the first of its day, week, month or year",
        _ => "kept",
    }
}
