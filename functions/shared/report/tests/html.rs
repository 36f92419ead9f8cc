//! The page as text: that nothing from outside breaks out of its place, that it says what the report says, and that it stays
//! within bounds.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use domain::{
    Engine, PlanDocument, RecoveryPointId,
    drill::{
        To, Way,
        history::{History, Loss, Past, Phases, Promised, Verdict},
    },
    retention::Region,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use report::{
    DrillState, Drills, Occasion, Report, State, Unreadable,
    fixture::{HOSTILE, report, with_text_everywhere},
    html,
};
use rstest::rstest;

/// The page's elements and attributes, without their text.
fn tags(page: &str) -> Vec<&str> {
    page.split('<').skip(1).map(|from| from.split('>').next().unwrap_or(from)).collect()
}

/// What every page has, whatever it says: names of elements and of attributes.
fn is_ours(tag: &str) -> bool {
    const ELEMENTS: &[&str] = &[
        "!DOCTYPE",
        "html",
        "head",
        "meta",
        "title",
        "link",
        "style",
        "body",
        "a",
        "header",
        "p",
        "bdi",
        "h1",
        "h2",
        "h3",
        "ul",
        "ol",
        "li",
        "span",
        "div",
        "b",
        "nav",
        "main",
        "section",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "small",
        "svg",
        "desc",
        "line",
        "polyline",
        "text",
        "circle",
        "rect",
        "polygon",
        "figure",
        "figcaption",
        "details",
        "summary",
        "code",
        "dl",
        "dt",
        "dd",
        "footer",
    ];
    let name = tag.trim_start_matches('/').split([' ', '/', '\n']).next().unwrap_or_default();
    ELEMENTS.contains(&name)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_text_becomes_an_element(text in ".{0,80}", markup in "(<[a-z]{1,6} on[a-z]{1,5}=[\"']?|-->|</[a-z]{1,6}>|&[a-z]{1,4};|[\"'>]){0,6}") {
        let hostile = html(&with_text_everywhere(report(3, 1), &format!("{text}{markup}")));
        let calm = html(&with_text_everywhere(report(3, 1), "a"));
        let strip = |page: &str| -> Vec<String> { tags(page).into_iter().filter(|tag| !tag.starts_with("meta")).map(|tag| tag.split(['"', ' ']).next().unwrap_or_default().to_owned()).collect() };
        prop_assert_eq!(strip(&hostile), strip(&calm));
        prop_assert!(tags(&hostile).into_iter().all(is_ours));
    }

    #[test]
    fn what_was_published_is_read_again(count in 0_usize..12, seed in any::<u64>()) {
        let report = report(count, seed);
        let read = Report::parse(report.to_json().as_bytes()).unwrap();
        prop_assert_eq!(html(&read), html(&report));
        prop_assert_eq!(read, report);
    }

    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Report::parse(&bytes).is_err());
    }
}

#[test]
fn hostile_text_is_shown_and_does_nothing() {
    for text in HOSTILE {
        let page = html(&with_text_everywhere(report(5, 2), text));
        assert!(!page.contains("<script") && !page.contains("<img"), "{text}");
        assert!(tags(&page).into_iter().all(is_ours), "{text}");
        assert!(!page.contains('\u{202e}') && !page.contains('\u{0}'), "{text}");
    }
}

#[rstest]
#[case(1, 100_000)]
#[case(30, 600_000)]
#[case(1_000, 5_000_000)]
fn a_page_stays_within_bounds(#[case] count: usize, #[case] most: usize) {
    let page = html(&report(count, 7));
    assert!(page.len() < most, "{} bytes for {count} resources", page.len());
    let named =
        report(count, 7).resources.iter().filter(|one| page.contains(one.resource.name.as_str())).count();
    assert_eq!(named, count, "every resource has its row");
}

#[test]
fn nothing_is_fetched_from_anywhere() {
    let page = html(&report(30, 7));
    for mark in ["http:", "https:", "//", "url(", "@import", "src=", "<script"] {
        let found = page.find(mark).map(|at| &page[at.saturating_sub(60)..page.len().min(at + 60)]);
        let is_example = found.is_some_and(|around| around.contains("s3://"));
        assert!(found.is_none() || is_example, "{mark}: {found:?}");
    }
}

