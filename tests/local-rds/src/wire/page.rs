//! Lists: `MaxRecords`, `Marker` and `Filters`.

use super::{Element, Fault, Parameters};

/// One page of a list.
#[derive(Debug)]
pub(crate) struct Page {
    after: Option<String>,
    size: usize,
}

impl Page {
    /// 20 to 100 records, 100 unless told (API reference, every Describe of RDS).
    pub(crate) fn of(parameters: &Parameters) -> Result<Self, Fault> {
        let size = parameters.integer("MaxRecords")?.unwrap_or(100);
        if !(20..=100).contains(&size) {
            return Err(Fault::invalid_value(format!(
                "Invalid value {size} for MaxRecords. Must be between 20 and 100"
            )));
        }
        let after = match parameters.get("Marker") {
            None => None,
            Some(marker) => {
                Some(read_marker(marker).ok_or_else(|| Fault::invalid_value("Invalid value for marker."))?)
            }
        };
        Ok(Self { after, size: size as usize })
    }

    /// The part of `items` (in ascending order of their keys) on this page, and the marker of the next one.
    pub(crate) fn take<'a, T>(&self, items: impl Iterator<Item = (&'a str, T)>) -> (Vec<T>, Option<String>) {
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
    pub(crate) fn element<'a, T>(
        &self,
        result: Element,
        name: &'static str,
        items: impl Iterator<Item = (&'a str, T)>,
        element: impl Fn(T) -> Element,
    ) -> Element {
        let (taken, marker) = self.take(items);
        result.maybe("Marker", marker).list(name, taken.into_iter().map(element))
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
pub(crate) struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    /// Refuses filters that the action does not know, as AWS does.
    pub(crate) fn of(parameters: &Parameters, known: &[&str]) -> Result<Self, Fault> {
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
    pub(crate) fn pass(&self, is: impl Fn(&str, &str) -> bool) -> bool {
        self.0.iter().all(|(name, values)| values.iter().any(|value| is(name, value)))
    }
}

/// Whether two identifiers are the same: case does not matter.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(body: &str) -> Result<Page, Fault> {
        Page::of(&Parameters::parse(body.as_bytes()).unwrap())
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
