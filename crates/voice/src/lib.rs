//! Routes for calls: SIP signalling, RTP media, prompts and speech. It knows nothing of the store.

pub mod audio;
pub mod call;
mod ledger;
pub mod media;
mod prompts;
mod route;
pub mod sdp;
pub mod sip;
pub mod speech;

pub use prompts::{Library, Prompts, Ready};
pub use route::{Equipment, SipRoute};
