//! Where the data lives. A copied data folder, and a file made by `backup`, dispatch nothing until a person adopts
//! them: two servers with the same audience would message everybody twice.

use std::{fs::File, path::Path};

use rusqlite::{Connection, OptionalExtension};
use tempfile::NamedTempFile;

use super::{Store, audit, hold::Hold, ms, place::Place};
use crate::{By, Deed, Result, StoreError};

/// Where the data was made or adopted: a [`Place`]; anything else counts as none.
const HOME: &str = "home";
/// The worker that everything unsent belongs to when a copy is adopted with its messages In doubt.
pub(super) const COPIED: &str = "the original";

/// Remembers the place of a new database. On an old one it changes nothing, except that it rewrites this same place
/// from the form that earlier versions stored.
pub(super) fn settle_in(connection: &Connection, folder: &Path, file: &Path) -> Result<()> {
    let first_written = Place::as_first_written(folder)?;
    // Data that has its home is not written to: another process may be in the middle of a transaction.
    let home: Option<String> = connection
        .prepare("SELECT value FROM meta WHERE key = ?1")?
        .query_row([HOME], |r| r.get(0))
        .optional()?;
    if home.is_some_and(|home| home != first_written) {
        return Ok(());
    }
    let here = Place::of(file)?.to_json()?;
    connection
        .execute("INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING", (HOME, &here))?;
    connection
        .execute("UPDATE meta SET value = ?2 WHERE key = ?1 AND value = ?3", (HOME, here, first_written))?;
    Ok(())
}

/// What becomes of the messages that running campaigns had not sent when data is adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    /// They go on: nothing was sent since the copy was made.
    Keep,
    /// They are In doubt: the original may have sent them meanwhile.
    InDoubt,
}

/// Claims everything that running campaigns have not sent, for nobody: recovery will mark it In doubt.
fn claim_unsent(c: &Connection, now: i64) -> Result<()> {
    c.execute(
        "INSERT INTO claim (campaign_id, message_no, wave_id, from_seq, to_seq, low, left_over, worker, at)
         SELECT w.campaign_id, w.message_no, w.id, w.next_seq, w.to_seq, w.next_seq, w.to_seq - w.next_seq, ?1, ?2
         FROM wave w JOIN campaign c ON c.id = w.campaign_id
         WHERE c.status = 'running' AND w.open AND w.next_seq < w.to_seq",
        (COPIED, now),
    )?;
    c.execute(
        "UPDATE wave SET next_seq = to_seq, held = 0
         WHERE open AND campaign_id IN (SELECT id FROM campaign WHERE status = 'running')",
        [],
    )?;
    c.execute(
        "INSERT INTO claim (campaign_id, message_no, wave_id, from_seq, to_seq, low, left_over, worker, at)
         SELECT r.campaign_id, r.message_no, NULL, min(r.seq), max(r.seq) + 1, min(r.seq), count(*), ?1, ?2
         FROM retry r JOIN campaign c ON c.id = r.campaign_id
         WHERE c.status = 'running' AND r.open AND r.claim_id IS NULL GROUP BY 1, 2",
        (COPIED, now),
    )?;
    c.execute(
        "UPDATE retry SET claim_id =
             (SELECT k.id FROM claim k WHERE k.campaign_id = retry.campaign_id AND k.message_no = retry.message_no
              AND k.wave_id IS NULL AND k.worker = ?1)
         WHERE open AND claim_id IS NULL AND campaign_id IN (SELECT id FROM campaign WHERE status = 'running')",
        [COPIED],
    )?;
    Ok(())
}

impl Store {
    /// Whether the data is where it was made or adopted, so that it may dispatch.
    pub async fn is_at_home(&self) -> Result<bool> {
        let here = Place::of(&self.inner.path)?;
        self.read(move |c| {
            let home: Option<String> =
                c.query_row("SELECT value FROM meta WHERE key = ?1", [HOME], |r| r.get(0)).optional()?;
            Ok(home.and_then(|home| Place::from_json(&home)).is_some_and(|home| here.is(&home)))
        })
        .await
    }

    /// Takes the right to dispatch from this data, which one process has at a time; dropping it gives it back, as does
    /// the end of the process.
    ///
    /// # Errors
    /// [`StoreError::MayNotDispatch`] where another process has it, or where the data was copied.
    pub async fn take_dispatch(&self) -> Result<Hold> {
        if !self.is_at_home().await? {
            return Err(StoreError::MayNotDispatch(
                "this data was copied or restored; run `carillon adopt` to let it send from here",
            ));
        }
        self.hold_alone().await
    }

    /// Lets the data dispatch from where it is now. Returns how many messages are In doubt as a result.
    ///
    /// # Errors
    /// [`StoreError::MayNotDispatch`] where another process dispatches from it.
    pub async fn adopt(&self, unsent: Unsent, by: By) -> Result<u64> {
        let now = by.at;
        let _right = self.hold_alone().await?;
        let here = Place::of(&self.inner.path)?.to_json()?;
        self.write(move |c| {
            if unsent == Unsent::InDoubt {
                claim_unsent(c, ms(now))?;
            }
            c.execute("UPDATE meta SET value = ?2 WHERE key = ?1", (HOME, here))?;
            audit::note(
                c,
                &by,
                Deed::DataAdopted,
                if unsent == Unsent::InDoubt { "in-doubt" } else { "keep" },
            )
        })
        .await?;
        self.recover("adoption".into(), now).await
    }

    /// Writes a consistent copy to `file` while everything runs. The copy must be adopted before it
    /// dispatches.
    pub async fn backup(&self, file: &Path) -> Result<()> {
        if file.exists() {
            return Err(StoreError::Database(format!("{} exists; choose another name", file.display())));
        }
        let file = file.to_owned();
        let store = self.clone();
        tokio::task::spawn_blocking(move || store.backup_now(&file))
            .await
            .map_err(|e| StoreError::Database(e.to_string()))?
    }

    /// As [`Store::backup`], for threads that may block. The copy gets its name once it is whole, marked and on disk.
    fn backup_now(&self, file: &Path) -> Result<()> {
        let broken = |e: std::io::Error| StoreError::Database(format!("{}: {e}", file.display()));
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let unnamed = NamedTempFile::new_in(folder).map_err(broken)?;
        // Outside a transaction: VACUUM INTO itself reads one consistent state.
        let source = Connection::open(&self.inner.path)?;
        source.execute("VACUUM INTO ?1", [unnamed.path().to_string_lossy()])?;
        let copy = Connection::open(unnamed.path())?;
        copy.execute("UPDATE meta SET value = 'backup' WHERE key = ?1", [HOME])?;
        copy.close().map_err(|(_, e)| e)?;
        unnamed.as_file().sync_all().map_err(broken)?;
        unnamed.persist_noclobber(file).map_err(|e| broken(e.error))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(broken)
    }
}
