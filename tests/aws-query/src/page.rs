//! Lists: pages and filters.

use crate::{Element, Fault, Parameters};

/// How a service's lists are asked for: what its parameters are called, and how long a page may be.
#[derive(Clone, Copy, Debug)]
pub struct Paging {
    /// The parameter with the length of a page.
    pub size: &'static str,
    /// The parameter and the element with the marker.
    pub marker: &'static str,
    /// The shortest page.
    pub least: u32,
    /// The longest, and what is given unless told.
    pub most: u32,
}

/// One page of a list.
#[derive(Debug)]
pub struct Page {
    paging: Paging,
    after: Option<String>,
    size: usize,
}

impl Page {
    /// The page that a request asks for.
    pub fn of(parameters: &Parameters, paging: Paging) -> Result<Self, Fault> {
        let Paging { size: name, marker, least, most } = paging;
        let size = parameters.integer(name)?.unwrap_or(most);
        if !(least..=most).contains(&size) {
            return Err(Fault::invalid_value(format!(
                "Invalid value {size} for {name}. Must be between {least} and {most}"
            )));
        }
        let after = match parameters.get(marker) {
            None => None,
            Some(marker) => {
                Some(read_marker(marker).ok_or_else(|| Fault::invalid_value("Invalid value for marker."))?)
            }
        };
        Ok(Self { paging, after, size: size as usize })
    }

    /// A page after `marker`, for protocols with parameters of another form. `None` if the marker is none of ours.
    pub fn after(marker: Option<&str>, paging: Paging, size: usize) -> Option<Self> {
        let after = match marker {
            None => None,
            Some(marker) => Some(read_marker(marker)?),
        };
        Some(Self { paging, after, size })
    }

    /// The part of `items` (in ascending order of their keys) on this page, and the marker of the next one.
    pub fn take<'a, T>(&self, items: impl Iterator<Item = (&'a str, T)>) -> (Vec<T>, Option<String>) {
        let mut items = items.filter(|(key, _)| self.after.as_deref().is_none_or(|after| *key > after));
        let mut last = "";
        let taken: Vec<T> = items
            .by_ref()
            .take(self.size)
            .map(|(key, item)| {
                last = key;
                item
            })
            .collect();
        let marker = items.next().map(|_| write_marker(last));
        (taken, marker)
    }

    /// As [`Page::take`], wrapped as `<Marker/><NAME>…</NAME>` into the result.
    pub fn element<'a, T>(
        &self,
        result: Element,
        name: &'static str,
        items: impl Iterator<Item = (&'a str, T)>,
        element: impl Fn(T) -> Element,
    ) -> Element {
        let (taken, marker) = self.take(items);
        result.maybe(self.paging.marker, marker).list(name, taken.into_iter().map(element))
    }
}

/// Markers are opaque to the caller: the last key in hexadecimal, so that nobody comes to rely on it.
fn write_marker(key: &str) -> String {
    key.bytes().fold(String::new(), |marker, byte| format!("{marker}{byte:02x}"))
}

fn read_marker(marker: &str) -> Option<String> {
    let digits = marker.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let bytes: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    String::from_utf8(bytes?).ok()
}

/// The request's `Filters`: all must hold, each by any of its values.
#[derive(Debug)]
pub struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    /// Refuses filters that the action does not know, as AWS does.
    pub fn of(parameters: &Parameters, known: &[&str]) -> Result<Self, Fault> {
        let filters = parameters.list("Filters").into_iter().map(|filter| {
            let name = filter.required("Name")?.to_owned();
            if !known.contains(&name.as_str()) {
                return Err(Fault::invalid_value(format!("Unrecognized filter name: {name}")));
            }
            let values = filter.strings("Values");
            if values.is_empty() {
                return Err(Fault::missing_parameter(format!("The filter {name} must contain values.")));
            }
            Ok((name, values))
        });
        Ok(Self(filters.collect::<Result<_, _>>()?))
    }

    /// Whether something passes: `is` tells if it answers to a value under a filter's name.
    pub fn pass(&self, is: impl Fn(&str, &str) -> bool) -> bool {
        self.0.iter().all(|(name, values)| values.iter().any(|value| is(name, value)))
    }
}

/// Whether two identifiers are the same: case does not matter.
pub fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGING: Paging = Paging { size: "MaxRecords", marker: "Marker", least: 20, most: 100 };

    fn page(body: &str) -> Result<Page, Fault> {
        Page::of(&Parameters::parse(body.as_bytes()).unwrap(), PAGING)
    }

    #[test]
    fn pages_cover_everything_once() {
        let keys: Vec<String> = (0..250).map(|n| format!("db-{n:03}")).collect();
        let mut seen = Vec::new();
        let mut request = "MaxRecords=20".to_owned();
        loop {
            let items = keys.iter().map(|key| (key.as_str(), key.clone()));
            let (taken, marker) = page(&request).unwrap().take(items);
            assert!(taken.len() <= 20);
            seen.extend(taken);
            let Some(marker) = marker else { break };
            request = format!("MaxRecords=20&Marker={marker}");
        }
        assert_eq!(seen, keys);
    }

    #[test]
    fn a_full_last_page_has_no_marker() {
        let keys: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
        let (taken, marker) = page("MaxRecords=20").unwrap().take(keys.iter().map(|key| (key.as_str(), ())));
        assert_eq!((taken.len(), marker), (20, None));
    }

    #[test]
    fn sizes_and_markers_are_checked() {
        for bad in ["MaxRecords=19", "MaxRecords=101", "Marker=xyz", "Marker=zz"] {
            assert_eq!(page(bad).unwrap_err().code, "InvalidParameterValue", "{bad}");
        }
    }

    #[test]
    fn filters_are_all_of_any() {
        let body = b"Filters.Filter.1.Name=engine&Filters.Filter.1.Values.Value.1=mysql&Filters.Filter.1.Values.Value.2=postgres";
        let parameters = Parameters::parse(body).unwrap();
        let filters = Filters::of(&parameters, &["engine"]).unwrap();
        assert!(filters.pass(|name, value| name == "engine" && same(value, "Postgres")));
        assert!(!filters.pass(|_, value| value == "mariadb"));
        assert_eq!(Filters::of(&parameters, &["other"]).unwrap_err().code, "InvalidParameterValue");
    }
}
