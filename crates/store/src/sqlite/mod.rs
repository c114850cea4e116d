//! SQLite: WAL with synchronous=FULL, one writer thread that takes whole batches, readers beside it.

mod agenda;
mod answer;
mod audience;
mod audio;
mod audit;
mod bulk;
mod calls;
mod campaigns;
pub mod check;
mod claim;
mod contacts;
mod deliveries;
mod dispatch;
mod doubts;
mod folder;
mod forecast;
mod freeze;
mod hold;
mod home;
mod idempotency;
mod imports;
mod limit;
mod lists;
mod names;
mod operate;
mod opt_out;
mod outlook;
mod place;
mod pools;
mod prune;
mod put_back;
mod receipts;
mod recover;
mod reply;
mod restart;
mod settings;
mod spending;
mod tally;
mod users;
mod webhooks;
mod writer;

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use campaign::CampaignId;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use tokio::sync::broadcast;

use crate::{Change, Result, StoreError};
use agenda::Frozen;
pub use dispatch::BY_ITSELF;
pub use hold::Hold;
pub use home::Unsent;
pub use idempotency::KeyInUse;
pub use opt_out::OptOuts;
pub use users::Grant;
use writer::{Effect, Lane, Writer};

/// The name of the database in the data folder.
const FILE: &str = "carillon.db";
/// The statements that bring a database from each version to the next; the first create it.
const MIGRATIONS: [&str; 10] = [
    include_str!("sql/schema.sql"),
    include_str!("sql/schema_2.sql"),
    include_str!("sql/schema_3.sql"),
    include_str!("sql/schema_4.sql"),
    include_str!("sql/schema_5.sql"),
    include_str!("sql/schema_6.sql"),
    include_str!("sql/schema_7.sql"),
    include_str!("sql/schema_8.sql"),
    include_str!("sql/schema_9.sql"),
    include_str!("sql/schema_10.sql"),
];
/// The most changes that a slow listener may lag behind before it is told that it missed some.
const CHANGES: usize = 1024;
/// Pages in the log before they are moved into the database: 64 MiB. A page that changes often is moved once.
const CHECKPOINT_PAGES: i64 = 16_384;
/// How long a command beside a running server waits for its turn to write.
const BUSY: Duration = Duration::from_secs(20);

/// The database of one data folder. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    writer: Writer,
    readers: Mutex<Vec<Connection>>,
    /// Campaigns whose audience is being frozen at this moment.
    freezing: Mutex<HashSet<CampaignId>>,
    opt_outs: OptOuts,
    /// The right to dispatch, where this process has it.
    right: Mutex<Weak<File>>,
    news: Arc<News>,
    /// Idempotency keys whose first request is being answered.
    keys: Mutex<HashSet<String>>,
    /// Held while the names of contacts are brought up to date.
    naming: Mutex<()>,
    /// Definitions of campaigns at work, by version: the engine asks for them every turn.
    frozen: Mutex<HashMap<CampaignId, Frozen>>,
}

/// Changes, for listeners.
struct News {
    changes: broadcast::Sender<Change>,
    /// How many changes there have been.
    count: AtomicU64,
}

impl News {
    fn tell(&self, change: Change) {
        self.count.fetch_add(1, Ordering::AcqRel);
        // Having no listeners is not an error.
        let _ = self.changes.send(change);
    }
}

impl Store {
    /// Opens the database in `folder`, creating both if they are missing; the folder is closed to all but its owner.
    ///
    /// # Errors
    /// [`StoreError::Folder`] where the folder can neither be created nor closed to others.
    pub fn open(folder: &Path) -> Result<Self> {
        folder::closed(folder)?;
        let path = folder.join(FILE);
        let connection = Connection::open(&path)?;
        configure(&connection)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        migrate(&connection, folder)?;
        home::settle_in(&connection, folder, &path)?;
        let opt_outs = OptOuts::default();
        let news = Arc::new(News {
            changes: broadcast::channel(CHANGES).0,
            // Another process begins elsewhere, so that nobody takes its count for the one before it.
            count: AtomicU64::new(Timestamp::now().as_microsecond().unsigned_abs()),
        });
        let (held, told) = (opt_outs.clone(), news.clone());
        let writer = Writer::start(connection, move |effect| match effect {
            Effect::Told(change) => told.tell(change),
            Effect::OptOuts(number, bars) => held.set(number, bars),
        })?;
        Ok(Self {
            inner: Arc::new(Inner {
                path,
                writer,
                readers: Mutex::default(),
                freezing: Mutex::default(),
                opt_outs,
                right: Mutex::default(),
                news,
                keys: Mutex::default(),
                naming: Mutex::default(),
                frozen: Mutex::default(),
            }),
        })
    }

