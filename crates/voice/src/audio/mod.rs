//! Sound: what is uploaded or spoken becomes PCM at one rate, and a prompt is encoded once for each codec.
//!
//! Keeps: no input makes more than ten minutes of samples, whatever its header states. What is wrong with a file is
//! said in words for whoever uploaded it. Nothing here plays: see `media`.

mod codec;
mod pcm;
mod phone;
mod prompt;
mod read;
mod resample;
mod ringback;

pub use codec::{FRAME, FRAME_BYTES, FRAME_TICKS};
pub use pcm::Pcm;
pub(crate) use pcm::sample;
pub use phone::as_heard;
pub use prompt::Prompt;
pub use read::{AudioError, LONGEST, MOST_BYTES, read};
pub use ringback::ringback;
