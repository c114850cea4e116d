//! The most of everything that comes from outside: connections, bodies, files, rows, values, tries and listeners. What is
//! larger or more is refused in words, or waits; nothing is held in memory by the size that a request says it has.
//!
//! What waits within the program is bounded where it waits; docs/architecture.md lists it under "Bounds".

use std::time::Duration;

/// A JSON body, in bytes: tens of thousands of contacts.
pub(crate) const LARGEST_JSON: usize = 16 * 1024 * 1024;
/// A form without a file, in bytes: twenty messages, with room.
pub(crate) const LARGEST_FORM: usize = 2 * 1024 * 1024;
/// A field beside the file of a form, in bytes.
pub(crate) const LARGEST_FIELD: usize = 256;
/// A file of contacts, in bytes: some twenty million rows.
pub(crate) const LARGEST_FILE: u64 = 1_000_000_000;
/// What a form with a file has beside it, in bytes.
pub(crate) const AROUND_FILE: u64 = 1024 * 1024;
/// Bytes that an upload leaves free on the disk: what is sent must still be accounted for.
pub(crate) const KEPT_FREE: u64 = 64 * 1024 * 1024;
/// A row of a file, in bytes: a value of a MiB and what stands beside it.
pub(crate) const LONGEST_RECORD: usize = 1024 * 1024 + 64 * 1024;
/// A value that a contact keeps, in characters.
pub(crate) const LONGEST_VALUE: usize = 2_000;
/// Rows of a file that are read, sorted and stored together,
pub(crate) const PART_ROWS: usize = 250_000;
/// and bytes of them.
pub(crate) const PART_BYTES: usize = 52 * 1024 * 1024;
/// The part of a refused value that is shown again, in characters.
pub(crate) const SHOWN: usize = 60;

/// Connections at a time, about 40 KiB each; whoever comes after them waits to be accepted.
pub(crate) const CONNECTIONS: usize = 2_000;
/// The head of a request, in bytes.
pub(crate) const LARGEST_HEAD: usize = 64 * 1024;
/// Header fields of a request.
pub(crate) const MOST_HEADERS: usize = 100;
/// How long the head of a request may take, and how long a connection may lie idle.
pub(crate) const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long whoever sends a body, or reads an answer, may pause.
pub(crate) const PAUSE: Duration = Duration::from_secs(60);
/// Addresses and places of which failed sign-ins are known at a time.
pub(crate) const TRIES_KNOWN: usize = 100_000;
/// Streams of live events at a time,
pub(crate) const LISTENERS: usize = 500;
/// and of one account or token.
pub(crate) const LISTENERS_OF_ONE: usize = 20;
/// Events that a listener may lag behind, which all share, before it is told to load anew.
pub(crate) const EVENTS_BEHIND: usize = 256;
