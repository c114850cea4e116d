//! Limits on everything from outside: connections, bodies, files, rows, values, sign-in attempts and listeners. Excess
//! is refused in words, or waits; no memory is reserved for the size that a request claims.
//!
//! Queues within the program are bounded where they are; docs/architecture.md lists those bounds under "Bounds".

use std::time::Duration;

/// The largest JSON body, in bytes: tens of thousands of contacts.
pub(crate) const LARGEST_JSON: usize = 16 * 1024 * 1024;
/// The largest form without a file, in bytes: twenty messages, with room.
pub(crate) const LARGEST_FORM: usize = 2 * 1024 * 1024;
/// The largest field beside the file of a form, in bytes.
pub(crate) const LARGEST_FIELD: usize = 256;
/// The largest file of contacts, in bytes: some twenty million rows.
pub(crate) const LARGEST_FILE: u64 = 1_000_000_000;
/// The largest file that calls play, in bytes: ten minutes of most formats.
pub(crate) const LARGEST_AUDIO: usize = voice::audio::MOST_BYTES;
/// What a form with a file may have beside it, in bytes.
pub(crate) const AROUND_FILE: u64 = 1024 * 1024;
/// How much of a body is read after its request was answered, in bytes, and for how long.
pub(crate) const REST: usize = 16 * 1024 * 1024;
pub(crate) const REST_WITHIN: Duration = Duration::from_secs(5);
/// The space that an upload leaves free on the disk, in bytes: what is sent must still be recorded.
pub(crate) const KEPT_FREE: u64 = 64 * 1024 * 1024;
/// The longest row of a file, in bytes: a value of a MiB and the rest of the row.
pub(crate) const LONGEST_RECORD: usize = 1024 * 1024 + 64 * 1024;
/// The longest value that a contact keeps, in characters.
pub(crate) const LONGEST_VALUE: usize = 2_000;
/// How many rows of a file are read, sorted and stored together.
pub(crate) const PART_ROWS: usize = 200_000;
/// How many bytes of a file are read, sorted and stored together.
pub(crate) const PART_BYTES: usize = 52 * 1024 * 1024;
/// How much of a refused value is shown again, in characters.
pub(crate) const SHOWN: usize = 60;

/// The most connections at a time, about 40 KiB each; further clients wait to be accepted.
pub(crate) const CONNECTIONS: usize = 2_000;
/// The largest head of a request, in bytes.
pub(crate) const LARGEST_HEAD: usize = 64 * 1024;
/// The most header fields of a request.
pub(crate) const MOST_HEADERS: usize = 100;
/// How long the head of a request may take, and how long a connection may be idle.
pub(crate) const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long a client that sends a body, or reads an answer, may pause.
pub(crate) const PAUSE: Duration = Duration::from_secs(60);
/// The most addresses and places whose failed sign-ins are remembered at a time.
pub(crate) const TRIES_KNOWN: usize = 100_000;
/// The most streams of live events at a time.
pub(crate) const LISTENERS: usize = 500;
/// The most streams of live events of one account or token.
pub(crate) const LISTENERS_OF_ONE: usize = 20;
/// How many events, shared by all listeners, a listener may lag behind before it is told to load anew.
pub(crate) const EVENTS_BEHIND: usize = 256;
