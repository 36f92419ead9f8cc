//! `DescribeAccountAttributes`: quotas and what is used of them.

use aws_query::Element;

use super::Request;

pub(super) fn describe(request: &Request) -> Element {
    let quotas = request.plane.quotas();
    let rows = request.plane.region(&request.region, |region| {
        let storage: u64 =
            region.instances.values().map(|it| u64::from(it.traits.allocated_storage_gib)).sum();
        [
            ("DBInstances", region.instances.len() as u64, quotas.instances as u64),
            ("ManualSnapshots", region.manual_snapshots() as u64, quotas.manual_snapshots as u64),
            ("AllocatedStorage", storage, 100_000),
        ]
    });
    let rows = rows.map(|(name, used, most)| {
        Element::new("AccountQuota").text("AccountQuotaName", name).text("Used", used).text("Max", most)
    });
    Element::new("DescribeAccountAttributesResult").list("AccountQuotas", rows)
}
