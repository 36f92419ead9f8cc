//! What holds of all pages.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    PAGES,
    common::cloud,
    page::{Page, has_form_of, is_event},
    shell::follow,
};

const HEADINGS: [&str; 5] =
    ["When to use it", "How long it takes", "Steps", "How to know that it worked", "What to tell others"];

/// Not situations: the index, and what each alert means.
const OTHERS: [&str; 2] = ["README", "alerts"];

fn folder() -> PathBuf {
    toolbox::workspace().join("docs/runbooks")
}

/// The names of all pages.
fn names() -> Result<BTreeSet<String>> {
    let files = std::fs::read_dir(folder())?.collect::<Result<Vec<_>, _>>()?;
    let name = |file: &std::fs::DirEntry| Some(file.file_name().to_str()?.strip_suffix(".md")?.to_owned());
    Ok(files.iter().filter_map(name).collect())
}

fn events() -> Result<BTreeMap<String, Value>> {
    let mut events = BTreeMap::new();
    for file in std::fs::read_dir(toolbox::workspace().join("events"))? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().and_then(|name| name.to_str()).context("a name")?.to_owned();
            events.insert(name, serde_json::from_str(&std::fs::read_to_string(&path)?)?);
        }
    }
    Ok(events)
}

#[test]
fn each_page_is_followed_and_in_the_index() -> Result<()> {
    let followed: BTreeSet<&str> = PAGES.iter().copied().chain(["alerts"]).collect();
    let names = names()?;
    assert_eq!(names.iter().map(String::as_str).collect::<BTreeSet<_>>(), followed);
    let index = Page::read("README")?.text;
    for name in names.iter().filter(|name| *name != "README") {
        ensure!(index.contains(&format!("]({name}.md)")), "the index does not lead to {name}.md");
    }
    let readme = std::fs::read_to_string(toolbox::workspace().join("README.md"))?;
    let screen: String = readme.lines().take(10).collect();
    ensure!(
        screen.contains("](docs/runbooks/README.md)"),
        "README's first screen does not lead to the runbooks"
    );
    Ok(())
}

#[test]
fn each_page_has_the_five_headings() -> Result<()> {
    for name in names()?.iter().filter(|name| !OTHERS.contains(&name.as_str())) {
        let page = Page::read(name)?;
        assert_eq!(page.headings(), HEADINGS, "{name}.md");
        ensure!(page.text.starts_with("# "), "{name}.md has no title");
        ensure!(!page.examples()?.is_empty(), "{name}.md asks for nothing");
    }
    Ok(())
}

/// A page that sends what no event file shows, or names a file that there is not, is wrong on one of both sides.
#[test]
fn payloads_are_those_of_the_events() -> Result<()> {
    let events = events()?;
    for name in PAGES {
        let page = Page::read(name)?;
        let asked = page.commands()?.matches("ask ").count();
        let payloads = page.payloads()?;
        assert_eq!(payloads.len(), asked, "{name}.md: an `ask` that was not understood");
        for payload in payloads {
            let of_it = format!("{}-", payload.function);
            let mut its = events.iter().filter(|(event, _)| event.starts_with(&of_it));
            ensure!(
                its.any(|(_, event)| is_event(&payload.body, event)),
                "{name}.md: no event is {payload:?}"
            );
        }
    }
    for name in names()? {
        let text = Page::read(&name)?.text;
        for (at, _) in text.match_indices("events/") {
            let named: String = text[at + 7..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "-.*".contains(*c))
                .collect();
            let stem = named.strip_suffix(".json").unwrap_or_default();
            ensure!(
                stem.is_empty() || stem.contains('*') || events.contains_key(stem),
                "{name}.md names events/{named}"
            );
        }
    }
    Ok(())
}

/// All pages for people.
fn documents() -> Result<Vec<PathBuf>> {
    let root = toolbox::workspace();
    let mut pages = vec![root.join("README.md"), root.join("events/README.md")];
    markdown(&root.join("docs"), &mut pages)?;
    Ok(pages)
}

