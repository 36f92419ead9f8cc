use domain::Engine;
use serde::Deserialize;

use crate::request::{Wish, identifier};

/// What a restore may do differently from the source.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Overrides {
    pub(crate) instance_class: Option<String>,
    pub(crate) subnet_group: Option<String>,
    pub(crate) security_groups: Option<Vec<String>>,
    pub(crate) parameter_group: Option<String>,
    pub(crate) option_group: Option<String>,
    pub(crate) multi_az: Option<bool>,
    pub(crate) publicly_accessible: Option<bool>,
    /// The secret with credentials for the first query.
    pub(crate) secret: Option<String>,
}

impl Wish for Overrides {
    const ENGINE: Engine = Engine::Rds;
    const KEYS: &'static [&'static str] = &[
        "instance_class",
        "subnet_group",
        "security_groups",
        "parameter_group",
        "option_group",
        "multi_az",
        "publicly_accessible",
        "secret",
    ];
    const LONGEST: usize = 63;
    const NAMES: &'static str = "a DB instance identifier is 1 to 63 letters, digits and single hyphens, with a letter first and \
                                 no hyphen last";

    /// As `CreateDBInstance` says. RDS keeps it in lower case.
    fn name(text: &str) -> Option<String> {
        identifier(text, Self::LONGEST)
    }
}