#[test]
fn what_nobody_knows_is_never_well() {
    let mut report = report(20, 7);
    for resource in &mut report.resources {
        resource.state = State::Unknown;
        resource.tiers.clear();
        resource.age = None;
        for day in &mut resource.slots {
            *day = report::Slots { unknown: day.all(), ..Default::default() };
        }
    }
    let page = html(&report);
    assert!(page.contains("20 are not known"), "the summary says so");
    let (_, body) = page.split_once("</header>").unwrap();
    let (table, _) = body.split_once("id=\"findings\"").unwrap();
    assert!(!table.contains("✔") && table.contains("Not known"));
    assert!(page.contains("not known 25 Oct, 26 Oct, 27 Oct and 27 more"));
}

#[rstest]
#[case(0, "Nothing is under a backup plan.")]
#[case(1, "1 protected resource: it is well.")]
fn the_first_sentence(#[case] count: usize, #[case] says: &str) {
    assert_eq!(report(count, 7).summary(), says);
    let mut all = report(7, 7);
    all.resources.iter_mut().for_each(|one| one.state = State::Well);
    assert_eq!(all.summary(), "All 7 protected resources are well.");
    all.resources[0].state = State::AtRisk;
    all.resources[1].state = State::NotProtected;
    assert_eq!(all.summary(), "Of 6 protected resources 1 is at risk, 5 are well.");
}

#[test]
fn another_shape_is_refused() {
    let mut other = report(1, 7);
    other.version = 2;
    let error = Report::parse(other.to_json().as_bytes()).unwrap_err();
    assert!(matches!(error, Unreadable::Version(2)) && error.to_string().contains("version is 2"), "{error}");
    assert_eq!(Occasion::OnDemand.as_str(), "on-demand");
}

#[test]
fn strays_are_counted_where_there_are_any() {
    let mut report = report(1, 7);
    assert!(!html(&report).contains("stray"));
    report.retention.as_mut().unwrap().strays = 2;
    assert!(html(&report).contains("It names 2 strays"));
}

/// A drill of whatever length, size and verdict.
fn any_past() -> impl Strategy<Value = Past> {
    let phase = || proptest::option::of(any::<u64>());
    let phases = (phase(), phase(), phase(), phase(), phase());
    (
        any::<i32>(),
        0_usize..4,
        any::<bool>(),
        any::<u64>(),
        phases,
        proptest::option::of(any::<(u64, bool)>()),
    )
        .prop_map(|(at, way, has_passed, bytes, phases, loss)| {
            let (accepted_ms, creating_ms, first_query_ms, checks_ms, duration_ms) = phases;
            let at = Timestamp::from_second(i64::from(at)).unwrap();
            Past {
                id: at.to_string(),
                way: [Way::Instant, Way::Newest, Way::Older, Way::Copy][way],
                region: Region::Recovery,
                to: To::Point(RecoveryPointId::from("x")),
                asked_at: at,
                judged_at: at,
                verdict: if has_passed {
                    Verdict::Passed
                } else {
                    Verdict::Failed { code: "CheckFailed".to_owned(), says: "no".to_owned() }
                },
                bytes,
                class: None,
                phases: Phases {
                    accepted_ms,
                    creating_ms,
                    first_query_ms,
                    checks_ms,
                    restore_ms: None,
                    duration_ms,
                },
                loss: loss.map(|(most, is_measured)| Loss {
                    is_measured,
                    at_least_ms: most / 2,
                    at_most_ms: most,
                }),
                objectives: Promised { rpo_ms: 0, rto_ms: 0 },
                unchecked: vec!["no index of public.orders".to_owned()],
                cost_micro_usd: u64::MAX,
                set: None,
            }
        })
}

