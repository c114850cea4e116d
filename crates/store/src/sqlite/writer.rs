//! The one writer. Urgent work (cycles, stops, opt-outs, everything a person waits for) goes before bulk
//! work (freeze, import), and what waits together is committed together: one sync to the disk for all.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::{Result, StoreError};

/// Jobs that share a commit at most; keeps the first of them from waiting long.
const MOST_IN_GROUP: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Urgent,
    Bulk,
}

type Answer = Box<dyn FnOnce(std::result::Result<(), String>) + Send>;
/// Runs in a savepoint; says whether to keep what it did, and how to answer once that is committed.
type Job = Box<dyn FnOnce(&Connection) -> (bool, Answer) + Send>;

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
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self> {
        let shared = Arc::new(Shared { queue: Mutex::default(), ready: Condvar::new() });
        let theirs = shared.clone();
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || run(&connection, &theirs))
            .map_err(|e| StoreError::Database(e.to_string()))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        f: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.begin(lane, f).await
    }

    /// [`Writer::run`], queued when this returns.
    pub(super) fn begin<T: Send + 'static, F>(
        &self,
        lane: Lane,
        f: F,
    ) -> impl Future<Output = Result<T>> + use<T, F>
    where
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let answer = self.enqueue(lane, f);
        async { answer.await.unwrap_or_else(|_| Err(StoreError::Database("the writer has ended".into()))) }
    }

    /// [`Writer::run`] for threads that may block.
    pub(super) fn run_now<T: Send + 'static>(
        &self,
        lane: Lane,
        f: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.enqueue(lane, f)
            .blocking_recv()
            .unwrap_or_else(|_| Err(StoreError::Database("the writer has ended".into())))
    }

    fn enqueue<T: Send + 'static>(
        &self,
        lane: Lane,
        f: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> oneshot::Receiver<Result<T>> {
        let (tx, rx) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let result = f(connection);
            let keep = result.is_ok();
            let answer: Answer = Box::new(move |committed| {
                let _ = tx.send(match committed {
                    Ok(()) => result,
                    Err(e) if e.contains("full") => Err(StoreError::DiskFull),
                    Err(e) => Err(StoreError::Database(e)),
                });
            });
            (keep, answer)
        });
        let mut queue = self.shared.lock();
        match lane {
            Lane::Urgent => queue.urgent.push_back(job),
            Lane::Bulk => queue.bulk.push_back(job),
        }
        drop(queue);
        self.shared.ready.notify_one();
        rx
    }
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

fn run(connection: &Connection, shared: &Shared) {
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
        let mut answers = Vec::new();
        let committed = group(connection, shared, first, &mut answers).map_err(|e| e.to_string());
        if committed.is_err() && !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        for answer in answers {
            answer(committed.clone());
        }
    }
}

/// Runs `first` and what else is urgent in one transaction, each in a savepoint of its own.
fn group(
    connection: &Connection,
    shared: &Shared,
    first: Job,
    answers: &mut Vec<Answer>,
) -> rusqlite::Result<()> {
    let begun = connection.execute_batch("BEGIN IMMEDIATE");
    let mut next = Some(first);
    while let Some(job) = next {
        if begun.is_ok() {
            connection.prepare_cached("SAVEPOINT job")?.execute([])?;
        }
        let (keep, answer) = job(connection);
        answers.push(answer);
        if begun.is_ok() {
            if !keep && !connection.is_autocommit() {
                connection.prepare_cached("ROLLBACK TO job")?.execute([])?;
            }
            if connection.is_autocommit() {
                // A full disk rolls the whole transaction back, with what others did in it.
                return Err(rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL),
                    Some("database or disk is full".into()),
                ));
            }
            connection.prepare_cached("RELEASE job")?.execute([])?;
        }
        next = if answers.len() < MOST_IN_GROUP { shared.lock().urgent.pop_front() } else { None };
    }
    begun?;
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}
