//! Files of contacts that were sent to the server: kept beside the data until they are read, so that an import that was
//! interrupted when the program ended goes on where it was.

use std::{
    fs::{self, File},
    io,
    path::PathBuf,
};

use axum::{
    body::Bytes,
    extract::Request,
    http::{HeaderMap, header},
};
use campaign::ImportId;
use futures::{Stream, TryStreamExt};
use jiff::Timestamp;
use store::{By, ImportPlan, ImportState, ImportTarget, Store, StoreError};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;

use crate::{
    import::{self, Reading},
    limits::{KEPT_FREE, LARGEST_FILE},
    problem::{Answer, Problem},
};

/// How often to check the space on the disk while a file arrives, in bytes of the file.
const LOOK_EVERY: u64 = 16 * 1024 * 1024;
/// The folder of the files, in the data folder.
const FOLDER: &str = "imports";

fn too_large() -> Problem {
    Problem::too_large("a file of contacts may have at most 1 GB; cut it in parts")
}

#[expect(clippy::needless_pass_by_value, reason = "map_err calls it")]
fn broken(e: io::Error) -> StoreError {
    match e.kind() {
        io::ErrorKind::StorageFull => StoreError::DiskFull,
        _ => StoreError::Database(e.to_string()),
    }
}

/// Refuses a body that states a size that is too large, or for which `free` bytes of the disk are too few, before it is
/// read. A body that states none is measured while it arrives.
pub(crate) fn fits(headers: &HeaderMap, free: u64) -> Answer<()> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > LARGEST_FILE) {
        return Err(too_large());
    }
    has_room(free, length.unwrap_or(0))
}

/// Takes in a file with a header row and begins to import it.
pub(crate) async fn take_in(
    store: &Store,
    into: ImportTarget,
    mut plan: ImportPlan,
    by: By,
    request: Request,
) -> Answer<ImportState> {
    fits(request.headers(), store.free_space()?)?;
    // Problems with the plan are reported before a gigabyte is read.
    plan.country = import::country(store, plan.country).await?;
    let bytes = request.into_body().into_data_stream().map_err(|e| Problem::unreadable(e.to_string()));
    let id = receive(store, into, by.clone(), bytes).await?;
    begin(store, id, plan, by).await
}

/// Refuses a file for which the disk has no room: what is sent must still be recorded.
fn has_room(free: u64, coming: u64) -> Answer<()> {
    if free >= coming.saturating_add(KEPT_FREE) {
        Ok(())
    } else {
        Err(Problem::no_room("the disk has no room for this file; free some space, then send it again"))
    }
}

fn folder(store: &Store) -> PathBuf {
    store.folder().join(FOLDER)
}

fn path(store: &Store, id: ImportId) -> PathBuf {
    folder(store).join(format!("{id}.csv"))
}

/// The file of an import that waits or is being read.
pub(crate) fn open(store: &Store, id: ImportId) -> store::Result<File> {
    File::open(path(store, id)).map_err(|_| StoreError::NotFound("file any more; send it again"))
}

/// Takes a file in, to be looked at and imported. It may be larger than the memory.
pub(crate) async fn receive(
    store: &Store,
    into: ImportTarget,
    by: By,
    bytes: impl Stream<Item = Result<Bytes, Problem>>,
) -> Answer<ImportId> {
    fs::create_dir_all(folder(store)).map_err(broken)?;
    // The file removes itself if anything fails before it has its name.
    let (file, unnamed) = NamedTempFile::new_in(folder(store)).map_err(broken)?.into_parts();
    let mut file = tokio::fs::File::from_std(file);
    let mut bytes = std::pin::pin!(bytes);
    let (mut size, mut looked) = (0, 0);
    has_room(store.free_space()?, 0)?;
    while let Some(bytes) = bytes.try_next().await? {
        size += bytes.len() as u64;
        if size > LARGEST_FILE {
            return Err(too_large());
        }
        if size - looked > LOOK_EVERY {
            looked = size;
            has_room(store.free_space()?, 0)?;
        }
        file.write_all(&bytes).await.map_err(broken)?;
    }
    file.sync_all().await.map_err(broken)?;
    let id = store.queue_import(into, size as i64, by).await?;
    unnamed.persist(path(store, id)).map_err(|e| broken(e.error))?;
    Ok(id)
}

