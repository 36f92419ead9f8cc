//! Numbers, times and names as people read them.

use domain::{Engine, drill::Way};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use crate::{DrillState, KeptAs, Occasion, State};

/// So many characters of somebody else's word are shown: a name is shorter, and what is longer is no name.
pub(crate) const NAME: usize = 120;
/// The same of a sentence.
pub(crate) const SENTENCE: usize = 600;

/// Somebody else's words, for one place on the page: without marks that reorder text or cannot be seen, and not longer than
/// `most` characters. What was taken out is said.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let mut plain = String::with_capacity(text.len().min(4 * most));
    for (at, c) in text.chars().enumerate() {
        if at == most {
            plain.push_str("… (");
            plain.push_str(&text.chars().count().to_string());
            plain.push_str(" characters)");
            break;
        }
        match c {
            '\n' | '\r' | '\t' => plain.push(' '),
            // What turns the direction of text (Unicode, UAX 9), and what cannot be seen.
            // Joiners are part of words and of emoji.
            '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{61c}'
            | '\u{feff}' => {
                plain.push('\u{fffd}');
            }
            c if c.is_control() => plain.push('\u{fffd}'),
            c => plain.push(c),
        }
    }
    plain
}

/// `23 November 2026`.
pub(crate) fn day(date: Date) -> String {
    date.strftime("%-d %B %Y").to_string()
}

/// `23 Nov`.
pub(crate) fn short_day(date: Date) -> String {
    date.strftime("%-d %b").to_string()
}

/// `November 2026`.
pub(crate) fn month(at: Timestamp) -> String {
    at.strftime("%B %Y").to_string()
}

/// `Nov 2026`.
pub(crate) fn short_month(at: Timestamp) -> String {
    at.strftime("%b %Y").to_string()
}

pub(crate) fn date_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// `23 Nov 2026, 06:30 UTC`.
pub(crate) fn moment(at: Timestamp) -> String {
    at.strftime("%-d %b %Y, %H:%M UTC").to_string()
}

/// `4 min`, `2 h 10 min`, `3 d 4 h`: the two largest units.
pub(crate) fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let units = [("d", seconds / 86_400), ("h", seconds / 3_600 % 24), ("min", seconds / 60 % 60)];
    let first = units.iter().position(|(_, count)| *count > 0);
    let said: Vec<String> = first.map_or_else(Vec::new, |first| {
        let two = units.iter().skip(first).take(2).filter(|(_, count)| *count > 0);
        two.map(|(unit, count)| format!("{count} {unit}")).collect()
    });
    if said.is_empty() { format!("{seconds} s") } else { said.join(" ") }
}

pub(crate) fn milliseconds(ms: i64) -> String {
    if (0..1_000).contains(&ms) {
        format!("{ms} ms")
    } else {
        duration(SignedDuration::from_millis(ms).as_secs())
    }
}

/// `3.4 GiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    // The largest unit of which there is at least one.
    let at = (bytes.ilog2() / 10).min(5);
    let tenths = (u128::from(bytes) * 10) >> (10 * at);
    let unit = UNITS[at as usize - 1];
    if tenths < 100 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", tenths / 10)
    }
}

/// `$12.40`; below a cent `under $0.01`.
pub(crate) fn usd(micro: u64) -> String {
    let cents = micro.saturating_add(5_000) / 10_000;
    match (micro, cents) {
        (0, _) => "$0.00".to_owned(),
        (_, 0) => "under $0.01".to_owned(),
        _ => format!("${}.{:02}", thousands(cents / 100), cents % 100),
    }
}

/// `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut said = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            said.push(',');
        }
        said.push(digit);
    }
    said
}

/// `1 database`, `2 databases`.
pub(crate) fn count(number: usize, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", thousands(number as u64))
}

pub(crate) const fn engine(engine: Engine) -> &'static str {
    match engine {
        Engine::Rds => "RDS PostgreSQL",
        Engine::Redis => "Redis and Valkey",
        Engine::Turso => "Turso",
        Engine::Tidemark => "Tidemark",
    }
}

