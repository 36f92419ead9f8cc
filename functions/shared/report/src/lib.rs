//! The page for people who would rather look than read, and its JSON. Pure: from a [`Report`] to HTML, with nothing on the
//! page that does not stand in the report.
//!
//! The page is one file: no script, no font, no picture from elsewhere. Charts are SVG in it, drawn by plotters, whose fixed
//! colours stand for the page's own (`style.css`), so that they follow light, dark and paper. Whatever comes from
//! outside, a name or an error's text, is escaped by maud and stands in an element of its own direction.

mod charts;
#[cfg(feature = "fixture")]
pub mod fixture;
mod model;
mod page;
mod words;

pub use model::*;
pub use page::html;
