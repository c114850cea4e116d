//! The sound of calls over RTP: one port a call, frames of 20 ms paced by threads, keys both ways, RTCP.
//!
//! `Leg` is one call's media without a socket or a clock: packets and instants go in, packets and events come out.
//! `Media` owns the threads that serve many legs. Nothing that comes in at a port can do more than be passed over.
//! What the two ends agreed on comes in as plain values (`sdp::Sound`); offers and answers are no subject here.

mod bridge;
mod keys;
mod lateness;
mod leg;
mod packet;
mod playing;
mod ports;
mod report;
mod seal;
mod session;
mod thread;
mod tones;
mod window;

pub use bridge::Bridge;
pub use keys::KEYS;
pub use lateness::Lateness;
pub use leg::{Command, Event, Leg, Setup, Timeouts};
pub use ports::{Place, Ports, PortsError};
pub use session::{Media, MediaError, Options, Session};
pub use tones::{Tones, tone};
