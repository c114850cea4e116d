//! Where the data lives. A data folder that was copied to another machine or path, and a file made by
//! `backup`, dispatch nothing until a person adopts them: two servers with the same audience would
//! message everybody twice.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

use super::{Store, audit, hold::Hold, ms};
use crate::{By, Deed, Result, StoreError};

const HOME: &str = "home";
/// The worker that everything unsent belongs to once a copy is adopted so.
pub(super) const COPIED: &str = "the original";

/// Remembers the place of a new database; changes nothing on an old one.
pub(super) fn settle_in(connection: &Connection, folder: &Path) -> Result<()> {
    connection.execute(
        "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        (HOME, fingerprint(folder)?),
    )?;
    Ok(())
}

fn fingerprint(folder: &Path) -> Result<String> {
    let path = folder.canonicalize().map_err(|e| StoreError::Database(e.to_string()))?;
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(machine.trim());
    hash.update([0]);
    hash.update(path.as_os_str().as_encoded_bytes());
    Ok(format!("{:x}", hash.finalize()))
}

/// What is to become of what running campaigns had not sent when data is adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    /// It goes on: nothing was sent since the copy was made.
    Keep,
    /// It is In doubt: the original may have sent it meanwhile.
    InDoubt,
}

/// Claims everything that running campaigns have not sent, for nobody: recovery finds it In doubt.
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
    fn here(&self) -> Result<String> {
        fingerprint(self.inner.path.parent().unwrap_or(&self.inner.path))
    }

    /// Whether the data lies where it was made or adopted, so that it may dispatch.
    pub async fn is_at_home(&self) -> Result<bool> {
        let here = self.here()?;
        self.read(move |c| {
            let home: Option<String> =
                c.query_row("SELECT value FROM meta WHERE key = ?1", [HOME], |r| r.get(0)).optional()?;
            Ok(home.as_deref() == Some(&here))
        })
        .await
    }

    /// Takes the right to dispatch from this data, which one process has at a time; dropping it gives it
    /// back, and so does the end of the process.
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

    /// Lets the data dispatch from where it lies now. Answers how many messages are In doubt for it.
    ///
    /// # Errors
    /// [`StoreError::MayNotDispatch`] where another process dispatches from it.
    pub async fn adopt(&self, unsent: Unsent, by: By) -> Result<u64> {
        let now = by.at;
        let _right = self.hold_alone().await?;
        let here = self.here()?;
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
        tokio::task::spawn_blocking(move || {
            // Outside a transaction: VACUUM INTO reads one consistent state by itself.
            let source = Connection::open(&store.inner.path)?;
            source.execute("VACUUM INTO ?1", [file.to_string_lossy()])?;
            let copy = Connection::open(&file)?;
            copy.execute("UPDATE meta SET value = 'backup' WHERE key = ?1", [HOME])?;
            Ok(())
        })
        .await
        .map_err(|e| StoreError::Database(e.to_string()))?
    }
}
