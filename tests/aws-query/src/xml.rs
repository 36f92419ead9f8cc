//! XML as a small tree, written out by quick-xml, which escapes.

use std::borrow::Cow;

use jiff::Timestamp;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// One element: either text or children.
#[derive(Clone, Debug, Default)]
pub struct Element {
    name: Cow<'static, str>,
    namespace: Option<&'static str>,
    text: Option<String>,
    children: Vec<Element>,
}

impl Element {
    /// An empty element.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// An element with text in it.
    #[expect(clippy::needless_pass_by_value, reason = "callers pass numbers as well as references to text")]
    pub fn of(name: impl Into<Cow<'static, str>>, text: impl ToString) -> Self {
        Self { name: name.into(), text: Some(text.to_string()), ..Self::default() }
    }

    /// With an XML namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: &'static str) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// With one more child.
    #[must_use]
    pub fn with(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    /// With a child that holds text.
    #[must_use]
    pub fn text(self, name: &'static str, text: impl ToString) -> Self {
        self.with(Self::of(name, text))
    }

    /// With a child that holds text, unless there is none: AWS leaves absent values out.
    #[must_use]
    pub fn maybe(self, name: &'static str, text: Option<impl ToString>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// With a child that holds a list, also when that is empty.
    #[must_use]
    pub fn list(self, name: &'static str, items: impl IntoIterator<Item = Self>) -> Self {
        self.with(Self { name: name.into(), children: items.into_iter().collect(), ..Self::default() })
    }

    /// The document with this element as its root.
    pub fn document(&self) -> std::io::Result<Vec<u8>> {
        let mut writer = Writer::new(Vec::new());
        writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        self.write(&mut writer)?;
        Ok(writer.into_inner())
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> std::io::Result<()> {
        let mut start = BytesStart::new(self.name.as_ref());
        if let Some(namespace) = self.namespace {
            start.push_attribute(("xmlns", namespace));
        }
        writer.write_event(Event::Start(start))?;
        if let Some(text) = &self.text {
            writer.write_event(Event::Text(BytesText::new(text)))?;
        }
        for child in &self.children {
            child.write(writer)?;
        }
        writer.write_event(Event::End(BytesEnd::new(self.name.as_ref())))
    }
}

/// A time as AWS writes it in XML: milliseconds and `Z`.
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_absent_values_are_left_out() {
        let element = Element::new("A").text("B", "<&>").maybe("C", None::<String>).list("D", []);
        let xml = String::from_utf8(element.document().unwrap()).unwrap();
        assert!(xml.ends_with("<A><B>&lt;&amp;&gt;</B><D></D></A>"), "{xml}");
    }

    #[test]
    fn times_have_milliseconds() {
        assert_eq!(time("2026-03-01T03:00:00Z".parse().unwrap()), "2026-03-01T03:00:00.000Z");
        assert_eq!(time("2026-03-01T03:00:00.0129Z".parse().unwrap()), "2026-03-01T03:00:00.012Z");
    }
}
