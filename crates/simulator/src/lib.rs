//! A carrier for demo, rehearsal and tests: an SMSC over real SMPP 3.4.
//!
//! The seed and a message's number alone decide what becomes of it, so that a run can be repeated whatever the order of
//! arrival. Every `submit_sm` is recorded as it came.

mod carrier;
mod connection;
mod profile;

pub use carrier::{Record, Smsc};
pub use profile::Profile;
