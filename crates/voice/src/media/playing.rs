//! What a call plays: prompts one behind the other, a frame at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::audio::{FRAME_BYTES, Prompt};
use crate::sdp::Codec;

/// Prompts that are being played.
#[derive(Debug)]
pub(crate) struct Playing {
    prompts: VecDeque<Arc<Prompt>>,
    /// Where the first one's next frame begins.
    at: usize,
    /// What `Played` will name.
    pub(crate) mark: u64,
}

impl Playing {
    pub(crate) fn new(prompts: Vec<Arc<Prompt>>, mark: u64) -> Self {
        Self { prompts: prompts.into(), at: 0, mark }
    }

    /// Gives the next frame to `send`; false where there is none left.
    pub(crate) fn next<T>(&mut self, codec: Codec, send: impl FnOnce(&[u8]) -> T) -> Option<T> {
        loop {
            let prompt = self.prompts.front()?;
            if let Some(frame) = prompt.frames(codec).get(self.at..self.at + FRAME_BYTES) {
                self.at += FRAME_BYTES;
                return Some(send(frame));
            }
            self.prompts.pop_front();
            self.at = 0;
        }
    }
}
