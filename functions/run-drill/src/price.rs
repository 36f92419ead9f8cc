//! What drills cost: the guard of a budget, not a bill.
//!
//! On-demand prices of one instance or node for an hour in us-east-1, as AWS's pages have them (aws.amazon.com/rds/postgresql/pricing,
//! aws.amazon.com/elasticache/pricing, 2025): other Regions are up to twice as dear, so all are doubled. What is not listed is taken
//! for the dearest of its size.

/// A family's price by size `large`, in millionths of a dollar an hour. Each further size costs twice as much.
const RDS: [(&str, u64); 12] = [
    ("t3", 145_000),
    ("t4g", 129_000),
    ("m5", 178_000),
    ("m6g", 159_000),
    ("m6i", 178_000),
    ("m7g", 168_000),
    ("m7i", 178_000),
    ("r5", 250_000),
    ("r6g", 225_000),
    ("r6i", 250_000),
    ("r7g", 239_000),
    ("r7i", 263_000),
];
const CACHE: [(&str, u64); 8] = [
    ("t3", 136_000),
    ("t4g", 130_000),
    ("m5", 156_000),
    ("m6g", 149_000),
    ("m7g", 158_000),
    ("r5", 216_000),
    ("r6g", 206_000),
    ("r7g", 219_000),
];
/// What nothing of its size is dearer than: `x2iedn` and `r6gd`.
const DEAREST: u64 = 834_000;
/// General-purpose storage: 0.115 dollars a GiB and month of 730 hours.
const STORAGE_AN_HOUR: u64 = 158;
/// Serverless caches: 0.125 dollars a GB and hour.
const SERVERLESS_AN_HOUR: u64 = 125_000;
/// Other Regions.
const ELSEWHERE: u64 = 2;

/// An RDS instance of that class with so much storage, for an hour.
pub(crate) fn instance(class: &str, gib: u64) -> u64 {
    ELSEWHERE
        * node(&RDS, class.strip_prefix("db.").unwrap_or(class))
            .saturating_add(gib.saturating_mul(STORAGE_AN_HOUR))
}

/// So many cache nodes of that type, for an hour.
pub(crate) fn nodes(class: &str, count: u64) -> u64 {
    (ELSEWHERE * node(&CACHE, class.strip_prefix("cache.").unwrap_or(class))).saturating_mul(count.max(1))
}

/// A serverless cache with so many bytes, for an hour; never less than a GB.
pub(crate) fn serverless(bytes: u64) -> u64 {
    ELSEWHERE * bytes.div_ceil(1_000_000_000).max(1).saturating_mul(SERVERLESS_AN_HOUR)
}

fn node(families: &[(&str, u64)], class: &str) -> u64 {
    let (family, size) = class.split_once('.').unwrap_or((class, "large"));
    let large = families.iter().find(|(name, _)| *name == family).map_or(DEAREST, |(_, price)| *price);
    match size {
        "micro" => large / 8,
        "small" => large / 4,
        "medium" => large / 2,
        "large" => large,
        _ => {
            let times = size.strip_suffix("xlarge").map(|count| count.parse::<u64>().unwrap_or(1));
            // A size that nobody knows is the largest there is.
            large.saturating_mul(2 * times.unwrap_or(48))
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("db.t4g.medium", 0, 129_000)]
    #[case("db.r6g.2xlarge", 0, 1_800_000)]
    #[case("db.m6g.xlarge", 100, 667_600)]
    #[case("db.x9.enormous", 0, 160_128_000)]
    fn instances(#[case] class: &str, #[case] gib: u64, #[case] price: u64) {
        assert_eq!(instance(class, gib), price);
    }

    #[test]
    fn caches() {
        assert_eq!(nodes("cache.t4g.micro", 1), 32_500);
        assert_eq!(nodes("cache.r7g.large", 3), 1_314_000);
        assert_eq!(serverless(1), 250_000);
        assert_eq!(serverless(2_500_000_000), 750_000);
    }
}
