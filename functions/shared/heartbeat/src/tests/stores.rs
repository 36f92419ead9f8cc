//! The statements: those of SQLite on a SQLite, the others by their text.

use rusqlite::{Connection, params_from_iter};

use super::{after, judged, old, orders, write_on, written};
use crate::{KEEP, READ_TO_WRITE, Row, next, postgres, redis, sqlite};

struct Table(Connection);

impl Table {
    fn new() -> Self {
        let table = Connection::open_in_memory().unwrap();
        table.execute_batch(sqlite::TABLE).unwrap();
        table.execute_batch(sqlite::TABLE).unwrap();
        Self(table)
    }

    /// How many rows went in.
    fn write(&self, row: &Row) -> usize {
        let written = self.0.execute(sqlite::WRITE, params_from_iter(row.fields())).unwrap();
        self.0.execute(sqlite::EXPIRE, []).unwrap();
        written
    }

    fn write_all(&self, rows: &[Row]) {
        for row in rows {
            assert_eq!(self.write(row), 1);
        }
    }

    fn read(&self, count: u32) -> Vec<Row> {
        let mut statement = self.0.prepare(sqlite::READ).unwrap();
        let row = |row: &rusqlite::Row<'_>| {
            Ok(Row::of_fields([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?]))
        };
        statement.query_map([count], row).unwrap().map(Result::unwrap).collect()
    }

    fn count(&self) -> u32 {
        self.0.query_row("SELECT count(*) FROM tidemark_heartbeat", [], |row| row.get(0)).unwrap()
    }
}

#[test]
fn sqlite_gives_back_what_was_written_the_newest_first_and_by_number() {
    let table = Table::new();
    let mut rows = written(12);
    table.write_all(&rows);
    rows.reverse();
    assert_eq!(table.read(100), rows, "12 before 9: by number and not by text");
    assert_eq!(table.read(2), rows[..2]);
}

#[test]
fn sqlite_keeps_the_newest() {
    let table = Table::new();
    for minute in 0..i64::from(KEEP) + 10 {
        let made = next(&orders(), &table.read(READ_TO_WRITE), after(60 * minute), &old()).unwrap();
        assert_eq!((table.write(&Row::from(&made.heartbeat)), made.notes.len()), (1, 0));
    }
    assert_eq!(table.count(), KEEP);
    let rows = table.read(2 * KEEP);
    assert_eq!((rows[0].number.as_str(), rows.last().unwrap().number.as_str()), ("2890", "11"));
    let judgement = judged(&rows, None, after(60 * 2_889), &old());
    assert!(judgement.is_sound() && judgement.pauses.is_empty() && judgement.begun_anew.is_empty());
}

/// Both read the same rows; the one who comes second, or much later, changes nothing and makes no alarm.
#[test]
fn of_two_writers_at_once_one_writes() {
    let table = Table::new();
    table.write_all(&written(3));
    let read = table.read(READ_TO_WRITE);
    let one = next(&orders(), &read, after(180), &old()).unwrap().heartbeat;
    let other = next(&orders(), &read, after(181), &old()).unwrap().heartbeat;
    assert_eq!((table.write(&Row::from(&one)), table.write(&Row::from(&other))), (1, 0));
    // Its answer was lost, so it asks again.
    assert_eq!(table.write(&Row::from(&one)), 0);
    let mut rows = table.read(KEEP);
    write_on(&mut rows, 2, 240, &old());
    table.write_all(&rows[4..]);
    assert_eq!(table.write(&Row::from(&other)), 0, "a writer that slept for minutes");
    let judgement = judged(&table.read(KEEP), None, after(310), &old());
    assert!(judgement.is_sound() && judgement.pauses.is_empty(), "{judgement:?}");
    assert_eq!(judgement.newest_intact.unwrap().number, 6);
}

