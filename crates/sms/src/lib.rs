//! SMS routes: SMPP 3.4 as an ESME.
//!
//! Keeps: every message of a batch is reported exactly once, even where a bind panics; a message that was written and not
//! answered when a connection ends is lost (In doubt), one that was not written goes back; what the SMSC hands over is
//! acknowledged once it is stored; no connection is cut for something that can be answered or passed over. The PDUs are `rusmpp`'s;
//! the session is ours, because what is in flight when a socket dies is what this product is about.

mod bind;
mod connect;
mod crowd;
mod fault;
mod flight;
mod frame;
mod hear;
mod incoming;
mod letters;
mod out;
mod pdu;
mod receipt;
mod route;
mod session;
mod shared;
mod status;
mod tls;
mod trim;
mod watch;

pub use route::SmppRoute;
