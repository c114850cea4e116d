//! Routes for calls: SIP signalling, RTP media, prompts and speech. It knows nothing of the store.

pub mod audio;
pub mod call;
pub mod media;
pub mod sdp;
pub mod sip;
pub mod speech;
