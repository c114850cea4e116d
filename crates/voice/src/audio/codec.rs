//! The codecs of a call. Each sends 160 bytes and moves the RTP clock by 160 in 20 ms (G.722 too: RFC 3551 §4.5.2).

use std::time::Duration;

use audio_codec::{CodecType, Decoder, Encoder};

use crate::sdp::Codec;

/// How long one frame sounds.
pub const FRAME: Duration = Duration::from_millis(20);
/// The bytes of one frame in every codec here.
pub const FRAME_BYTES: usize = 160;
/// The ticks of the RTP clock (8,000 a second) in one frame.
pub const FRAME_TICKS: u32 = 160;

impl Codec {
    /// The samples a second that go in and come out.
    pub fn rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma => 8_000,
            Self::G722 => 16_000,
        }
    }

    /// The samples of one frame.
    pub fn frame_samples(self) -> usize {
        self.rate() as usize / 50
    }

    pub(crate) fn encoder(self) -> Box<dyn Encoder> {
        audio_codec::create_encoder(self.kind())
    }

    pub(crate) fn decoder(self) -> Box<dyn Decoder> {
        audio_codec::create_decoder(self.kind())
    }

    fn kind(self) -> CodecType {
        match self {
            Self::Pcmu => CodecType::PCMU,
            Self::Pcma => CodecType::PCMA,
            Self::G722 => CodecType::G722,
        }
    }
}
