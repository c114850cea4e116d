//! Sound that many calls play: its frames are encoded once for each codec and shared.

use std::sync::OnceLock;
use std::time::Duration;

use crate::audio::codec::FRAME_BYTES;
use crate::audio::pcm::Pcm;
use crate::sdp::Codec;

/// A prompt. Calls share it in an `Arc`.
#[derive(Debug)]
pub struct Prompt {
    sound: Pcm,
    pcmu: OnceLock<Box<[u8]>>,
    pcma: OnceLock<Box<[u8]>>,
    g722: OnceLock<Box<[u8]>>,
}

impl Prompt {
    /// A prompt of this sound, encoded for no codec yet.
    pub fn new(sound: Pcm) -> Self {
        Self { sound, pcmu: OnceLock::new(), pcma: OnceLock::new(), g722: OnceLock::new() }
    }

    /// How long it sounds.
    pub fn length(&self) -> Duration {
        self.sound.length()
    }

    /// Its sound.
    pub fn sound(&self) -> &Pcm {
        &self.sound
    }

    /// Its whole frames of 160 bytes one behind the other; the last is filled with silence. Encoded where `codec` is
    /// asked for the first time, which takes long for G.722 (half a millisecond a second): do it before a call plays.
    pub fn frames(&self, codec: Codec) -> &[u8] {
        self.kept(codec).get_or_init(|| encode(&self.sound.at(codec.rate()), codec))
    }

    /// Whether its frames are there already.
    pub fn is_encoded(&self, codec: Codec) -> bool {
        self.kept(codec).get().is_some()
    }

    fn kept(&self, codec: Codec) -> &OnceLock<Box<[u8]>> {
        match codec {
            Codec::Pcmu => &self.pcmu,
            Codec::Pcma => &self.pcma,
            Codec::G722 => &self.g722,
        }
    }
}

fn encode(sound: &Pcm, codec: Codec) -> Box<[u8]> {
    let mut encoder = codec.encoder();
    let mut frames = Vec::with_capacity(sound.samples().len().div_ceil(codec.frame_samples()) * FRAME_BYTES);
    let mut samples = vec![0; codec.frame_samples()];
    for part in sound.samples().chunks(codec.frame_samples()) {
        samples.fill(0);
        samples[..part.len()].copy_from_slice(part);
        let begun = frames.len();
        frames.extend(encoder.encode(&samples));
        frames.resize(begun + FRAME_BYTES, 0);
    }
    frames.into_boxed_slice()
}
