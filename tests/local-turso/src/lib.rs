//! The Turso Platform API over real sqld: databases, branches, tokens, uploads and page exports.
