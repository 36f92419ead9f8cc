//! The page in a real browser: that nothing runs, nothing is fetched, nothing is cut off, and nobody is kept out.
//!
//! Where there is no browser these are skipped, with a line that says so; with `TIDEMARK_REQUIRE_BROWSER` set they fail.
//! Pictures of what they saw are in `target/report-pictures`.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod driver;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};
use data_encoding::BASE64;
use report::{
    Report,
    fixture::{HOSTILE, report, with_text_everywhere},
    html,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::driver::Browser;

/// A phone, a tablet, a desk.
const WIDTHS: [u32; 3] = [360, 768, 1280];

/// How high a picture of a part of the page is, and of how many parts there are pictures.
const PART: u32 = 1_600;
const PARTS: u32 = 9;

/// Pages in files, gone with this value.
struct Pages(TempDir);

impl Pages {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn of(&self, name: &str, page: &str) -> PathBuf {
        let path = self.0.path().join(format!("{name}.html"));
        fs::write(&path, page).unwrap();
        path
    }
}

/// Of how many resources, and which.
fn reports() -> Vec<(&'static str, Report)> {
    let mut nothing = report(1, 7);
    nothing.resources.clear();
    vec![
        ("0", nothing),
        ("1", report(1, 7)),
        ("30", report(30, 7)),
        ("1000", report(1_000, 7)),
        ("hostile", hostile()),
    ]
}

/// Every hostile text, in every place, one after the other, and one of 10,000 characters.
fn hostile() -> Report {
    with_text_everywhere(report(12, 3), &format!("{}{}", HOSTILE.concat(), "long ".repeat(2_000)))
}

#[tokio::test]
async fn nothing_runs_and_nothing_is_fetched() -> Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let pages = Pages::new();
    for (name, report) in reports() {
        let page = html(&report);
        // Once more without the policy, behind which a mistake in escaping would not be seen.
        let (policy, rest) = page.split_once("<meta name=\"viewport\"").unwrap();
        let (head, _) = policy.split_once("<meta http-equiv").unwrap();
        let bare = format!("{head}<meta name=\"viewport\"{rest}");
        ensure!(!bare.contains("Content-Security-Policy"));
        for (kind, page) in [("", &page), ("-bare", &bare)] {
            let path = pages.of(&format!("{name}{kind}"), page);
            browser.log("performance").await?;
            browser.open(&path).await?;
            ensure!(browser.run("return window.broken").await? == Value::Null, "{name}{kind}: a script ran");
            let foreign = "return [...document.querySelectorAll('script, img, iframe, object, embed, form, base, audio, video')].length + \
                 [...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).filter(a => a.name.startsWith('on')).length + \
                 [...document.links].filter(a => !a.getAttribute('href').startsWith('#')).length";
            ensure!(browser.run(foreign).await? == 0, "{name}{kind}: an element that the page does not make");
            ensure!(
                browser.log("browser").await? == Vec::<Value>::new(),
                "{name}{kind}: something in the console"
            );
            let own = format!("file://{}", path.display());
            let fetched = fetched(&browser, &own).await?;
            ensure!(fetched == [own], "{name}{kind}: it fetched {fetched:?}");
        }
    }
    browser.close().await
}

/// The addresses that the page asked for since the last time, apart from what is in it.
async fn fetched(browser: &Browser, page: &str) -> Result<Vec<String>> {
    let entries = browser.log("performance").await?;
    let request = |entry: &Value| {
        let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
        let is_request = message["message"]["method"] == "Network.requestWillBeSent";
        let is_its = message["message"]["params"]["documentURL"] == page;
        let url = message["message"]["params"]["request"]["url"].as_str()?.to_owned();
        (is_request && is_its && !url.starts_with("data:")).then_some(url)
    };
    Ok(entries.iter().filter_map(request).collect())
}

#[tokio::test]
async fn nothing_is_wider_than_the_window() -> Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let pages = Pages::new();
    for (name, report) in reports() {
        browser.open(&pages.of(name, &html(&report))).await?;
        for width in WIDTHS {
            resize(&browser, width).await?;
            let wide = browser.run("return document.documentElement.scrollWidth").await?;
            ensure!(wide.as_u64() <= Some(width.into()), "{name} is {wide} wide in a window of {width}");
            let out = "return [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, svg, .skip') && \
                 (e.getBoundingClientRect().right > innerWidth + 1 || e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && \
                 getComputedStyle(e).display != 'inline')).map(e => e.outerHTML.slice(0, 120))";
            let out = browser.run(out).await?;
            ensure!(out == json!([]), "{name} at {width}: {out}");
        }
    }
    browser.close().await
}

async fn resize(browser: &Browser, width: u32) -> Result<()> {
    let metrics = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
    browser.command("Emulation.setDeviceMetricsOverride", metrics).await.map(drop)
}

async fn prefer(browser: &Browser, scheme: &str) -> Result<()> {
    let media = json!({"media": "", "features": [{"name": "prefers-color-scheme", "value": scheme}]});
    browser.command("Emulation.setEmulatedMedia", media).await.map(drop)
}

