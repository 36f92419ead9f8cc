//! The page as text: that nothing from outside breaks out of its place, that it says what the report says, and that it stays
//! within bounds.

use proptest::prelude::*;
use report::{
    Occasion, Report, State, Unreadable,
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
