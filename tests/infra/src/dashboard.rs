//! The dashboard: that it shows what the functions really measure, and every function.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;

use crate::{Findings, Stack, expect, functions::FUNCTIONS};

/// The width of `CloudWatch`'s grid.
const COLUMNS: u64 = 24;

/// What Lambda itself measures of each function, and is shown.
const OF_LAMBDA: [&str; 2] = ["Errors", "Throttles"];

/// Every rule for the dashboard. `measured` are the metrics that the functions give.
pub fn check(stack: &Stack, measured: &BTreeSet<String>) -> Findings {
    let mut findings = Findings::new();
    let body = stack.get("Dashboard")["Properties"]["DashboardBody"].as_str().unwrap_or_default();
    let Ok(body) = serde_json::from_str::<Value>(body) else {
        return vec!["Dashboard: its body is no JSON".to_owned()];
    };
    let widgets = body["widgets"].as_array().cloned().unwrap_or_default();
    expect(&mut findings, widgets.len() > 5, || format!("Dashboard: it has {} widgets", widgets.len()));
    fit(&widgets, &mut findings);
    let mut shown: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for widget in &widgets {
        let title = widget["properties"]["title"].as_str().unwrap_or_default();
        let metrics = widget["properties"]["metrics"].as_array().map_or(&[][..], Vec::as_slice);
        let here = metrics_of(metrics);
        expect(&mut findings, widget["type"] != "metric" || !here.is_empty(), || {
            format!("Dashboard: {title:?} shows nothing")
        });
        for (namespace, metric, of) in here {
            match namespace.as_str() {
                "Tidemark" => expect(&mut findings, measured.contains(&metric), || {
                    format!("Dashboard: {title:?} shows {metric}, which no function measures")
                }),
                "AWS/Lambda" => {
                    if let Some(name) = OF_LAMBDA.iter().find(|name| **name == metric) {
                        shown.entry(name).or_default().insert(of);
                    }
                }
                other => findings.push(format!("Dashboard: {title:?} shows {other}, which is not ours")),
            }
        }
    }
    for name in OF_LAMBDA {
        for function in FUNCTIONS {
            let id = format!("@{}", function.id("Function"));
            let is_shown = shown.get(name).is_some_and(|shown| shown.contains(&id));
            expect(&mut findings, is_shown, || {
                format!("Dashboard: {name} of {} are not shown", function.name)
            });
        }
    }
    findings
}

/// Namespace, name and last dimension of each metric that a widget shows.
fn metrics_of(metrics: &[Value]) -> Vec<(String, String, String)> {
    let mut shown: Vec<(String, String, String)> = Vec::new();
    for metric in metrics {
        let parts: Vec<&str> = metric.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        match parts.as_slice() {
            [namespace, name, .., of] => {
                // A dot stands for what stood there before.
                let before = shown.last().map_or("", |(namespace, ..)| namespace);
                let namespace = if *namespace == "." { before } else { namespace };
                shown.push((namespace.to_owned(), (*name).to_owned(), (*of).to_owned()));
            }
            _ => shown.extend(metric[0]["expression"].as_str().and_then(searched)),
        }
    }
    shown
}

/// `SEARCH('{Tidemark,resource} MetricName="…"', …)`.
fn searched(expression: &str) -> Option<(String, String, String)> {
    let (_, search) = expression.split_once("SEARCH('{")?;
    let (namespace, search) = search.split_once(',')?;
    let (dimension, search) = search.split_once('}')?;
    let (_, search) = search.split_once("MetricName=\"")?;
    let (metric, _) = search.split_once('"')?;
    Some((namespace.to_owned(), metric.to_owned(), dimension.to_owned()))
}

/// Within the grid, and none over another.
fn fit(widgets: &[Value], findings: &mut Findings) {
    let mut taken = BTreeSet::new();
    for widget in widgets {
        let number = |key: &str| widget[key].as_u64().unwrap_or(u64::MAX / 2);
        let (left, top) = (number("x"), number("y"));
        let (right, bottom) = (left + number("width"), top + number("height"));
        if right > COLUMNS || bottom > 1_000 {
            findings.push(format!("Dashboard: a widget reaches to column {right} and row {bottom}"));
            continue;
        }
        let cells = (left..right).flat_map(|x| (top..bottom).map(move |y| (x, y)));
        let overlaps = cells.filter(|cell| !taken.insert(*cell)).count();
        expect(findings, overlaps == 0, || format!("Dashboard: the widget at {left}, {top} lies on another"));
    }
}

/// The names of the metrics that the functions give: all `Metric::…("name"` below that folder.
pub fn measured(functions: &Path) -> std::io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(functions)? {
        let path = entry?.path();
        if path.is_dir() {
            names.extend(measured(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path)?;
            names.extend(source.split("Metric::").skip(1).filter_map(|call| {
                let (_, arguments) = call.split_once('(')?;
                let (name, _) = arguments.trim_start().strip_prefix('"')?.split_once('"')?;
                Some(name.to_owned())
            }));
        }
    }
    Ok(names)
}
