//! Who works on the data. One process dispatches at a time, which is an exclusive lock on a file in the folder; whoever
//! changes something while nobody dispatches shares the lock meanwhile.
//!
//! Keeps: nothing is changed beside a process that dispatches unless it is safe there, and nobody begins to dispatch in
//! the midst of a change. The end of a process, however it ends, gives its lock back.

use std::{
    fs::{File, TryLockError},
    io::Write as _,
    path::Path,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use super::Store;
use crate::{Result, StoreError};

/// The file that is locked. Whoever holds it alone says in it how it is reached.
const LOCK: &str = "dispatch.lock";
/// How long whoever wants to dispatch waits for changes that are under way elsewhere, and how often it looks.
const LOCKED_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AT_LOCK: Duration = Duration::from_millis(20);

/// A hold on the data: as long as it or a clone of it is kept, no other process begins to dispatch.
#[derive(Debug, Clone)]
pub struct Hold {
    _file: Arc<File>,
    alone: bool,
}

impl Hold {
    /// Whether it is the right to dispatch, which one process has at a time.
    pub fn is_alone(&self) -> bool {
        self.alone
    }
}

#[expect(clippy::needless_pass_by_value, reason = "map_err calls it")]
fn broken(e: std::io::Error) -> StoreError {
    StoreError::Database(format!("{LOCK}: {e}"))
}

fn lock_file(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(broken)
}

/// A lock that is shared by all who change something while nobody dispatches; `None` where somebody does.
pub(super) fn share(folder: &Path) -> Result<Option<File>> {
    let file = lock_file(folder)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(broken(e)),
    }
}

impl Store {
    /// Keeps others from beginning to dispatch while something is changed here. `None`: another process dispatches, and
    /// what is changed beside it would not hold, as it would not hear of it.
    pub fn hold(&self) -> Result<Option<Hold>> {
        let right = self.inner.right.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = right.upgrade() {
            return Ok(Some(Hold { _file: own, alone: true }));
        }
        Ok(share(self.folder())?.map(|file| Hold { _file: Arc::new(file), alone: false }))
    }

    /// Takes the lock alone. Changes that are under way elsewhere are waited for; who dispatches is not.
    pub(super) async fn hold_alone(&self) -> Result<Hold> {
        let file = lock_file(self.folder())?;
        let end = Instant::now() + LOCKED_WITHIN;
        loop {
            {
                // Whoever asks for a hold meanwhile finds the right that is just taken.
                let mut right = self.inner.right.lock().unwrap_or_else(PoisonError::into_inner);
                match file.try_lock() {
                    Ok(()) => {
                        // What an earlier process said there led to that one, or to the original of this copy.
                        file.set_len(0).map_err(broken)?;
                        let file = Arc::new(file);
                        *right = Arc::downgrade(&file);
                        return Ok(Hold { _file: file, alone: true });
                    }
                    Err(TryLockError::WouldBlock) => {}
                    Err(TryLockError::Error(e)) => return Err(broken(e)),
                }
            }
            // Shared by whoever changes something; not by who dispatches.
            if file.try_lock_shared().is_err() {
                return Err(StoreError::MayNotDispatch(
                    "another carillon dispatches from this data folder; stop it first",
                ));
            }
            file.unlock().map_err(broken)?;
            if Instant::now() > end {
                return Err(StoreError::MayNotDispatch(
                    "another carillon changes something in this data folder; try again when it is done",
                ));
            }
            tokio::time::sleep(LOOK_AT_LOCK).await;
        }
    }

    /// Says to other processes on the data how this one, which dispatches, is reached.
    ///
    /// # Errors
    /// [`StoreError::MayNotDispatch`] where this process does not dispatch.
    pub fn announce(&self, how: &[u8]) -> Result<()> {
        let right = self.inner.right.lock().unwrap_or_else(PoisonError::into_inner);
        let file = right.upgrade().ok_or(StoreError::MayNotDispatch("this carillon does not dispatch"))?;
        (&*file).write_all(how).map_err(broken)
    }

    /// How the process that dispatches is reached; empty as long as it has not said so.
    pub fn announced(&self) -> Result<Vec<u8>> {
        std::fs::read(self.folder().join(LOCK)).map_err(broken)
    }
}
