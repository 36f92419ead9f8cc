//! The page export: `/info`, `/export/{generation}`, `/sync/{generation}/{start}/{end}`.
//!
//! It is what the official command line reads (`turso db export`), and no document has it.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::body::{Body, Cut, file, troubled, whole};
use super::data::unready;
use super::json;
use crate::Trouble;
use crate::database::{self, Database};
use crate::pages::{Frames, PAGE};
use crate::plane::Plane;
use crate::platform::Refusal;

/// In one answer of `/sync`.
const MOST_FRAMES: u64 = 128;

pub(super) fn are_exported(database: &Database) -> bool {
    !database.condition().troubles.contains(&Trouble::NoPageExport)
}

pub(super) async fn answer(
    plane: &Plane,
    database: &Arc<Database>,
    head: &Parts,
    segments: &[&str],
) -> Result<Response<Body>, Refusal> {
    if !are_exported(database) {
        return Err(Refusal::new(404, "not found"));
    }
    let number =
        |text: &str| text.parse::<u64>().map_err(|_| Refusal::new(400, format!("{text:?} is not a number")));
    match segments {
        ["export", generation] => export(database, number(generation)?, range_from(head)).await,
        ["sync", generation, start, end] => {
            sync(plane, database, number(generation)?, number(start)?, number(end)?).await
        }
        _ => info(database).await,
    }
}

/// The newest generation. All that is committed by now will be in it or in its frames.
async fn info(database: &Arc<Database>) -> Result<Response<Body>, Refusal> {
    let current = async {
        database.look(Duration::ZERO).await?;
        database.with_history(|history| Ok(history.current())).await
    };
    let current = current.await.map_err(|error| unready(&error))?;
    if database.condition().troubles.contains(&Trouble::CheckpointAfterInfo) {
        checkpoint(database).await.map_err(|error| unready(&error))?;
    }
    Ok(json(StatusCode::OK, json!({"current_generation": current}).to_string()))
}

/// The first byte that is wanted: `Range: bytes=N-`.
fn range_from(head: &Parts) -> Option<u64> {
    let range = head.headers.get(header::RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

async fn export(database: &Database, generation: u64, from: Option<u64>) -> Result<Response<Body>, Refusal> {
    let base = database.with_history(move |history| history.export(generation)).await;
    let base = base.map_err(|error| unready(&error))?;
    let mut base = base.ok_or_else(|| Refusal::new(404, format!("generation {generation} not found")))?;
    let troubles = database.condition().troubles.clone();
    let range = from.filter(|_| troubles.contains(&Trouble::KnowsRanges));
    let range = range.map(|first| part_of(&mut base, first)).transpose()?;
    let cut = troubles.iter().find_map(|trouble| match trouble {
        Trouble::ExportCut { after_bytes, clean } => Some((Cut::Bytes(*after_bytes), *clean)),
        _ => None,
    });
    let mut answer = binary(troubled(file(base), cut, &troubles));
    if let Some(range) = range {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        answer.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    Ok(answer)
}

/// Goes to that byte of the file; the `Content-Range` of what follows.
fn part_of(base: &mut File, first: u64) -> Result<HeaderValue, Refusal> {
    let unreadable = |error: io::Error| Refusal::new(500, error.to_string());
    let bytes = base.metadata().map_err(unreadable)?.len();
    if first >= bytes {
        return Err(Refusal::new(416, format!("there are {bytes} bytes")));
    }
    base.seek(SeekFrom::Start(first)).map_err(unreadable)?;
    HeaderValue::try_from(format!("bytes {first}-{}/{bytes}", bytes - 1))
        .map_err(|error| Refusal::new(500, error.to_string()))
}

async fn sync(
    plane: &Plane,
    database: &Arc<Database>,
    generation: u64,
    start: u64,
    end: u64,
) -> Result<Response<Body>, Refusal> {
    if start == 0 || end <= start || end - start > MOST_FRAMES {
        let message =
            format!("frames {start} to {end}: the first is 1, and {MOST_FRAMES} at most come at once");
        return Err(Refusal::new(400, message));
    }
    let troubles = database.condition().troubles.clone();
    for trouble in &troubles {
        if let Trouble::SyncFails { status, from_frame } = trouble
            && end > *from_frame
        {
            return Err(Refusal::new(*status, "made to fail by the local cloud"));
        }
    }
    let ask = || database.with_history(move |history| history.frames(generation, start, end));
    let mut frames = ask().await.map_err(|error| unready(&error))?;
    if let Frames::End { current, .. } = frames
        && current == generation
    {
        // There may be more by now. Not at every request: an export beside a busy writer would never end.
        let fresh = plane.speed.borrow().archive;
        database.look(fresh).await.map_err(|error| unready(&error))?;
        frames = ask().await.map_err(|error| unready(&error))?;
    }
    match frames {
        Frames::Some(mut bytes) => {
            if troubles.contains(&Trouble::FrameTorn) {
                bytes.truncate(bytes.len().saturating_sub(PAGE / 2));
            }
            Ok(binary(troubled(whole(bytes), None, &troubles)))
        }
        Frames::End { current, last } => {
            let marker = json!({"status": "checkpoint_needed", "generation": current, "max_frame_no": last});
            Ok(json(StatusCode::BAD_REQUEST, marker.to_string()))
        }
        Frames::Unknown => Err(Refusal::new(404, format!("generation {generation} not found"))),
    }
}

/// A checkpoint in sqld, and the next generation in the history; its number.
pub(crate) async fn checkpoint(database: &Database) -> Result<u64, database::Error> {
    database.server().await?.checkpoint().await?;
    database.look(Duration::ZERO).await?;
    database
        .with_history(|history| {
            history.advance()?;
            Ok(history.current())
        })
        .await
}

fn binary(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