/// Somebody's row with an enormous number takes the place of one and not of all.
#[test]
fn an_enormous_number_does_not_make_the_others_go() {
    let table = Table::new();
    table.write_all(&written(5));
    let forged = Row { number: "1000000000000".to_owned(), ..written(5).remove(4) };
    assert_eq!((table.write(&forged), table.count()), (1, 6));
    let made = next(&orders(), &table.read(READ_TO_WRITE), after(300), &old()).unwrap();
    assert_eq!((table.write(&Row::from(&made.heartbeat)), table.count()), (1, 7));
    assert_eq!(made.heartbeat.follows(), 5);
}

#[test]
fn sqlite_takes_nothing_that_can_be_no_heartbeat() {
    let table = Table::new();
    let row = &written(2)[1];
    for wrong in [
        Row { number: "0".to_owned(), ..row.clone() },
        Row { follows: "2".to_owned(), ..row.clone() },
        Row { resource: "x".repeat(513), ..row.clone() },
    ] {
        assert!(table.0.execute(sqlite::WRITE, params_from_iter(wrong.fields())).is_err(), "{wrong:?}");
    }
    // STRICT.
    let text = "INSERT INTO tidemark_heartbeat VALUES (1, 0, 'yesterday', 'rds/x', 'a', 'b')";
    assert!(table.0.execute(text, []).is_err());
}

/// They have to say the number that the crate gives.
#[test]
fn the_statements_keep_as_many_as_they_should() {
    assert!(
        postgres::WRITE.contains(&format!("OFFSET {} ", KEEP - 2)),
        "as many less one, beside the new row"
    );
    assert!(sqlite::EXPIRE.contains(&format!("OFFSET {}\n", KEEP - 1)));
}

#[test]
fn postgres_names_its_table_and_takes_all_parameters() {
    for text in [postgres::TABLE, postgres::GRANTS, postgres::WRITE, postgres::READ] {
        assert!(text.contains("tidemark.tidemark_heartbeat"), "{text}");
    }
    for parameter in 1..=6 {
        assert!(postgres::WRITE.contains(&format!("${parameter}::text")), "${parameter}");
    }
    assert!(!postgres::GRANTS.contains("UPDATE") && !postgres::GRANTS.to_uppercase().contains("PASSWORD"));
}

/// Whoever sets a database up copies from there.
#[test]
fn the_document_says_what_the_crate_says() {
    let document = include_str!("../../../../../docs/heartbeats.md");
    for text in [postgres::TABLE, postgres::GRANTS, redis::ACL, sqlite::PERMISSIONS] {
        assert!(document.contains(text), "{text}");
    }
}

#[test]
fn a_redis_command_gives_back_the_row_that_it_wrote() {
    let rows = written(2);
    let heartbeat = rows[1].verify(&old()).unwrap();
    let command = redis::write(&heartbeat);
    assert_eq!(
        command[..8],
        ["XADD", "tidemark:heartbeat", "MAXLEN", "=", "2880", "2-0", "follows", "1"].map(str::to_owned)
    );
    assert_eq!(redis::row(&command[5], &command[6..]), rows[1]);
    assert_eq!(redis::read(16).join(" "), "XREVRANGE tidemark:heartbeat + - COUNT 16");
    for word in [&command[0], &redis::read(1)[0]] {
        assert!(redis::ACL.contains(&format!("+{}", word.to_lowercase())), "{word}");
    }
}

#[test]
fn an_entry_that_is_no_heartbeat_is_a_row_that_nobody_believes() {
    let command = redis::write(&written(2)[1].verify(&old()).unwrap());
    let fields = &command[6..];
    let mut renamed = fields.to_vec();
    "at".clone_into(&mut renamed[2]);
    let mut longer = fields.to_vec();
    longer.extend(["more".to_owned(), "more".to_owned()]);
    let entries = [
        ("2-1", fields),
        ("2", &renamed),
        ("2-0", &longer),
        ("2-0", &fields[..9]),
        ("2-0", &[]),
        ("", fields),
    ];
    for (id, fields) in entries {
        assert!(redis::row(id, fields).verify(&old()).is_err(), "{id} {fields:?}");
    }
}