/// The symbol of a state, and the word: never the colour alone.
pub(crate) const fn state(state: State) -> (&'static str, &'static str) {
    match state {
        State::AtRisk => ("✖", "At risk"),
        State::Unknown => ("?", "Not known"),
        State::NeedsALook => ("▲", "Needs a look"),
        State::Well => ("✔", "Well"),
        State::NotProtected => ("–", "Not protected"),
    }
}

/// How drills stand: the class, the symbol, and the words.
pub(crate) const fn drills(state: DrillState) -> (&'static str, &'static str, &'static str) {
    match state {
        DrillState::Never => ("bad", "✖", "Never drilled"),
        DrillState::Failed => ("bad", "✖", "Failed"),
        DrillState::Overdue => ("warn", "▲", "Overdue"),
        DrillState::Unknown => ("unknown", "?", "Not known"),
        DrillState::Passed => ("good", "✔", "Passed"),
        DrillState::NotWanted => ("off", "–", "Not drilled"),
    }
}

/// From what a drill restored.
pub(crate) const fn way(way: Way) -> &'static str {
    match way {
        Way::Instant => "to a second",
        Way::Newest => "the newest recovery point",
        Way::Older => "an older recovery point",
        Way::Copy => "a copy",
    }
}

/// What stands behind a state in class names.
pub(crate) const fn class(state: State) -> &'static str {
    match state {
        State::AtRisk => "bad",
        State::Unknown => "unknown",
        State::NeedsALook => "warn",
        State::Well => "good",
        State::NotProtected => "off",
    }
}

pub(crate) const fn kept_as(kept: KeptAs) -> &'static str {
    match kept {
        KeptAs::Daily => "Daily",
        KeptAs::Weekly => "Weekly",
        KeptAs::Monthly => "Monthly",
        KeptAs::Annual => "Annual",
        KeptAs::Otherwise => "Kept besides",
        KeptAs::Expired => "Expired",
    }
}

pub(crate) const fn occasion(occasion: Occasion) -> &'static str {
    match occasion {
        Occasion::Weekly => "Weekly report",
        Occasion::Monthly => "Monthly report",
        Occasion::OnDemand => "Report on demand",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0 s")]
    #[case(59, "59 s")]
    #[case(60, "1 min")]
    #[case(7_800, "2 h 10 min")]
    #[case(86_400, "1 d")]
    #[case(86_400 + 120, "1 d")]
    #[case(90_000, "1 d 1 h")]
    #[case(-5, "0 s")]
    fn durations(#[case] seconds: i64, #[case] said: &str) {
        assert_eq!(duration(seconds), said);
    }

    #[rstest]
    #[case(0, "0 B")]
    #[case(1_023, "1023 B")]
    #[case(1_024, "1.0 KiB")]
    #[case(1_536, "1.5 KiB")]
    #[case(100 << 30, "100 GiB")]
    #[case(u64::MAX, "16383 PiB")]
    fn sizes(#[case] size: u64, #[case] said: &str) {
        assert_eq!(bytes(size), said);
    }

    #[rstest]
    #[case(0, "$0.00")]
    #[case(4_999, "under $0.01")]
    #[case(12_345_678, "$12.35")]
    #[case(1_234_567_000_000, "$1,234,567.00")]
    #[case(u64::MAX, "$18,446,744,073,709.55")]
    fn money(#[case] micro: u64, #[case] said: &str) {
        assert_eq!(usd(micro), said);
    }

    proptest! {
        #[test]
        fn nothing_that_hides_or_turns_text_is_left(text in "[a-z\u{200b}\u{200e}\u{200f}\u{202a}-\u{202e}\u{2066}-\u{2069}\u{0}-\u{1f}]{0,300}") {
            let plain = plain(&text, NAME);
            prop_assert!(plain.chars().all(|c| c.is_ascii_graphic() || " …\u{fffd}".contains(c)), "{plain:?}");
            prop_assert!(plain.chars().count() <= NAME + 20);
        }
    }
}
