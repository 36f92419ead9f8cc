//! `POST /v1/upload`: the file that a database begins with.

use std::io;
use std::path::Path;
use std::sync::Arc;

use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::io::AsyncWriteExt;

use super::body::Body;
use super::data::unready;
use super::json;
use crate::Trouble;
use crate::database::{Database, Upload};
use crate::pages::PAGE;
use crate::platform::Refusal;

/// The header of a database file: <https://www.sqlite.org/fileformat.html>.
const HEADER: usize = 100;

/// While a file is on its way. An upload that was refused or broken off may be tried again.
struct Receiving<'a> {
    database: &'a Database,
    is_done: bool,
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        self.database.condition().upload = if self.is_done { Upload::None } else { Upload::Awaited };
    }
}

pub(super) async fn answer(
    database: &Arc<Database>,
    head: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Refusal> {
    let mut receiving = begin(database)?;
    let announced = head.headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let file = database.folder.0.join("upload");
    let header = receive(&file, body).await.map_err(|error| {
        Refusal::new(400, format!("the upload of {} bytes broke off: {error}", announced.unwrap_or("?")))
    })?;
    let fails = database.condition().troubles.iter().find_map(|trouble| match trouble {
        Trouble::UploadFails { status } => Some(*status),
        _ => None,
    });
    if let Some(status) = fails {
        return Err(Refusal::new(status, "made to fail by the local cloud"));
    }
    check(&header).map_err(|why| Refusal::new(400, format!("invalid database file: {why}")))?;
    let work = async {
        database.place(&file).await?;
        // Nobody else comes in before the history has begun.
        let server = database.install.start(&database.server_folder()).await?;
        let configuration = database.condition().configuration.clone();
        server.configure(&configuration).await?;
        *database.server.lock().await = Some(Arc::new(server));
        database.begin_history().await
    };
    work.await.map_err(|error| unready(&error))?;
    receiving.is_done = true;
    Ok(json(StatusCode::OK, "{}".to_owned()))
}

fn begin(database: &Database) -> Result<Receiving<'_>, Refusal> {
    let mut condition = database.condition();
    match condition.upload {
        Upload::Awaited => condition.upload = Upload::Running,
        Upload::Running => return Err(Refusal::new(409, "an upload is under way")),
        Upload::None => return Err(Refusal::new(409, "the database takes no upload, or had it")),
    }
    Ok(Receiving { database, is_done: false })
}

/// What the checks need.
struct Received {
    header: Vec<u8>,
    length: u64,
}

async fn receive(path: &Path, mut body: Incoming) -> io::Result<Received> {
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    let mut file = tokio::fs::File::create(path).await?;
    let mut received = Received { header: Vec::with_capacity(HEADER), length: 0 };
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(io::Error::other)?.into_data() else { continue };
        let missing = HEADER.saturating_sub(received.header.len());
        received.header.extend(piece.iter().take(missing));
        received.length += piece.len() as u64;
        file.write_all(&piece).await?;
    }
    file.sync_all().await?;
    Ok(received)
}

/// Turso takes no other files than these. It does not look into the pages.
fn check(received: &Received) -> Result<(), String> {
    let header = &received.header;
    let big = |at: usize| header.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    if header.len() < HEADER || !header.starts_with(b"SQLite format 3\0") {
        return Err("not a SQLite database".to_owned());
    }
    if header.get(16..18) != Some(&[0x10, 0]) {
        return Err("the page size must be 4096".to_owned());
    }
    if header.get(18..20) != Some(&[2, 2]) {
        return Err("journal_mode must be WAL".to_owned());
    }
    if big(52) != Some(0) {
        return Err("auto_vacuum must be 0".to_owned());
    }
    if big(56) != Some(1) {
        return Err("the encoding must be UTF-8".to_owned());
    }
    let pages = u64::from(big(28).unwrap_or(0));
    if pages == 0 || received.length != pages * PAGE as u64 {
        return Err(format!("{} bytes are not the {pages} pages that its header says", received.length));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Spoil = fn(&mut Received);

    fn good() -> Received {
        let mut header = vec![0; HEADER];
        header[..16].copy_from_slice(b"SQLite format 3\0");
        header[16..20].copy_from_slice(&[0x10, 0, 2, 2]);
        header[31] = 3;
        header[59] = 1;
        Received { header, length: 3 * 4096 }
    }

    #[test]
    fn a_file_that_is_not_as_turso_wants_it_is_refused_and_says_why() {
        assert_eq!(check(&good()), Ok(()));
        let cases: [(Spoil, &str); 8] = [
            (|it| it.header[0] = b's', "not a SQLite database"),
            (|it| it.header.truncate(99), "not a SQLite database"),
            (|it| it.header[16] = 0x20, "page size"),
            (|it| it.header[18] = 1, "WAL"),
            (|it| it.header[19] = 1, "WAL"),
            (|it| it.header[55] = 4, "auto_vacuum"),
            (|it| it.header[59] = 2, "UTF-8"),
            (|it| it.length -= 4096, "8192 bytes are not the 3 pages"),
        ];
        for (spoil, expected) in cases {
            let mut spoilt = good();
            spoil(&mut spoilt);
            let why = check(&spoilt).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
    }
}