/// What follows `aws lambda invoke` in a text, on one line: the function, and what it is sent.
fn invoked(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    text.split("aws lambda invoke ")
        .skip(1)
        .map(|rest| rest.lines().next().unwrap_or_default().to_owned())
        .collect()
}

/// Whoever copies a command has the CLI's version 1 or 2: what only one of them understands stands nowhere.
#[test]
fn commands_elsewhere_send_what_the_events_show() -> Result<()> {
    let (events, mut found) = (events()?, 0);
    for path in documents()? {
        let text = std::fs::read_to_string(&path)?;
        ensure!(!text.contains("--cli-binary-format"), "{}: version 1 knows no such option", path.display());
        for command in invoked(&text).iter().filter(|command| command.contains("<<<'")) {
            let part = |begins: &str, end: char| command.split_once(begins)?.1.split(end).next();
            let stack = part("--function-name tidemark-", ' ').unwrap_or_default();
            let function = stack.split_once('-').map_or(stack, |(_, function)| function);
            let body: Value = serde_json::from_str(part("<<<'", '\'').unwrap_or_default())
                .with_context(|| format!("{}: no JSON: {command}", path.display()))?;
            let mut its = events.iter().filter(|(event, _)| event.starts_with(&format!("{function}-")));
            ensure!(
                its.any(|(_, event)| has_form_of(&body, event)),
                "{}: no event is like {command}",
                path.display()
            );
            found += 1;
        }
    }
    ensure!(found > 10, "{found} commands were found");
    Ok(())
}

fn markdown(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        if path.is_dir() {
            markdown(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    Ok(())
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let plain = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = plain.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The targets of a text's links, without those in code.
fn links(text: &str) -> Vec<&str> {
    let targets = text.match_indices("](").filter_map(|(at, _)| text[at + 2..].split_once(')'));
    targets.map(|(target, _)| target).filter(|target| !target.contains(['\n', ' '])).collect()
}

#[test]
fn links_lead_somewhere() -> Result<()> {
    let mut broken = Vec::new();
    for page in documents()? {
        let text = std::fs::read_to_string(&page)?;
        for link in links(&text) {
            if link.contains("://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let leads = target.exists()
                && (heading.is_empty() || {
                    let text = std::fs::read_to_string(&target)?;
                    text.lines().any(|line| line.starts_with('#') && anchor(line) == heading)
                });
            if !leads {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    ensure!(broken.is_empty(), "{broken:#?}");
    Ok(())
}

/// Of a restore, what it lost, and a drill, whose entries are in the ledger.
pub(crate) async fn how_long_it_took(page: &str) -> Result<()> {
    for (kind, subject) in [("restore-completed", "restore-told"), ("drill-passed", "drill-told")] {
        let entry = json!({
            "at": "2026-11-22T03:47:11Z", "function": "run-drill", "kind": kind, "resource": "rds/told", "subject": subject,
            "region": "us-east-1", "outcome": "completed", "duration_ms": 754_321
        });
        let key = format!("ledger/2026-11-22/rds/told/{subject}/us-east-1/{kind}.json");
        cloud().put_object(cloud().stack().vault_bucket(), &key, entry.to_string()).await?;
    }
    let entry = json!({
        "at": "2026-11-22T03:48:00Z", "function": "run-drill", "kind": "restore-measured", "resource": "rds/told", "subject": "restore-told",
        "region": "us-east-1", "outcome": "completed", "restored_as": "told-2", "not_read": null, "first_failure": null,
        "loss": {"is_measured": true, "at_least_ms": 0, "at_most_ms": 42_123}
    });
    let key = "ledger/2026-11-22/rds/told/restore-told/us-east-1/restore-measured.json";
    cloud().put_object(cloud().stack().vault_bucket(), key, entry.to_string()).await?;
    let printed = follow(page, &[("STAGE", "dev"), ("AWS_REGION", &cloud().stack().home_region)]).await?;
    for kind in ["restore-completed", "drill-passed"] {
        ensure!(printed.contains(&format!("{kind} rds/told us-east-1 754321")), "{printed}");
    }
    ensure!(printed.contains("rds/told told-2 measured 0 to 42123 ms"), "{printed}");
    Ok(())
}
