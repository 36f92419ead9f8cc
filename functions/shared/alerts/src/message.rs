use std::collections::BTreeMap;

use serde_json::{Value, json};

/// One message to everybody who subscribes.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// What names it: said twice, it is the same message.
    pub id: String,
    /// For e-mail; made by [`subject`].
    pub subject: String,
    /// For people: e-mail.
    pub text: String,
    /// For programs: SQS, Lambda, and whatever has no form of its own.
    pub json: Value,
    /// For Slack and Teams, in the schema that AWS's chat integration reads from an HTTPS subscription.
    pub chat: Value,
    /// For filter policies. Several values make a `String.Array`, which matches if one of them does.
    pub attributes: BTreeMap<&'static str, Vec<String>>,
}

impl Message {
    /// One text for each protocol (SNS guide, "Sending different message payloads"). The default goes to SQS, Lambda and
    /// whatever else is a program; together with the attributes they may be 256 KB.
    pub fn bodies(&self) -> String {
        let bodies = json!({
            "default": self.json.to_string(),
            "email": self.text,
            "https": self.chat.to_string(),
            "http": self.chat.to_string(),
            "sms": self.subject,
        });
        bodies.to_string()
    }

    /// The same in the fewest words, for when SNS refuses the whole.
    #[must_use]
    pub fn bare(&self, why: &str) -> Self {
        let why = plain(why, 300);
        let text =
            format!("{}\n\nThe whole message was refused: {why}\n\nMessage {}.", self.subject, self.id);
        let kept = ["event", "severity", "kind", "engine"];
        let attributes = self.attributes.iter().filter(|(name, _)| kept.contains(*name));
        Self {
            id: self.id.clone(),
            subject: self.subject.clone(),
            json: json!({"id": self.id, "subject": self.subject, "refused": why}),
            chat: json!({"version": "1.0", "source": "custom", "content": {"description": text}}),
            attributes: attributes.map(|(name, values)| (*name, values.clone())).collect(),
            text,
        }
    }
}

/// The longest subject: SNS takes fewer than 100 characters (API reference, `Publish`).
const SUBJECT: usize = 99;

/// A subject that SNS takes: printable ASCII, no line break, begins with a letter, digit or punctuation mark, fewer than
/// 100 characters (API reference, `Publish`). Whatever else is in `text` becomes a question mark or a space.
pub fn subject(text: &str) -> String {
    let printable = text.chars().map(|c| match c {
        ' '..='~' => c,
        c if c.is_whitespace() || c.is_control() => ' ',
        _ => '?',
    });
    let mut subject: String = printable.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ");
    if subject.len() > SUBJECT {
        subject.truncate(SUBJECT - 3);
        subject.push_str("...");
    }
    if subject.is_empty() { "Tidemark".to_owned() } else { subject }
}

/// Somebody else's words (an error message, a name), for one line of a message: without control characters, line breaks
/// or marks that reorder text, at most `most` characters.
pub fn plain(text: &str, most: usize) -> String {
    // U+202A to U+202E and U+2066 to U+2069 turn the direction of what follows (Unicode, UAX 9).
    let hides = |c: char| {
        c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let spaced: String = text.chars().map(|c| if hides(c) || c.is_whitespace() { ' ' } else { c }).collect();
    let mut plain = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = plain.char_indices().nth(most) {
        plain.truncate(cut);
        plain.push('…');
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Tidemark: rds/orders", "Tidemark: rds/orders")]
    #[case("a\r\nBcc: everyone@example.com", "a Bcc: everyone@example.com")]
    #[case("\t\u{7}\n", "Tidemark")]
    #[case("Größe 🔥", "Gr??e ?")]
    fn subjects(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(subject(text), expected);
    }

    #[test]
    fn plain_hides_nothing() {
        assert_eq!(plain("a\u{202e}txt\u{0}.exe\n\nb", 100), "a txt .exe b");
        assert_eq!(plain("äöü", 2), "äö…");
    }

    proptest! {
        #[test]
        fn every_subject_is_one_that_sns_takes(text in ".*") {
            let subject = subject(&text);
            prop_assert!(!subject.is_empty() && subject.len() < 100);
            prop_assert!(subject.chars().all(|c| (' '..='~').contains(&c)) && !subject.starts_with(' '));
        }
    }
}