#[tokio::test]
async fn nobody_is_kept_out() -> Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let tools = toolbox::install(toolbox::Set::Browser, &toolbox::Silent).await?;
    let axe = fs::read_to_string(&tools.axe)?;
    let pages = Pages::new();
    for (name, report) in reports().into_iter().filter(|(name, _)| *name != "1000") {
        browser.open(&pages.of(name, &html(&report))).await?;
        browser.run(&axe).await?;
        for scheme in ["light", "dark"] {
            prefer(&browser, scheme).await?;
            for width in [360, 1280] {
                resize(&browser, width).await?;
                // WCAG 2.2 AA, contrast among it, and what axe thinks good practice.
                let found = browser.promise("axe.run(document, {resultTypes: ['violations']}).then(found => \
                    ({ran: found.passes.length, wrong: found.violations.map(v => [v.id, v.help, v.nodes.length, v.nodes[0].html, v.nodes[0].failureSummary])}))").await?;
                ensure!(found["ran"].as_u64() > Some(20), "axe did not run: {found}");
                ensure!(found["wrong"] == json!([]), "{name}, {scheme}, {width}: {:#}", found["wrong"]);
            }
        }
        let [light, dark] = [background(&browser, "light").await?, background(&browser, "dark").await?];
        ensure!(light != dark, "the page does not follow the reader's colours: {light}");
    }
    browser.close().await
}

async fn background(browser: &Browser, scheme: &str) -> Result<Value> {
    prefer(browser, scheme).await?;
    browser.run("return getComputedStyle(document.documentElement).backgroundColor").await
}

#[tokio::test]
async fn the_table_of_contents_leads_there() -> Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let pages = Pages::new();
    browser.open(&pages.of("toc", &html(&report(30, 7)))).await?;
    let sections = browser.run("return document.querySelectorAll('main > section').length").await?;
    let links = browser.run("return document.querySelectorAll('nav a').length").await?;
    ensure!(sections == links && links.as_u64() > Some(8), "{links} links to {sections} sections");
    for at in 0..links.as_u64().unwrap_or_default() {
        let top = browser
            .run(&format!(
                "const link = document.querySelectorAll('nav a')[{at}]; link.click(); \
                 const to = document.querySelector(location.hash); const rest = document.documentElement.scrollHeight - scrollY - innerHeight; \
                 return rest < 2 ? 0 : to.getBoundingClientRect().top"
            ))
            .await?;
        ensure!(top.as_f64().is_some_and(|top| top.abs() < 40.0), "link {at} leads to {top}");
    }
    browser.close().await
}

#[tokio::test]
async fn every_chart_has_words() -> Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let pages = Pages::new();
    browser.open(&pages.of("charts", &html(&report(30, 7)))).await?;
    // As a screen reader is told them.
    let nodes = browser.command("Accessibility.getFullAXTree", json!({})).await?;
    let images: Vec<(&str, &str)> = nodes["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|node| node["role"]["value"] == "image")
        .map(|node| {
            (
                node["name"]["value"].as_str().unwrap_or(""),
                node["description"]["value"].as_str().unwrap_or(""),
            )
        })
        .collect();
    ensure!(images.len() > 12, "{images:?}");
    ensure!(images.iter().all(|(name, says)| !name.is_empty() && says.ends_with('.')), "{images:?}");
    browser.close().await
}

#[tokio::test]
async fn it_can_be_printed_and_looked_at() -> Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let pictures = toolbox::target().join("report-pictures");
    fs::create_dir_all(&pictures)?;
    let pages = Pages::new();
    for (name, report) in reports() {
        browser.open(&pages.of(name, &html(&report))).await?;
        for (scheme, width) in [("light", 1280), ("dark", 1280), ("light", 360)] {
            prefer(&browser, scheme).await?;
            resize(&browser, width).await?;
            for part in 0..PARTS {
                let Some(clip) = clip(&browser, part).await? else { break };
                let shot = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
                let shot = browser.command("Page.captureScreenshot", shot).await?;
                save(&pictures.join(format!("{name}-{scheme}-{width}-{part}.png")), &shot["data"])?;
            }
        }
        // In the dark, too, paper is white.
        prefer(&browser, "dark").await?;
        let printed = browser
            .command("Page.printToPDF", json!({"printBackground": true, "preferCSSPageSize": true}))
            .await?;
        let pdf = save(&pictures.join(format!("{name}.pdf")), &printed["data"])?;
        let sheets = pdf.windows(11).filter(|at| at == b"/Type /Page").count();
        ensure!((1..60).contains(&sheets), "{name} prints on {sheets} sheets");
    }
    browser.close().await
}

/// A part of the page, from the top down.
async fn clip(browser: &Browser, part: u32) -> Result<Option<Value>> {
    let height =
        browser.run("return document.documentElement.scrollHeight").await?.as_u64().unwrap_or_default();
    let (top, width) = (u64::from(part * PART), browser.run("return innerWidth").await?);
    let clip = json!({"x": 0, "y": top, "width": width, "height": u64::from(PART).min(height.saturating_sub(top)), "scale": 1});
    Ok((top < height).then_some(clip))
}

fn save(path: &Path, base64: &Value) -> Result<Vec<u8>> {
    let bytes = BASE64.decode(base64.as_str().unwrap_or_default().as_bytes())?;
    fs::write(path, &bytes)?;
    Ok(bytes)
}
