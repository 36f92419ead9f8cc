//! What the checks of a restored database leave, whatever its engine: what is wrong, and what there is to know.

use serde::{Deserialize, Serialize};

/// How many findings, and how many notes, are told one by one, so that the evidence stays a small document.
const TOLD: usize = 100;

/// What is wrong (`F`), and what there is to know (`N`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, bound(deserialize = "F: Deserialize<'de>, N: Deserialize<'de>"))]
pub struct Evidence<F, N> {
    /// What is wrong: the first 100. One is enough to fail the drill.
    pub findings: Vec<F>,
    /// How many more there are.
    pub more_findings: u64,
    /// What a reader has to know to take the evidence for no more than it is: the first 100. None fails anything.
    pub notes: Vec<N>,
    /// How many more there are.
    pub more_notes: u64,
}

impl<F, N> Default for Evidence<F, N> {
    fn default() -> Self {
        Self { findings: Vec::new(), more_findings: 0, notes: Vec::new(), more_notes: 0 }
    }
}

impl<F, N: PartialEq> Evidence<F, N> {
    /// Tells what is wrong.
    pub fn find(&mut self, finding: F) {
        if self.findings.len() < TOLD {
            self.findings.push(finding);
        } else {
            self.more_findings += 1;
        }
    }

    /// Tells what there is to know, once.
    pub fn note(&mut self, note: N) {
        if self.notes.contains(&note) {
            return;
        }
        if self.notes.len() < TOLD {
            self.notes.push(note);
        } else {
            self.more_notes += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_small_and_says_what_it_leaves_out() {
        let mut evidence = Evidence::default();
        for number in 0..150 {
            evidence.find(number);
            evidence.note(number / 2);
        }
        assert_eq!((evidence.findings.len(), evidence.more_findings), (100, 50));
        assert_eq!((evidence.notes.len(), evidence.more_notes), (75, 0));
        let text = serde_json::to_string(&evidence).unwrap();
        assert_eq!(serde_json::from_str::<Evidence<i32, i32>>(&text).unwrap(), evidence);
        assert_eq!(serde_json::from_str::<Evidence<i32, i32>>("{}").unwrap(), Evidence::default());
    }
}
