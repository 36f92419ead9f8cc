//! What is in a database, by asking it: the rows of some tables, in one transaction.

use std::collections::BTreeMap;

use futures::StreamExt;
use reconcile::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use turso::{Session, Turso};

/// A line of the answer (hrana 3, "Cursor entries").
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    StepBegin {},
    StepEnd {},
    StepError {},
    Row {
        row: Vec<Cell>,
    },
    Error {},
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Cell {
    #[serde(default)]
    value: Value,
}

/// The longest answer that is read: a line for each number.
const LONGEST_ANSWER: usize = 16 << 20;

/// How many rows each of these tables has.
pub(crate) async fn rows<'t>(
    turso: &impl Turso,
    at: &Session,
    tables: impl Iterator<Item = &'t String>,
) -> Result<BTreeMap<String, u64>> {
    let tables: Vec<&String> = tables.collect();
    let count = |table: &&String| format!("SELECT count(*) FROM \"{}\"", table.replace('"', "\"\""));
    let counts = numbers(turso, at, tables.iter().map(count).collect()).await?;
    Ok(tables.into_iter().cloned().zip(counts).collect())
}

/// How many tables, indexes, views and triggers there are; that it answers is what matters most.
pub(crate) async fn objects(turso: &impl Turso, at: &Session) -> Result<u64> {
    let counts = numbers(turso, at, vec!["SELECT count(*) FROM sqlite_schema".to_owned()]).await?;
    Ok(counts.first().copied().unwrap_or_default())
}

/// The one number that each statement gives.
async fn numbers(turso: &impl Turso, at: &Session, statements: Vec<String>) -> Result<Vec<u64>> {
    let wanted = statements.len();
    let all = ["BEGIN".to_owned()].into_iter().chain(statements).chain(["COMMIT".to_owned()]);
    let steps: Vec<Value> = all
        .enumerate()
        .map(|(number, sql)| {
            let stmt = json!({"sql": sql, "want_rows": true});
            match number.checked_sub(1) {
                None => json!({"stmt": stmt}),
                Some(before) => json!({"stmt": stmt, "condition": {"type": "ok", "step": before}}),
            }
        })
        .collect();
    let mut body = turso.cursor(at, &json!({"baton": null, "batch": {"steps": steps}})).await?;
    let mut text = Vec::new();
    while let Some(piece) = body.next().await {
        text.extend_from_slice(&piece?);
        if text.len() > LONGEST_ANSWER {
            return Err(unexpected(at, "it is longer than all its numbers could be"));
        }
    }
    read(&text, wanted).map_err(|why| unexpected(at, &why))
}

/// The numbers, if the answer tells of each step from begin to end.
fn read(text: &[u8], wanted: usize) -> Result<Vec<u64>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is no text".to_owned())?;
    let (mut counts, mut ended) = (Vec::new(), 0);
    // The first line is of the stream, not of the batch.
    for line in text.lines().skip(1).filter(|line| !line.is_empty()) {
        match serde_json::from_str(line).map_err(|_| "a line is no entry of a cursor".to_owned())? {
            Line::Row { row } => {
                let [Cell { value }] = row.as_slice() else {
                    return Err("a row has not one value".to_owned());
                };
                let count = value.as_str().and_then(|text| text.parse().ok()).or_else(|| value.as_u64());
                counts.push(count.ok_or("a count is no number")?);
            }
            Line::StepEnd {} => ended += 1,
            Line::StepError {} | Line::Error {} => return Err("a statement failed".to_owned()),
            Line::StepBegin {} | Line::Other => {}
        }
    }
    // BEGIN and COMMIT end, too.
    if ended == wanted + 2 && counts.len() == wanted {
        Ok(counts)
    } else {
        Err(format!("it ends after {ended} of {} statements", wanted + 2))
    }
}

fn unexpected(at: &Session, why: &str) -> Error {
    Error::retryable("TursoAnswerUnreadable", format!("cannot count the rows of {}: {why}", at.hostname))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const GOOD: &str = "{\"baton\":null}\n{\"type\":\"step_begin\",\"step\":0,\"cols\":[]}\n{\"type\":\"step_end\"}\n\
        {\"type\":\"row\",\"row\":[{\"type\":\"integer\",\"value\":\"7\"}]}\n{\"type\":\"step_end\"}\n{\"type\":\"step_end\"}\n\
        {\"type\":\"replication_index\",\"replication_index\":\"1\"}\n";

    #[test]
    fn numbers_are_read() {
        assert_eq!(read(GOOD.as_bytes(), 1), Ok(vec![7]));
    }

    #[rstest]
    #[case::cut_short(&GOOD[..GOOD.len() - 90])]
    #[case::an_error("{}\n{\"type\":\"step_error\",\"step\":0,\"error\":{}}\n")]
    #[case::nothing("")]
    #[case::no_json("{}\nnonsense\n")]
    #[case::two_values("{}\n{\"type\":\"row\",\"row\":[{\"value\":\"1\"},{\"value\":\"2\"}]}\n")]
    #[case::negative("{}\n{\"type\":\"row\",\"row\":[{\"value\":\"-1\"}]}\n")]
    fn what_is_not_whole_is_refused(#[case] text: &str) {
        read(text.as_bytes(), 1).unwrap_err();
    }

    proptest! {
        #[test]
        fn any_beginning_of_an_answer_is_refused(length in 0_usize..200) {
            prop_assume!(length < GOOD.len() - 60);
            prop_assert!(read(&GOOD.as_bytes()[..length], 1).is_err());
        }
    }
}
