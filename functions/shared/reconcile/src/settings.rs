use std::{cell::RefCell, collections::BTreeMap, ops::RangeInclusive};

use crate::{Error, Result};

/// A function's environment variables, read with every missing or bad one named in a single error.
#[derive(Debug)]
pub struct Settings {
    variables: BTreeMap<String, String>,
    problems: RefCell<Vec<String>>,
}

impl Settings {
    /// Those of this process.
    pub fn from_environment() -> Self {
        Self::new(
            std::env::vars_os()
                .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// Those given.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { variables: variables.into_iter().collect(), problems: RefCell::default() }
    }

    /// The value of `key`. When it is missing, the empty string, and [`Settings::check`] will say so.
    pub fn required(&self, key: &str) -> String {
        self.optional(key).unwrap_or_else(|| {
            self.problems.borrow_mut().push(format!("{key} is not set"));
            String::new()
        })
    }

    /// The value of `key`, if it is there and not empty.
    pub fn optional(&self, key: &str) -> Option<String> {
        self.variables.get(key).filter(|value| !value.is_empty()).cloned()
    }

    /// The number at `key`. When it is missing or not within `allowed`, the least of these, and [`Settings::check`] will
    /// say so.
    pub fn number(&self, key: &str, allowed: RangeInclusive<i64>) -> i64 {
        let text = self.required(key);
        match text.parse() {
            Ok(number) if allowed.contains(&number) => number,
            _ => {
                if !text.is_empty() {
                    let (low, high) = (allowed.start(), allowed.end());
                    let problem = format!("{key} is {text:?}, not a whole number from {low} to {high}");
                    self.problems.borrow_mut().push(problem);
                }
                *allowed.start()
            }
        }
    }

    /// Fails if anything asked for was missing, naming all of it.
    pub fn check(&self) -> Result<()> {
        let problems = self.problems.borrow();
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::misconfigured(
            "EnvironmentIncomplete",
            format!("{}; infra/template.yaml sets these: deploy it again", problems.join("; ")),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_every_missing_variable() {
        let settings = Settings::new([("A".to_owned(), "1".to_owned()), ("B".to_owned(), String::new())]);
        assert_eq!(settings.required("A"), "1");
        assert!(settings.check().is_ok());
        settings.required("B");
        settings.required("C");
        let error = settings.check().unwrap_err().to_string();
        assert!(error.contains("B is not set; C is not set"), "{error}");
        assert_eq!(settings.number("A", 0..=9), 1);
        settings.number("A", 4..=9);
        let error = settings.check().unwrap_err().to_string();
        assert!(error.contains("A is \"1\", not a whole number from 4 to 9"), "{error}");
    }
}
