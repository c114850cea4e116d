//! Reads what people upload and speech engines print: WAV and MP3, any rate, any channels.
//!
//! A header is believed only where it refuses: what it states beyond the limit is refused unread, what is really there
//! is counted while it is part. Headers written before the length was known (a pipe) state none.

use std::io::Cursor;
use std::time::Duration;

use symphonia::core::audio::SampleBuffer;
use symphonia::core::codecs::{CODEC_TYPE_MP3, CODEC_TYPE_NULL, CodecParameters, DecoderOptions};
use symphonia::core::errors::Error as Symphonia;
use symphonia::core::formats::FormatOptions;
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::{Limit, MetadataOptions};
use symphonia::core::probe::Hint;

use crate::audio::pcm::Pcm;
use crate::audio::resample::Resampler;

/// The most bytes of a file.
pub const MOST_BYTES: usize = 25 * 1024 * 1024;
/// The longest that a file may sound.
pub const LONGEST: Duration = Duration::from_secs(600);
/// The rates a second that a file may have.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=192_000;
/// Sizes from here on are what programs write that do not know the size yet.
const SIZE_UNKNOWN: u32 = 0x7fff_0000;

/// Why a file is not taken, for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AudioError {
    /// Neither of the two forms.
    #[error("this is no WAV or MP3 file")]
    NotAudio,
    /// A WAV file of an encoding that is not read.
    #[error("this WAV file's encoding is not known: save it as PCM of 16 bits")]
    Encoding,
    /// Over the bound in bytes.
    #[error("larger than 25 MB: {0} MB")]
    TooLarge(usize),
    /// Over the bound in time; with its length where it is known.
    #[error("longer than 10 minutes{}", length.map(|length| format!(": {}", in_words(length))).unwrap_or_default())]
    TooLong {
        /// What the file states.
        length: Option<Duration>,
    },
    /// It holds less than it states.
    #[error("the file ends early: it states {} and holds {}: upload it again", in_words(*stated), in_words(*held))]
    Truncated {
        /// The length by its header.
        stated: Duration,
        /// The length of what is there.
        held: Duration,
    },
    /// A rate that no sound has.
    #[error("{0} samples a second is no rate for sound: 4,000 to 192,000 are read")]
    Rate(u32),
    /// Nothing to play.
    #[error("this file holds no sound")]
    Empty,
}

/// Reads a WAV or MP3 file as mono sound of `rate` samples a second.
pub fn read(file: &[u8], rate: u32) -> Result<Pcm, AudioError> {
    if file.len() > MOST_BYTES {
        return Err(AudioError::TooLarge(file.len().div_ceil(1024 * 1024)));
    }
    if file.is_empty() {
        return Err(AudioError::Empty);
    }
    let riff = file.starts_with(b"RIFF");
    let source =
        MediaSourceStream::new(Box::new(Cursor::new(file.to_vec())), MediaSourceStreamOptions::default());
    // Pictures in tags are passed over, whatever their size.
    let tags = MetadataOptions {
        limit_metadata_bytes: Limit::Maximum(1024),
        limit_visual_bytes: Limit::Maximum(1024),
    };
    let mut probed = symphonia::default::get_probe()
        .format(&Hint::new(), source, &FormatOptions::default(), &tags)
        .map_err(|_| if wave(file) { AudioError::Encoding } else { AudioError::NotAudio })?;
    let track = probed.format.default_track().ok_or(AudioError::NotAudio)?;
    if track.codec_params.codec == CODEC_TYPE_NULL {
        return Err(AudioError::Encoding);
    }
    let (id, params) = (track.id, track.codec_params.clone());
    let from = params.sample_rate.ok_or(AudioError::NotAudio)?;
    if !RATES.contains(&from) {
        return Err(AudioError::Rate(from));
    }
    let stated = stated(file, riff, &params, from);
    if let Some(length) = stated.filter(|&length| length > LONGEST) {
        return Err(AudioError::TooLong { length: Some(length) });
    }
    let mut codec = symphonia::default::get_codecs()
        .make(&params, &DecoderOptions::default())
        .map_err(|_| AudioError::Encoding)?;
    let mut resampler = Resampler::new(from, rate).map_err(|_| AudioError::Rate(from))?;
    let most = LONGEST.as_secs() * u64::from(from);
    let (mut taken, mut good, mut bad) = (0u64, 0u32, 0u32);
    let mut mono = Vec::new();
    // The end of the file is an error to this reader; a fault in the middle ends it just the same.
    while let Ok(packet) = probed.format.next_packet() {
        if packet.track_id() != id {
            continue;
        }
        let part = match codec.decode(&packet) {
            Ok(part) => part,
            Err(Symphonia::DecodeError(_)) => {
                bad += 1;
                continue;
            }
            Err(_) => break,
        };
        good += 1;
        let channels = part.spec().channels.count().max(1);
        if part.spec().rate != from || part.frames() == 0 {
            continue;
        }
        let mut buffer = SampleBuffer::<f32>::new(part.frames() as u64, *part.spec());
        buffer.copy_interleaved_ref(part);
        mono.clear();
        mono.extend(buffer.samples().chunks(channels).map(|frame| {
            let sum: f32 = frame.iter().map(|share| if share.is_finite() { *share } else { 0.0 }).sum();
            sum / channels as f32
        }));
        taken += mono.len() as u64;
        if taken > most {
            return Err(AudioError::TooLong { length: stated.filter(|&length| length > LONGEST) });
        }
        resampler.push(&mono);
    }
    if bad > good {
        return Err(AudioError::NotAudio);
    }
    let held = Duration::from_secs_f64(taken as f64 / f64::from(from));
    if let Some(stated) = stated.filter(|&stated| riff && held + Duration::from_millis(20) < stated) {
        return Err(AudioError::Truncated { stated, held });
    }
    if taken == 0 {
        return Err(AudioError::Empty);
    }
    Ok(Pcm::new(rate, resampler.finish()))
}

fn wave(file: &[u8]) -> bool {
    file.starts_with(b"RIFF") && file.get(8..12) == Some(b"WAVE")
}

/// The length by the header, where it can be one.
fn stated(file: &[u8], riff: bool, params: &CodecParameters, rate: u32) -> Option<Duration> {
    let size = file.get(4..8).and_then(|size| size.try_into().ok()).map(u32::from_le_bytes);
    if riff && size.is_none_or(|size| size == 0 || size >= SIZE_UNKNOWN) {
        return None;
    }
    // An MP3 without the encoder's own count is guessed at from its first frames: too coarse to refuse by, unless far off.
    let length = Duration::from_secs_f64(params.n_frames? as f64 / f64::from(rate));
    (params.codec != CODEC_TYPE_MP3 || length > LONGEST * 2).then_some(length)
}

/// "2 h 3 min", "12 min 5 s", "0.4 s".
fn in_words(length: Duration) -> String {
    let seconds = length.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, _) => format!("{:.1} s", length.as_secs_f64()),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}
