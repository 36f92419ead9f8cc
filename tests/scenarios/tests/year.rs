//! The simulated year of the demo: that it is the same each time, that nothing went that must be kept, and that its page
//! shows what happened.

use report::State;
use scenarios::year::simulate;

#[test]
fn a_year_is_planned_pruned_and_shown() -> anyhow::Result<()> {
    let year = simulate()?;
    assert_eq!((year.floor_violations, year.points), (0, year.kept + year.expired));
    assert!(year.points > 25_000 && year.kept > 8 * 7, "{} made, {} kept", year.points, year.kept);
    let report = &year.report;
    assert_eq!((report.resources.len(), report.unknown.len()), (8, 0));
    let counts = State::ALL.map(|state| report.count(state));
    assert_eq!(counts, [1, 0, 1, 6, 0], "at risk, unknown, needs a look, well, not protected");
    for one in &report.resources {
        let name = &one.resource;
        assert_eq!((one.held.verified, one.held.others), (one.held.copied, 0), "{name}");
        assert!(one.tiers.iter().all(|tier| tier.filled.len() <= tier.kept as usize), "{name}");
        assert_eq!((one.tiers[0].filled.len(), one.tiers[1].filled.len()), (7, 4), "{name}");
        assert!(one.tiers[2].filled.len() == 12 && one.tiers[3].filled.len() == 2, "{name}");
        assert!(one.worst.is_some() && one.points.len() > 20, "{name}");
    }
    assert!(report.deletions.count > 1_000 && report.deletions.shown.iter().all(|one| !one.why.is_empty()));
    assert_eq!((report.restores.len(), report.costs.is_empty()), (10, false));
    assert_eq!(report.to_json(), simulate()?.report.to_json(), "the same each time");
    Ok(())
}
