//! Signalling: a user agent for one trunk (RFC 3261), in words of our own. `stack` alone knows the SIP library; what
//! an answer means is decided by pure functions in `cause`, `session` and `trace`, tested by tables.

mod call;
mod cause;
mod session;
mod stack;
mod trace;
mod trunk;

pub use call::{Answer, Call, Callee, Event, Invite, Transfer};
pub use cause::{Cause, End, Outcome, Side, Verdict, judge, q850};
pub use session::{Agreed, Refresher, agreed};
pub use stack::Agent;
pub use trace::{Exchange, Message};
pub use trunk::{Credentials, Fault, Password, Register, State, Transport, Trunk};

/// What a log's filter must hold whatever else it lets through: the SIP library writes messages whole, with digests and
/// the numbers called, and a line for every datagram that it cannot read, whoever sent it.
pub const LOG_DIRECTIVE: &str = "rsipstack=off";
