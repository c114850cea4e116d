//! The one writer. Urgent work (cycles, stops, opt-outs, everything that a person waits for) goes before bulk work
//! (freeze, import), and all that waits is committed together: one sync to the disk for all.
//!
//! Keeps: nothing runs outside a transaction, and the effects of a commit follow it at once, in the order of the
//! commits, whether or not the caller still listens: jobs name their effects and this thread applies them.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use campaign::Msisdn;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::opt_out;
use crate::{Change, Result, StoreError};

/// The most jobs to share a commit; keeps the first of them from waiting long.
const MOST_IN_GROUP: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Urgent,
    Bulk,
}

/// What follows from a commit, in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// Something changed that listeners are told of.
    Told(Change),
    /// Everything that a number is barred from now.
    OptOuts(Msisdn, Vec<opt_out::Bar>),
}

type Effects = Vec<Effect>;
type Answer = Box<dyn FnOnce(Result<()>) + Send>;
/// Runs in a savepoint, or only gives its answer where there is no transaction; returns whether to keep what it did,
/// its effects, and how to answer once it is committed.
type Job = Box<dyn FnOnce(Result<&Connection>) -> Done + Send>;

struct Done {
    keep: bool,
    effects: Effects,
    answer: Answer,
}

#[derive(Default)]
struct Queue {
    urgent: VecDeque<Job>,
    bulk: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    fn pop(&mut self) -> Option<Job> {
        self.urgent.pop_front().or_else(|| self.bulk.pop_front())
    }
}

struct Shared {
    queue: Mutex<Queue>,
    ready: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A job that panicked leaves the queue as it was.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Closed when the thread has ended.
    ended: watch::Receiver<()>,
}

impl Writer {
    /// Starts the thread; `apply` applies the effects of commits.
    pub(super) fn start(connection: Connection, apply: impl Fn(Effect) + Send + 'static) -> Result<Self> {
        let shared = Arc::new(Shared { queue: Mutex::default(), ready: Condvar::new() });
        let (alive, ended) = watch::channel(());
        let theirs = Ending { shared: shared.clone(), _alive: alive };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || run(&connection, &theirs.shared, &apply))
            .map_err(|e| StoreError::Database(e.to_string()))?;
        Ok(Self { shared, thread: Some(thread), ended })
    }

    /// Returns when the thread has ended: nothing can be stored from then on.
    pub(super) fn ended(&self) -> impl Future<Output = ()> + use<> {
        let mut ended = self.ended.clone();
        async move { while ended.changed().await.is_ok() {} }
    }

    /// Runs `f` in a transaction, queued when this returns; the result comes after the commit and its effects.
    pub(super) fn begin<T: Send + 'static, F>(
        &self,
        lane: Lane,
        f: F,
    ) -> impl Future<Output = Result<T>> + use<T, F>
    where
        F: FnOnce(&Connection, &mut Effects) -> Result<T> + Send + 'static,
    {
        let answer = self.enqueue(lane, f);
        async { answer.await.unwrap_or_else(|_| Err(ended())) }
    }

    /// As [`Writer::begin`], for threads that may block.
    pub(super) fn run_now<T: Send + 'static>(
        &self,
        lane: Lane,
        f: impl FnOnce(&Connection, &mut Effects) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.enqueue(lane, f).blocking_recv().unwrap_or_else(|_| Err(ended()))
    }

    fn enqueue<T: Send + 'static>(
        &self,
        lane: Lane,
        f: impl FnOnce(&Connection, &mut Effects) -> Result<T> + Send + 'static,
    ) -> oneshot::Receiver<Result<T>> {
        let (tx, rx) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let mut effects = Effects::new();
            let result = connection.and_then(|connection| {
                catch_unwind(AssertUnwindSafe(|| f(connection, &mut effects))).unwrap_or_else(|_| {
                    Err(StoreError::Database("a fault of this program; nothing of it was stored".into()))
                })
            });
            let keep = result.is_ok();
            if !keep {
                effects.clear();
            }
            let answer: Answer = Box::new(move |committed| {
                // The caller may have gone.
                let _ = tx.send(committed.and(result));
            });
            Done { keep, effects, answer }
        });
        let mut queue = self.shared.lock();
        if queue.closed {
            return rx;
        }
        match lane {
            Lane::Urgent => queue.urgent.push_back(job),
            Lane::Bulk => queue.bulk.push_back(job),
        }
        drop(queue);
        self.shared.ready.notify_one();
        rx
    }
}