    /// Runs `f` in a transaction of the writer, before bulk work. Returns after the commit.
    async fn write<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.write_begun(move |c, _| f(c)).await
    }

    /// As [`Store::write`], queued when this returns, and with effects of the commit: `f` names them, and they follow
    /// whether or not anyone waits for the result.
    fn write_begun<T: Send + 'static, F>(&self, f: F) -> impl Future<Output = Result<T>> + use<T, F>
    where
        F: FnOnce(&Connection, &mut Vec<Effect>) -> Result<T> + Send + 'static,
    {
        self.inner.writer.begin(Lane::Urgent, f)
    }

    /// Runs `f` on a reader, in one read transaction.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || store.read_now(f))
            .await
            .map_err(|e| StoreError::Database(e.to_string()))?
    }

    /// As [`Store::read`], for threads that may block.
    pub(crate) fn read_now<T>(&self, f: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let pooled = self.inner.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = if let Some(connection) = pooled {
            connection
        } else {
            let connection = Connection::open_with_flags(&self.inner.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            configure(&connection)?;
            connection
        };
        let transaction = connection.unchecked_transaction()?;
        let result = f(&transaction);
        drop(transaction);
        self.inner.readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        result
    }

    /// Changes from now on, each after the commit that made it.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.inner.news.changes.subscribe()
    }

    /// A number that grows with every change and differs in every process: a reader who notes it first knows afterwards
    /// whether any change was missed.
    pub fn change_count(&self) -> u64 {
        self.inner.news.count.load(Ordering::Acquire)
    }

    /// As [`Store::write`], for a change to a campaign.
    async fn change<T: Send + 'static>(
        &self,
        id: CampaignId,
        f: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.write_begun(move |c, effects| {
            effects.push(Effect::Told(Change::Campaign(id)));
            f(c)
        })
        .await
    }

    /// Returns when nothing can be stored any more, which ends the program.
    pub fn ended(&self) -> impl Future<Output = ()> + use<> {
        self.inner.writer.ended()
    }

    /// The folder of the data.
    pub fn folder(&self) -> &Path {
        self.inner.path.parent().unwrap_or(&self.inner.path)
    }

    /// Free space where the data lies, in bytes.
    pub fn free_space(&self) -> Result<u64> {
        fs4::available_space(self.folder()).map_err(|e| StoreError::Database(e.to_string()))
    }
}

fn configure(connection: &Connection) -> Result<()> {
    connection.busy_timeout(BUSY)?;
    // A plan holds for all values. Otherwise SQLite plans anew with every value that may matter: a twentieth of a turn.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Durable at every commit: a claim must be on the disk before its bytes are on the wire.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "OFF")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    // KiB, negative by SQLite's convention: 64 MiB.
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}

/// Brings the tables up to this program's schema. Where they are, it writes nothing, so that data that another process
/// is writing to can be opened all the same.
fn migrate(connection: &Connection, folder: &Path) -> Result<()> {
    let version = |c: &Connection| c.pragma_query_value(None, "user_version", |r| r.get::<_, u32>(0));
    if version(connection)? == MIGRATIONS.len() as u32 {
        return Ok(());
    }
    let transaction =
        rusqlite::Transaction::new_unchecked(connection, rusqlite::TransactionBehavior::Immediate)?;
    let version = version(&transaction)?;
    let Some(missing) = MIGRATIONS.get(version as usize..) else {
        return Err(StoreError::Database(format!(
            "the data was written by a newer version (schema {version}, this program knows {})",
            MIGRATIONS.len()
        )));
    };
    // No process has the tables changed while it works with them, and none begins to work with them meanwhile.
    let _hold = if version == 0 || missing.is_empty() {
        None
    } else {
        Some(hold::share(folder)?.ok_or_else(|| {
            StoreError::Folder(
                "an older carillon dispatches from this data folder; stop it before this newer one opens it"
                    .into(),
            )
        })?)
    };
    for migration in missing {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as u32)?;
    transaction.commit()?;
    Ok(())
}

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MIN)
}

fn ms(at: Timestamp) -> i64 {
    at.as_millisecond()
}