fn drills(past: Vec<Past>, report: &Report) -> Drills {
    let document = PlanDocument::parse(r#"{"plans": {"default": {}}}"#).unwrap();
    Drills::of(History { past }, document.get("default"), report.first_day, report.made_at)
}

/// What is said of drills, without tags.
fn of_drills(page: &str) -> String {
    let (_, from) = page.split_once("<section id=\"drills\"").unwrap();
    let (section, _) = from.split_once("</section>").unwrap();
    section.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever drills measured, and however few or many there are.
    #[test]
    fn no_history_is_too_odd_for_the_page(past in proptest::collection::vec(any_past(), 0..62), most in 0_usize..70) {
        let mut report = report(1, 7);
        let engine = report.resources[0].resource.engine;
        let whole = drills(past, &report);
        let mut drills = whole.clone();
        drills.leave(most, engine);
        prop_assert!(drills.past.len() <= most + 2);
        prop_assert_eq!(drills.last_passed(), whole.last_passed());
        prop_assert_eq!(drills.last_of_loss(engine), whole.last_of_loss(engine));
        report.resources[0].drills = drills;
        let page = html(&report);
        prop_assert!(tags(&page).into_iter().all(is_ours));
        prop_assert!(!page.contains("NaN") && !page.contains("inf\""), "a number that is none");
        let read = Report::parse(report.to_json().as_bytes()).unwrap();
        prop_assert_eq!(read, report);
    }
}

/// Sixty drills, each a little larger and slower than the one before.
fn grown(report: &Report, each_gib: u64) -> Vec<Past> {
    let drill = |at: u64| {
        let asked_at =
            report.made_at - SignedDuration::from_hours(24 * 30 * i64::try_from(59 - at).unwrap() + 48);
        let creating_ms = 600_000 + at * each_gib * 3_000;
        Past {
            id: format!("drill-{at}"),
            way: Way::Instant,
            region: Region::Home,
            to: To::Instant(asked_at),
            asked_at,
            judged_at: asked_at,
            verdict: Verdict::Passed,
            bytes: (100 + at * each_gib) << 30,
            class: None,
            phases: Phases {
                accepted_ms: Some(900),
                creating_ms: Some(creating_ms),
                first_query_ms: Some(4_000),
                checks_ms: Some(60_000),
                restore_ms: Some(creating_ms + 4_000),
                duration_ms: Some(creating_ms + 64_000),
            },
            loss: Some(Loss { is_measured: at.is_multiple_of(2), at_least_ms: 1_000, at_most_ms: 2_000_000 }),
            objectives: Promised { rpo_ms: 900_000, rto_ms: 3_600_000 },
            unchecked: Vec::new(),
            cost_micro_usd: 50_000,
            set: None,
        }
    };
    (0..60).map(drill).collect()
}

#[rstest]
#[case::never(0, 5, &["Never restored", "Never drilled", "never had one"], &["duration by size"])]
#[case::once(1, 5, &["1 drill, 0 of them failed", "took 25 min"], &["duration by size", "take longer"])]
#[case::steady(60, 0, &["60 drills, 0 of them failed"], &["duration by size", "take longer"])]
#[case::growing_slowly(60, 2, &["That growth takes it over the objective within a year is not foreseen."], &["take longer"])]
#[case::growing(60, 14, &["from about October 2027 on restores take longer than 1 h, if it goes on growing as it does: at 1.0 TiB"], &["already"])]
#[case::too_large(60, 20, &["restores take longer than 1 h already: about 1 h 10 min."], &["from about"])]
fn a_history(#[case] count: usize, #[case] each_gib: u64, #[case] says: &[&str], #[case] not: &[&str]) {
    let mut report = report(1, 7);
    let mut past = grown(&report, each_gib);
    past.drain(..60 - count);
    report.resources[0].drills = drills(past, &report);
    let said = of_drills(&html(&report));
    for words in says {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    for words in not {
        assert!(!said.contains(words), "{words:?} is in {said}");
    }
}

#[test]
fn a_loss_is_held_against_the_objective_where_it_is_what_was_promised() {
    let mut report = report(1, 7);
    let all = grown(&report, 0);
    for (way, engine, is_told) in [
        (Way::Instant, Engine::Rds, true),
        (Way::Newest, Engine::Rds, false),
        (Way::Newest, Engine::Redis, true),
        (Way::Newest, Engine::Turso, true),
        (Way::Older, Engine::Turso, false),
        (Way::Copy, Engine::Redis, false),
    ] {
        let past = all.iter().map(|past| Past { way, ..past.clone() }).collect();
        report.resources[0].resource.engine = engine;
        report.resources[0].drills = drills(past, &report);
        let said = of_drills(&html(&report));
        assert_eq!(said.contains("33 min"), is_told, "{way:?} of {engine}: {said}");
        assert_eq!(said.contains("estimated"), is_told, "{way:?} of {engine}");
    }
}

#[test]
fn what_a_drill_that_passed_did_not_check_is_said() {
    let mut report = report(1, 7);
    let mut past = grown(&report, 5);
    past[59].unchecked = vec!["amcheck is not available".to_owned(), "no assertion".to_owned()];
    report.resources[0].drills = drills(past, &report);
    assert!(of_drills(&html(&report)).contains("not checked: amcheck is not available; no assertion"));
}

#[test]
fn a_report_of_before_there_were_drills_is_read() {
    let mut before: serde_json::Value = serde_json::from_str(&report(1, 7).to_json()).unwrap();
    before["resources"][0].as_object_mut().unwrap().remove("drills").unwrap();
    let read = Report::parse(before.to_string().as_bytes()).unwrap();
    assert_eq!(read.resources[0].drills.state, DrillState::Unknown);
    assert!(of_drills(&html(&read)).contains("Not known"));
}
