//! Tags, as all services have them.

use std::collections::BTreeMap;

use crate::{Element, Fault, Parameters};

/// Keys and values.
pub type Tags = BTreeMap<String, String>;

impl Parameters {
    /// The request's `Tags`. Keys with a reserved prefix are refused, and what AWS lets into no tag.
    pub fn tags(&self, reserved: &[&str]) -> Result<Tags, Fault> {
        let tags = self.list("Tags").into_iter().map(|tag| {
            let key = tag.required("Key")?.to_owned();
            let value = tag.owned("Value").unwrap_or_default();
            if reserved.iter().any(|prefix| key.starts_with(prefix)) {
                return Err(Fault::invalid_value("Tag keys cannot start with the reserved prefix."));
            }
            if key.chars().count() > 128 || value.chars().count() > 256 {
                return Err(Fault::invalid_value(
                    "Tag keys have at most 128 characters and values at most 256.",
                ));
            }
            let allowed = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
            if !key.chars().chain(value.chars()).all(allowed) {
                return Err(Fault::invalid_value(
                    "Tag keys and values can only contain Unicode letters, digits, white-space, '_', '.', ':', '/', \
                     '=', '+', '-', '@'.",
                ));
            }
            Ok((key, value))
        });
        tags.collect()
    }
}

impl Element {
    /// With `TagList`.
    #[must_use]
    pub fn tags(self, tags: &Tags) -> Self {
        self.list(
            "TagList",
            tags.iter().map(|(key, value)| Self::new("Tag").text("Key", key).text("Value", value)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_checked() {
        let read = |key: &str| {
            let body = format!("Tags.Tag.1.Key={key}&Tags.Tag.1.Value=v");
            Parameters::parse(body.as_bytes()).unwrap().tags(&["aws:"])
        };
        assert_eq!(read("team").unwrap()["team"], "v");
        for bad in ["aws:x", "a%3Cb", &"k".repeat(129)] {
            assert_eq!(read(bad).unwrap_err().code, "InvalidParameterValue", "{bad}");
        }
    }
}
