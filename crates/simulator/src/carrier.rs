//! The SMSC: listens, and keeps what all its connections share.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use rusmpp::{pdus::DeliverSm, types::COctetString};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle, time::Instant};

use crate::{Profile, connection, profile::STOP};

/// One `submit_sm` as it came.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// When it came.
    pub at: Timestamp,
    /// The sender's address.
    pub source: String,
    /// The recipient's address.
    pub destination: String,
    /// The `esm_class` (SMPP 3.4 §5.2.12).
    pub esm_class: u8,
    /// The `data_coding` (SMPP 3.4 §5.2.19).
    pub data_coding: u8,
    /// User data with its header.
    pub short_message: Vec<u8>,
    /// The command status that it was answered with.
    pub status: u32,
}

impl Record {
    /// Whether it was accepted and is a whole message or the first part of one (3GPP TS 23.040 §9.2.3.24.1).
    pub fn begins_accepted_message(&self) -> bool {
        let first_part = self.esm_class & UDHI == 0 || self.short_message.get(5) == Some(&1);
        self.status == 0 && first_part
    }
}

/// `esm_class`: user data header present (SMPP 3.4 §5.2.12).
const UDHI: u8 = 0x40;

/// Messages that wait to be handed to any ESME that binds, by when they are due.
pub(crate) type Outbox = BTreeMap<(Instant, u64), DeliverSm>;

pub(crate) struct Shared {
    pub(crate) profile: Profile,
    pub(crate) taken: AtomicU64,
    numbers: AtomicU64,
    records: Mutex<Vec<Record>>,
    outbox: Mutex<Outbox>,
    /// Notified when something is put into the outbox.
    pub(crate) more: Notify,
    /// How many messages came in the present second.
    second: Mutex<(Instant, u32)>,
    /// Who wrote STOP, and to whom: they write nothing more.
    stopped: Mutex<HashSet<(String, String)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Under these locks values are only put in and taken out whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// A number that was never returned before.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn record(&self, record: Record) {
        self.taken.fetch_add(1, Ordering::Relaxed);
        if self.profile.keep {
            lock(&self.records).push(record);
        }
    }

    /// Whether the rate lets one more through.
    pub(crate) fn has_room(&self) -> bool {
        let Some(rate) = self.profile.rate_per_second else { return true };
        let mut second = lock(&self.second);
        if second.0.elapsed().as_secs() >= 1 {
            *second = (Instant::now(), 0);
        }
        second.1 += 1;
        second.1 <= rate
    }

    /// Whether a person at `from` may write `text` to `to`: no longer once they wrote STOP, so that its confirmation is
    /// not answered.
    pub(crate) fn writes(&self, from: &str, to: &str, text: &str) -> bool {
        let mut stopped = lock(&self.stopped);
        let pair = (from.to_owned(), to.to_owned());
        if text == STOP { stopped.insert(pair) } else { !stopped.contains(&pair) }
    }

    /// Has `sm` handed over at `at`.
    pub(crate) fn post(&self, at: Instant, sm: DeliverSm) {
        let number = self.number();
        lock(&self.outbox).insert((at, number), sm);
        self.more.notify_waiters();
    }

    /// The messages due at `now`, at most `most`.
    pub(crate) fn due(&self, now: Instant, most: usize) -> Vec<DeliverSm> {
        let mut outbox = lock(&self.outbox);
        let mut due = Vec::new();
        while due.len() < most
            && let Some(first) = outbox.first_entry()
            && first.key().0 <= now
        {
            due.push(first.remove());
        }
        due
    }

    /// When the next message is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        lock(&self.outbox).first_key_value().map(|((at, _), _)| *at)
    }
}

/// A running SMSC. Dropping it closes its listener and connections.
pub struct Smsc {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

impl Smsc {
    /// Listens on `listen`; port 0 picks a free one.
    ///
    /// # Errors
    /// Those of binding the address.
    pub async fn start(listen: SocketAddr, profile: Profile) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            profile,
            taken: AtomicU64::new(0),
            numbers: AtomicU64::new(0),
            records: Mutex::default(),
            outbox: Mutex::default(),
            more: Notify::new(),
            second: Mutex::new((Instant::now(), 0)),
            stopped: Mutex::default(),
        });
        let theirs = shared.clone();
        let listener = tokio::spawn(async move {
            // Connections end when the listener does.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    Ok((stream, _)) = listener.accept() => {
                        connections.spawn(connection::serve(stream, theirs.clone()));
                    }
                    Some(_) = connections.join_next(), if !connections.is_empty() => {}
                }
            }
        });
        Ok(Self { address, shared, listener })
    }

    /// The address where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many `submit_sm` have come.
    pub fn count(&self) -> u64 {
        self.shared.taken.load(Ordering::Relaxed)
    }

    /// Every `submit_sm` that came, in order, if records are kept.
    pub fn records(&self) -> Vec<Record> {
        lock(&self.shared.records).clone()
    }

    /// How many messages it accepted for each number.
    pub fn accepted(&self) -> HashMap<String, usize> {
        let mut accepted = HashMap::new();
        for record in lock(&self.shared.records).iter().filter(|r| r.status == 0) {
            *accepted.entry(record.destination.clone()).or_default() += 1;
        }
        accepted
    }

    /// Sends a reply `text` from a person at `from` to `to`.
    pub fn reply(&self, from: &str, to: &str, text: &str) {
        self.shared.post(Instant::now(), connection::reply(from, to, text));
    }
}

impl Drop for Smsc {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// A text for a PDU; one that is too long is cut.
pub(crate) fn c_string<const MOST: usize>(text: &str) -> COctetString<1, MOST> {
    let octets: Vec<u8> = text.bytes().filter(|b| *b != 0).take(MOST - 1).chain([0]).collect();
    COctetString::from_vec(octets).unwrap_or_default()
}