/// Begins to import a file that waits, beside everything else; the import's state says how it goes.
pub(crate) async fn begin(store: &Store, id: ImportId, mut plan: ImportPlan, by: By) -> Answer<ImportState> {
    plan.country = import::country(store, plan.country).await?;
    let file = open(store, id)?;
    let begun = store.start_import(id, plan.clone(), by).await?;
    run(store, &begun, file, plan);
    Ok(begun)
}

fn run(store: &Store, import: &ImportState, file: File, plan: ImportPlan) {
    let numbers_only = matches!(import.into, ImportTarget::DoNotContact(_));
    let reading = Reading { plan, skip: import.rows, numbers_only, now: Timestamp::now() };
    let (id, store) = (import.id, store.clone());
    // Nobody takes the import for an interrupted one before it has ended.
    let hold = store.hold();
    tokio::task::spawn_blocking(move || {
        let _hold = hold;
        match import::csv(&store, id, file, &reading, |_| {}) {
            // Its rows were stored, or refused: neither is kept twice.
            Ok(_) => drop(fs::remove_file(path(&store, id))),
            Err(e) => tracing::error!(import = %id, error = %e, "the import could not be stored"),
        }
        index_names(&store);
    });
}

/// Brings the names of contacts up to date, on a thread that may block; names that fail are done with the next import.
pub(crate) fn index_names(store: &Store) {
    if let Err(e) = store.index_names() {
        tracing::error!(error = %e, "the names of contacts could not be brought up to date");
    }
}

/// As [`index_names`], on a thread of its own and in its own time.
pub(crate) fn index_names_soon(store: &Store) {
    let store = store.clone();
    tokio::task::spawn_blocking(move || index_names(&store));
}

/// Resumes imports that were interrupted when the program ended, and deletes files that nobody wants any more. Only for
/// the process that dispatches: another may be receiving and reading the same files.
///
/// # Errors
/// Those of the store.
pub async fn resume(store: &Store) -> store::Result<()> {
    if let Ok(files) = fs::read_dir(folder(store)) {
        // A file that never got its name was not taken in whole.
        for file in files.flatten().filter(|file| !file.file_name().to_string_lossy().starts_with("imp_")) {
            let _ = fs::remove_file(file.path());
        }
    }
    // Names of contacts that were stored before the program ended.
    index_names_soon(store);
    for id in store.give_up_imports(Timestamp::now()).await? {
        let _ = fs::remove_file(path(store, id));
    }
    for (import, plan) in store.interrupted_imports().await? {
        match open(store, import.id) {
            Ok(file) => run(store, &import, file, plan),
            Err(e) => {
                let store = store.clone();
                tokio::task::spawn_blocking(move || store.end_import(import.id, Vec::new(), Some(e.told())))
                    .await
                    .map_err(|e| StoreError::Database(e.to_string()))??;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_the_disk_has_no_room_for_is_refused_before_sending_would_have_to_wait() {
        assert!(has_room(KEPT_FREE, 0).is_ok() && has_room(u64::MAX, 1).is_ok());
        for (free, coming) in [(0, 0), (KEPT_FREE - 1, 0), (KEPT_FREE, 1), (1, u64::MAX)] {
            let refused = has_room(free, coming).unwrap_err();
            assert_eq!(refused.status().as_u16(), 503, "{free} {coming}");
            let words = refused.into_detail();
            assert!(words.contains("no room") && words.contains("free some space"), "{words}");
        }
    }

    #[test]
    fn a_file_that_says_how_large_it_is_is_refused_before_it_is_read() {
        let of = |length: u64| HeaderMap::from_iter([(header::CONTENT_LENGTH, length.into())]);
        let status =
            |headers: &HeaderMap, free| fits(headers, free).map_err(|refused| refused.status().as_u16());
        assert_eq!(status(&of(1_000), KEPT_FREE + 1_000), Ok(()));
        assert_eq!(status(&of(1_000), KEPT_FREE + 999), Err(503));
        assert_eq!(status(&of(LARGEST_FILE + 1), u64::MAX), Err(413));
        assert_eq!(status(&HeaderMap::new(), KEPT_FREE), Ok(()));
        assert_eq!(status(&HeaderMap::new(), KEPT_FREE - 1), Err(503));
    }
}
