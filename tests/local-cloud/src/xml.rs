//! The little XML that this crate reads: `CloudFormation`'s and S3's lists.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::Error;

/// An element: its name without namespace, its text, its children.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// The document's root.
    pub(crate) fn parse(what: &str, document: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::from_reader(document);
        let mut open = vec![Self::default()];
        let broken = |error: quick_xml::Error| Error::unexpected(what, error.to_string());
        loop {
            match reader.read_event().map_err(broken)? {
                Event::Start(tag) => open.push(Self::named(tag.local_name().as_ref())),
                Event::Empty(tag) => {
                    let element = Self::named(tag.local_name().as_ref());
                    if let Some(parent) = open.last_mut() {
                        parent.children.push(element);
                    }
                }
                Event::Text(text) => {
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&text);
                    }
                }
                Event::GeneralRef(reference) => {
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(character(&reference));
                    }
                }
                Event::End(_) => {
                    if let (Some(element), Some(parent)) = (open.pop(), open.last_mut()) {
                        parent.children.push(element);
                    }
                }
                Event::Eof => break,
                _ => {}
            }
        }
        let root = open.into_iter().next().and_then(|document| document.children.into_iter().next());
        root.ok_or_else(|| Error::unexpected(what, String::from_utf8_lossy(document)))
    }

    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Every descendant of this name, in document order.
    pub(crate) fn all<'a>(&'a self, name: &str) -> Vec<&'a Self> {
        let mut found = Vec::new();
        for child in &self.children {
            if child.name == name {
                found.push(child);
            }
            found.extend(child.all(name));
        }
        found
    }

    /// The text of a child; empty if there is none.
    pub(crate) fn text_of(&self, name: &str) -> &str {
        self.children.iter().find(|child| child.name == name).map_or("", |child| child.text.as_str())
    }
}

fn character(reference: &str) -> &'static str {
    match reference {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => "\u{fffd}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_found_wherever_they_are() {
        let document =
            br#"<?xml version="1.0"?><A xmlns="x"><R><member><K>a&amp;b</K></member><member><K>c</K></member>
            <member/></R></A>"#;
        let root = Element::parse("a list", document).unwrap();
        let keys: Vec<&str> = root.all("member").iter().map(|member| member.text_of("K")).collect();
        assert_eq!(keys, ["a&b", "c", ""]);
        assert!(Element::parse("nothing", b"").is_err());
    }
}