fn ended() -> StoreError {
    StoreError::Database("the writer has ended".into())
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.ready.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

/// However the thread ends, those who wait learn of it, and nobody queues for it any more.
struct Ending {
    shared: Arc<Shared>,
    _alive: watch::Sender<()>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        *self.shared.lock() = Queue { closed: true, ..Queue::default() };
    }
}

fn run(connection: &Connection, shared: &Shared, apply: &impl Fn(Effect)) {
    loop {
        let mut queue = shared.lock();
        let first = loop {
            if let Some(job) = queue.pop() {
                break job;
            }
            if queue.closed {
                return;
            }
            queue = shared.ready.wait(queue).unwrap_or_else(PoisonError::into_inner);
        };
        drop(queue);
        let mut done = Vec::new();
        let committed = group(connection, shared, first, &mut done);
        if committed.is_err() && !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        for Done { effects, answer, .. } in done {
            if committed.is_ok() {
                effects.into_iter().for_each(apply);
            }
            answer(committed.clone());
        }
    }
}

/// Undoes what the running job has done so far.
///
/// # Errors
/// Where the database has rolled the whole transaction back already, as for a full disk.
pub(super) fn undo(connection: &Connection) -> Result<()> {
    connection.prepare_cached("ROLLBACK TO job")?.execute([])?;
    Ok(())
}

