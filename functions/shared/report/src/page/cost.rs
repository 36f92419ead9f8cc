//! What storage costs, by tier.

use domain::Engine;
use maud::{Markup, html};

use super::{headings, table};
use crate::{
    Cost, KeptAs, Report,
    charts::{self, Bar, Caption, Measure},
    words,
};

pub(super) fn body(report: &Report) -> Markup {
    let costs = &report.costs;
    if costs.is_empty() {
        return html! { p { "Nothing is stored, or nobody knows what." } };
    }
    let (snapshots, objects): (Vec<Cost>, Vec<Cost>) =
        costs.iter().cloned().partition(|cost| cost.engine == Engine::Rds);
    html! {
        @if !objects.is_empty() {
            p { "About " b { (words::usd(total(&objects, |_| true))) } " a month for what is in the vaults of both Regions." }
        }
        @if !snapshots.is_empty() {
            p { "RDS snapshots: no more than " b { (words::usd(total(&snapshots, |_| true))) } " a month. That is what they would cost if each were "
                "as large as the allocated storage. They are incremental, RDS tells no snapshot's own size, and charges only for what is "
                "beyond the databases' own storage in a Region; the bill is usually far lower." }
        }
        div.charts {
            @if !objects.is_empty() { (chart("cost-vaults", "In the vaults: US dollars a month, by tier", &objects)) }
            @if !snapshots.is_empty() { (chart("cost-snapshots", "RDS snapshots, at most: US dollars a month, by tier", &snapshots)) }
        }
        (by_place(costs))
        p.meta { "Requests and transfer are not counted. Prices: RDS backup storage " (price(report.prices.rds_micro_usd)) ", S3 " (price(report.prices.s3_micro_usd))
            " for a GiB and month, the same in both Regions. They are settings of the deployment: docs/report.md says which, and where they are from." }
    }
}

fn total(costs: &[Cost], is: impl Fn(&Cost) -> bool) -> u64 {
    costs.iter().filter(|cost| is(cost)).fold(0, |sum, cost| sum.saturating_add(cost.micro_usd_a_month))
}

/// `$0.023`: of a price, what is below a cent matters.
fn price(micro: u64) -> String {
    let digits = format!("{:06}", micro % 1_000_000);
    let digits = digits.trim_end_matches('0');
    format!(
        "${}.{}",
        micro / 1_000_000,
        if digits.len() < 2 { format!("{digits:0<2}") } else { digits.to_owned() }
    )
}

#[expect(clippy::cast_precision_loss, reason = "a chart needs no last digit")]
fn chart(id: &str, title: &str, costs: &[Cost]) -> Markup {
    let engines: Vec<Engine> = Engine::PROTECTED
        .into_iter()
        .filter(|engine| costs.iter().any(|cost| cost.engine == *engine))
        .collect();
    let part = |kept: KeptAs, engine: Engine| {
        total(costs, |cost| cost.kept_as == kept && cost.engine == engine) as f64 / 1e6
    };
    let bars: Vec<Bar> = KeptAs::ALL
        .into_iter()
        .map(|kept| Bar {
            name: words::kept_as(kept).to_owned(),
            parts: engines.iter().map(|engine| part(kept, *engine)).collect(),
            is_failed: false,
        })
        .collect();
    let dearest = KeptAs::ALL.into_iter().max_by_key(|kept| total(costs, |cost| cost.kept_as == *kept));
    let says = dearest.map_or_else(String::new, |kept| {
        let cost = words::usd(total(costs, |cost| cost.kept_as == kept));
        format!("Most of it, {cost} a month, is in: {}.", words::kept_as(kept).to_lowercase())
    });
    let caption = Caption { id: id.to_owned(), title: title.to_owned(), says };
    let names: Vec<&str> = engines.iter().map(|engine| words::engine(*engine)).collect();
    charts::bars(&caption, Measure::Dollars, &names, &bars, None)
}

fn by_place(costs: &[Cost]) -> Markup {
    let head = headings(&["Engine", "Region", "Kept as", "Recovery points", "Size", "A month"]);
    let body = html! {
        @for cost in costs {
            tr {
                th scope="row" { (words::engine(cost.engine)) }
                td { bdi { (words::plain(&cost.region, words::NAME)) } }
                td { (words::kept_as(cost.kept_as)) }
                td.number { (words::thousands(cost.points as u64)) }
                td.number { (words::bytes(cost.bytes)) }
                td.number { (words::usd(cost.micro_usd_a_month)) }
            }
        }
    };
    html! { details { summary { "By engine, Region and tier" } (table("Storage cost", &head, &body)) } }
}
