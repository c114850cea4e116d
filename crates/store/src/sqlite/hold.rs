//! Who works on the data. One process dispatches at a time, which is an exclusive lock on a file in the folder; a
//! process that changes something while nobody dispatches shares the lock meanwhile.
//!
//! Keeps: nothing is changed beside a process that dispatches unless it is safe there, and no process begins to
//! dispatch in the middle of a change. The end of a process, however it comes, releases its lock.

use std::{
    fs::{File, TryLockError},
    io::Write as _,
    path::Path,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use super::Store;
use crate::{Result, StoreError};

/// The file that is locked. The process that holds it alone writes into it how to reach that process.
const LOCK: &str = "dispatch.lock";
/// How long a process that wants to dispatch waits for changes elsewhere to end, and how often it looks.
const LOCKED_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AT_LOCK: Duration = Duration::from_millis(20);

/// A hold on the data: while it or a clone of it is kept, no other process begins to dispatch.
#[derive(Debug, Clone)]
pub struct Hold {
    _file: Arc<File>,
    alone: bool,
}

impl Hold {
    /// Whether this hold is the right to dispatch, which one process has at a time.
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

/// A lock shared by all who change something while nobody dispatches; `None` where somebody does.
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
    /// a change made beside it would not hold, as that process would not hear of it.
    pub fn hold(&self) -> Result<Option<Hold>> {
        let right = self.inner.right.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = right.upgrade() {
            return Ok(Some(Hold { _file: own, alone: true }));
        }
        Ok(share(self.folder())?.map(|file| Hold { _file: Arc::new(file), alone: false }))
    }

    /// Takes the lock alone. Waits for changes that are under way elsewhere, but not for a process that dispatches.
    pub(super) async fn hold_alone(&self) -> Result<Hold> {
        let file = lock_file(self.folder())?;
        let end = Instant::now() + LOCKED_WITHIN;
        loop {
            {
                // A request for a hold meanwhile finds the right that is being taken.
                let mut right = self.inner.right.lock().unwrap_or_else(PoisonError::into_inner);
                match file.try_lock() {
                    Ok(()) => {
                        // What an earlier process wrote there led to that process, or to the original of this copy.
                        file.set_len(0).map_err(broken)?;
                        let file = Arc::new(file);
                        *right = Arc::downgrade(&file);
                        return Ok(Hold { _file: file, alone: true });
                    }
                    Err(TryLockError::WouldBlock) => {}
                    Err(TryLockError::Error(e)) => return Err(broken(e)),
                }
            }
            // A process that changes something shares the lock; one that dispatches does not.
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

    /// Tells other processes on the data how to reach this one, which dispatches.
    ///
    /// # Errors
    /// [`StoreError::MayNotDispatch`] where this process does not dispatch.
    pub fn announce(&self, how: &[u8]) -> Result<()> {
        let right = self.inner.right.lock().unwrap_or_else(PoisonError::into_inner);
        let file = right.upgrade().ok_or(StoreError::MayNotDispatch("this carillon does not dispatch"))?;
        (&*file).write_all(how).map_err(broken)
    }

    /// How to reach the process that dispatches; empty until it has said so.
    pub fn announced(&self) -> Result<Vec<u8>> {
        std::fs::read(self.folder().join(LOCK)).map_err(broken)
    }
}
