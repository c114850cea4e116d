//! A carrier for demo, rehearsal and tests: an SMSC over real SMPP 3.4, and phones over real SIP and RTP.
//!
//! The seed and a message's number, or the number that is called, alone decide what becomes of it, so that a run can be
//! repeated whatever the order of arrival. Every `submit_sm` is recorded as it came.

mod carrier;
mod connection;
mod phones;
mod profile;

pub use carrier::{Record, Smsc};
pub use phones::{Heard, PhoneProfile, Phones};
pub use profile::{Profile, UNKNOWN_NUMBER};