/// Runs `first` and all other urgent work in one transaction, each job in a savepoint of its own.
fn group(connection: &Connection, shared: &Shared, first: Job, done: &mut Vec<Done>) -> Result<()> {
    if let Err(e) = connection.execute_batch("BEGIN IMMEDIATE") {
        // Everything that waits is answered now, rather than each job after a time-out of its own.
        let e = StoreError::from(e);
        let waiting: Vec<Job> = shared.lock().urgent.drain(..).collect();
        done.extend(std::iter::once(first).chain(waiting).map(|job| job(Err(e.clone()))));
        return Err(e);
    }
    let mut next = Some(first);
    while let Some(job) = next {
        connection.prepare_cached("SAVEPOINT job")?.execute([])?;
        let ran = job(Ok(connection));
        let keep = ran.keep;
        done.push(ran);
        if connection.is_autocommit() {
            // A full disk rolls the whole transaction back, including the work of other jobs.
            return Err(StoreError::DiskFull);
        }
        if !keep {
            undo(connection)?;
        }
        connection.prepare_cached("RELEASE job")?.execute([])?;
        next = if done.len() < MOST_IN_GROUP { shared.lock().urgent.pop_front() } else { None };
    }
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use campaign::CampaignId;

    use super::*;

    fn open(folder: &Path) -> Connection {
        let connection = Connection::open(folder.join("data")).unwrap();
        connection.busy_timeout(Duration::ZERO).unwrap();
        connection.execute_batch("CREATE TABLE IF NOT EXISTS seen (n INTEGER)").unwrap();
        connection
    }

    fn writer(folder: &Path) -> (Writer, Arc<Mutex<Vec<Effect>>>) {
        let applied: Arc<Mutex<Vec<Effect>>> = Arc::default();
        let theirs = applied.clone();
        (Writer::start(open(folder), move |effect| theirs.lock().unwrap().push(effect)).unwrap(), applied)
    }

    fn note(n: i64) -> impl FnOnce(&Connection, &mut Effects) -> Result<()> + Send + 'static {
        move |c, effects| {
            effects.push(Effect::Told(Change::Campaign(CampaignId(n))));
            c.execute("INSERT INTO seen VALUES (?1)", [n])?;
            Ok(())
        }
    }

    fn seen(folder: &Path) -> Vec<i64> {
        let c = open(folder);
        let mut statement = c.prepare("SELECT n FROM seen ORDER BY n").unwrap();
        statement.query_map([], |r| r.get(0)).unwrap().map(|n| n.unwrap()).collect()
    }

    fn told(n: i64) -> Effect {
        Effect::Told(Change::Campaign(CampaignId(n)))
    }

    #[tokio::test]
    async fn where_no_transaction_begins_nothing_runs_and_everybody_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, applied) = writer(folder.path());
        let other = open(folder.path());
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        for answer in [writer.begin(Lane::Urgent, note(1)), writer.begin(Lane::Bulk, note(2))] {
            assert!(matches!(answer.await, Err(StoreError::Locked)));
        }
        other.execute_batch("COMMIT").unwrap();
        assert_eq!((seen(folder.path()), applied.lock().unwrap().len()), (vec![], 0));
        writer.begin(Lane::Urgent, note(3)).await.unwrap();
        assert_eq!((seen(folder.path()), applied.lock().unwrap().clone()), (vec![3], vec![told(3)]));
    }

    #[tokio::test]
    async fn a_job_that_panics_is_undone_and_answered_and_its_neighbours_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, applied) = writer(folder.path());
        let before = writer.begin(Lane::Urgent, note(1));
        let panics = writer.begin(Lane::Urgent, |c, effects| -> Result<()> {
            note(2)(c, effects)?;
            panic!("as a job must not")
        });
        let after = writer.begin(Lane::Urgent, note(3));
        assert!(before.await.is_ok() && after.await.is_ok());
        assert!(matches!(panics.await, Err(StoreError::Database(_))));
        assert_eq!(
            (seen(folder.path()), applied.lock().unwrap().clone()),
            (vec![1, 3], vec![told(1), told(3)])
        );
    }

    #[tokio::test]
    async fn a_full_disk_is_told_as_such_nothing_of_it_is_kept_and_the_writer_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, applied) = writer(folder.path());
        let room = |pages: i64| {
            move |c: &Connection, _: &mut Effects| Ok(c.pragma_update(None, "max_page_count", pages)?)
        };
        writer.begin(Lane::Urgent, room(8)).await.unwrap();
        let before = writer.begin(Lane::Urgent, note(1));
        let fills = writer.begin(Lane::Urgent, |c, effects| {
            note(2)(c, effects)?;
            c.execute("CREATE TABLE large AS SELECT randomblob(1000000) AS bytes", [])?;
            Ok(())
        });
        let after = writer.begin(Lane::Urgent, note(3));
        assert!(matches!(fills.await, Err(StoreError::DiskFull)));
        // Whoever shared its transaction is told the same, and no one is told of what is not there.
        let mut kept = Vec::new();
        for (n, answer) in [(1, before.await), (3, after.await)] {
            match answer {
                Ok(()) => kept.push(n),
                Err(why) => assert!(matches!(why, StoreError::DiskFull), "{why}"),
            }
        }
        assert_eq!(seen(folder.path()), kept);
        assert_eq!(applied.lock().unwrap().clone(), kept.iter().map(|n| told(*n)).collect::<Vec<_>>());
        writer.begin(Lane::Urgent, room(1_000)).await.unwrap();
        writer.begin(Lane::Urgent, note(4)).await.unwrap();
        kept.push(4);
        assert_eq!(seen(folder.path()), kept);
    }

    #[tokio::test]
    async fn effects_follow_in_the_order_of_commits_whoever_listens() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, applied) = writer(folder.path());
        for n in 1..=20 {
            drop(writer.begin(Lane::Urgent, note(n)));
        }
        writer.begin(Lane::Urgent, note(21)).await.unwrap();
        assert_eq!(applied.lock().unwrap().clone(), (1..=21).map(told).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn where_the_commit_fails_everybody_is_told_and_no_effect_follows() {
        let folder = tempfile::tempdir().unwrap();
        let (writer, applied) = writer(folder.path());
        let checked_at_commit = writer.begin(Lane::Urgent, |c, _| {
            c.execute_batch(
                "CREATE TABLE one (n INTEGER PRIMARY KEY);
                 CREATE TABLE other (n INTEGER REFERENCES one (n) DEFERRABLE INITIALLY DEFERRED);",
            )?;
            Ok(())
        });
        checked_at_commit.await.unwrap();
        let bad = writer.begin(Lane::Urgent, |c, effects| {
            // Without this setting the commit would not fail.
            assert!(c.pragma_query_value(None, "foreign_keys", |r| r.get::<_, bool>(0))?);
            note(1)(c, effects)?;
            c.execute("INSERT INTO other VALUES (7)", [])?;
            Ok(())
        });
        assert!(matches!(bad.await, Err(StoreError::Database(why)) if why.contains("FOREIGN KEY")));
        writer.begin(Lane::Urgent, note(2)).await.unwrap();
        assert_eq!((seen(folder.path()), applied.lock().unwrap().clone()), (vec![2], vec![told(2)]));
    }

    #[tokio::test]
    async fn the_end_of_the_thread_is_heard_of() {
        let folder = tempfile::tempdir().unwrap();
        let ends = Writer::start(open(folder.path()), |_| panic!("as an effect must not")).unwrap();
        let ended = ends.ended();
        assert!(ends.begin(Lane::Urgent, note(1)).await.is_err());
        ended.await;
        assert!(ends.begin(Lane::Urgent, note(2)).await.is_err());
    }
}
