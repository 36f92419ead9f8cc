//! A request's parameters: flat names such as `Tags.Tag.2.Key`, read as the tree they stand for.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::Fault;

/// Named values; a list's items are [`Parameters`] of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads `application/x-www-form-urlencoded`.
    pub fn parse(body: &[u8]) -> Result<Self, Fault> {
        if std::str::from_utf8(body).is_err() {
            return Err(Fault::malformed("The request is not form-encoded UTF-8."));
        }
        Ok(Self(form_urlencoded::parse(body).into_owned().collect()))
    }

    /// A value; an empty one counts as absent, as on AWS.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A value that must be there.
    pub fn required(&self, name: &str) -> Result<&str, Fault> {
        self.get(name).ok_or_else(|| {
            Fault::missing_parameter(format!("The request must contain the parameter {name}."))
        })
    }

    /// A value of the caller's own.
    pub fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// `true` or `false`.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Fault> {
        self.read(name, |text| match text.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        })
    }

    /// A whole number.
    pub fn integer(&self, name: &str) -> Result<Option<u32>, Fault> {
        self.read(name, |text| text.parse().ok())
    }

    /// An instant, in RFC 3339.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, Fault> {
        self.read(name, |text| text.parse().ok())
    }

    fn read<T>(&self, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Fault> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match parse(text) {
            Some(value) => Ok(Some(value)),
            None => Err(Fault::invalid_value(format!("Invalid value {text} for the parameter {name}."))),
        }
    }

    /// The items of `list`, in their numbers' order. On the wire each is `LIST.ITEM.NUMBER…`, where ITEM is the name
    /// that the service model gives it; `member` is taken too, as AWS does.
    pub fn list(&self, list: &str) -> Vec<Self> {
        let mut items: BTreeMap<u32, BTreeMap<String, String>> = BTreeMap::new();
        let prefix = format!("{list}.");
        for (name, value) in self.0.range(prefix.clone()..) {
            let Some(rest) = name.strip_prefix(&prefix) else { break };
            let mut parts = rest.splitn(3, '.').skip(1);
            let Some(Ok(number)) = parts.next().map(str::parse) else { continue };
            items.entry(number).or_default().insert(parts.next().unwrap_or("").to_owned(), value.clone());
        }
        items.into_values().map(Self).collect()
    }

    /// The items of a list of plain strings.
    pub fn strings(&self, list: &str) -> Vec<String> {
        self.list(list).into_iter().filter_map(|mut item| item.0.remove("")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Parameters {
        Parameters::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn lists_nest_and_keep_numeric_order() {
        let filters = (1..=11).rev().fold(String::from("X=1"), |body, n| {
            format!("{body}&Filters.Filter.{n}.Name=n{n}&Filters.Filter.{n}.Values.Value.2=b&Filters.Filter.{n}.Values.Value.1=a")
        });
        let filters = parse(&filters).list("Filters");
        let names: Vec<_> = filters.iter().filter_map(|filter| filter.get("Name")).collect();
        assert_eq!(names[..3], ["n1", "n2", "n3"]);
        assert_eq!(names.len(), 11);
        assert_eq!(filters[0].strings("Values"), ["a", "b"]);
    }

    #[test]
    fn values_are_decoded() {
        let tags = parse("Tags.Tag.1.Key=a+b&Tags.Tag.1.Value=%C3%A9%26&TagKeys.member.1=x").list("Tags");
        assert_eq!(tags[0].get("Key"), Some("a b"));
        assert_eq!(tags[0].get("Value"), Some("é&"));
    }

    #[test]
    fn a_list_is_not_taken_for_another_with_a_longer_name() {
        let parameters = parse("TagsExtra.Tag.1.Key=no&Tags.Tag.1.Key=yes");
        assert_eq!(parameters.list("Tags").len(), 1);
    }

    #[test]
    fn a_wrong_value_is_named() {
        let fault = parse("MaxRecords=many").integer("MaxRecords").unwrap_err();
        assert_eq!(fault.code, "InvalidParameterValue");
        assert!(fault.message.contains("MaxRecords"), "{}", fault.message);
        assert_eq!(parse("A=").required("A").unwrap_err().code, "MissingParameter");
        assert_eq!(parse("T=2026-03-01T03:00:00.5Z").time("T").unwrap().unwrap().subsec_millisecond(), 500);
        assert_eq!(Parameters::parse(&[0xff]).unwrap_err().code, "MalformedQueryString");
    }
}
