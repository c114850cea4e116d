//! SMS routes: SMPP 3.4 as an ESME, with transceiver binds.
//!
//! Keeps: every message of a batch is reported exactly once; what was written and not answered when a
//! connection ends is lost (In doubt), what was not written goes back; what the SMSC hands over is
//! acknowledged once it is stored. The PDUs are `rusmpp`'s; the session is ours, because what is in flight
//! when a socket dies is what this product is about.

mod bind;
mod incoming;
mod pdu;
mod route;
mod session;
mod status;
mod tls;

pub use route::SmppRoute;
