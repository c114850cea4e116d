//! Files as people have them: read as sound, or refused in words.

use std::time::Duration;

use voice::audio::{AudioError, MOST_BYTES, Pcm, Prompt, as_heard, read};
use voice::sdp::Codec;

/// How a WAV file holds its samples.
#[derive(Debug, Clone, Copy)]
enum Form {
    Whole(u16),
    Float,
}

/// A WAV file of a tone of 440 Hz.
fn wav(form: Form, channels: u16, rate: u32, seconds: f64) -> Vec<u8> {
    let (format, bits) = match form {
        Form::Whole(bits) => (1u16, bits),
        Form::Float => (3, 32),
    };
    let mut data = Vec::new();
    for i in 0..(seconds * f64::from(rate)).round() as u32 {
        let share = (f64::from(i) / f64::from(rate) * 440.0 * std::f64::consts::TAU).sin() * 0.5;
        for _ in 0..channels {
            match form {
                Form::Whole(8) => data.push((128.0 + share * 127.0) as u8),
                Form::Whole(16) => data.extend(((share * 32_767.0) as i16).to_le_bytes()),
                Form::Whole(24) => data.extend(&((share * 8_388_607.0) as i32).to_le_bytes()[..3]),
                Form::Whole(_) => data.extend(((share * 2_147_483_647.0) as i32).to_le_bytes()),
                Form::Float => data.extend((share as f32).to_le_bytes()),
            }
        }
    }
    framed(format, bits, channels, rate, data.len() as u32, &data)
}

/// A WAV file whose header states `stated` bytes of sound.
fn framed(format: u16, bits: u16, channels: u16, rate: u32, stated: u32, data: &[u8]) -> Vec<u8> {
    let frame = channels * bits / 8;
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend(stated.saturating_add(36).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0");
    file.extend(format.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(frame)).to_le_bytes());
    file.extend(frame.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend(stated.to_le_bytes());
    file.extend(data);
    file
}

/// The share of the energy that a tone of `hertz` holds.
fn share_of(sound: &Pcm, hertz: f64) -> f64 {
    let (mut real, mut imaginary, mut energy) = (0.0, 0.0, 0.0);
    for (i, sample) in sound.samples().iter().enumerate() {
        let (value, turn) =
            (f64::from(*sample), i as f64 / f64::from(sound.rate()) * hertz * std::f64::consts::TAU);
        real += value * turn.cos();
        imaginary += value * turn.sin();
        energy += value * value;
    }
    (real * real + imaginary * imaginary) * 2.0 / (energy.max(1.0) * sound.samples().len().max(1) as f64)
}

fn root_mean_square(sound: &Pcm) -> f64 {
    let sum: f64 = sound.samples().iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (sum / sound.samples().len().max(1) as f64).sqrt()
}

#[test]
fn every_usual_form_of_wav_is_read_at_its_length_loudness_and_pitch() {
    for form in [Form::Whole(8), Form::Whole(16), Form::Whole(24), Form::Whole(32), Form::Float] {
        for channels in [1, 2, 6] {
            for rate in [8_000, 11_025, 16_000, 22_050, 44_100, 44_101, 48_000, 96_000] {
                for wanted in [8_000, 16_000] {
                    let sound = read(&wav(form, channels, rate, 0.5), wanted).unwrap();
                    let about = format!("{form:?} {channels} {rate} {wanted}");
                    assert_eq!(sound.rate(), wanted, "{about}");
                    assert!(
                        (sound.length().as_secs_f64() - 0.5).abs() < 0.001,
                        "{about}: {:?}",
                        sound.length()
                    );
                    assert!(share_of(&sound, 440.0) > 0.98, "{about}: {}", share_of(&sound, 440.0));
                    let loudness = root_mean_square(&sound) / 32_768.0;
                    assert!((loudness - 0.5 / 2f64.sqrt()).abs() < 0.02, "{about}: {loudness}");
                }
            }
        }
    }
}

#[test]
fn an_mp3_with_a_picture_is_read() {
    let sound = read(include_bytes!("audio/tone_with_art.mp3"), 8_000).unwrap();
    assert!((sound.length().as_secs_f64() - 1.0).abs() < 0.15, "{:?}", sound.length());
    assert!(share_of(&sound, 440.0) > 0.9, "{}", share_of(&sound, 440.0));
}

#[test]
fn what_is_no_sound_is_refused_in_words() {
    let half = wav(Form::Whole(16), 1, 8_000, 2.0);
    let two_hours = framed(1, 16, 1, 8_000, 2 * 3_600 * 16_000 + 3 * 60 * 16_000, &[0; 4_000]);
    let noise: Vec<u8> = (0..40_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a text", b"Hello, this is no sound at all. ".repeat(40), "this is no WAV or MP3 file"),
        ("a page", b"<!doctype html><title>404</title>".to_vec(), "this is no WAV or MP3 file"),
        (
            "a text called WAV",
            [b"RIFF\x24\0\0\0".as_slice(), &b"no wave here ".repeat(30)].concat(),
            "this is no WAV or MP3 file",
        ),
        ("a picture", [b"\x89PNG\r\n\x1a\n".as_slice(), &noise].concat(), "this is no WAV or MP3 file"),
        ("noise", noise, "this is no WAV or MP3 file"),
        ("nothing", Vec::new(), "this file holds no sound"),
        ("a header alone", framed(1, 16, 1, 8_000, 0, &[]), "this file holds no sound"),
        ("two hours by its header", two_hours, "longer than 10 minutes: 2 h 3 min"),
        (
            "half of itself",
            half[..44 + 16_000].to_vec(),
            "the file ends early: it states 2.0 s and holds 1.0 s: upload it again",
        ),
        ("too many bytes", vec![0; MOST_BYTES + 1], "larger than 25 MB: 26 MB"),
        (
            "a rate of 1 Hz",
            framed(1, 16, 1, 1, 4_000, &[0; 4_000]),
            "1 samples a second is no rate for sound: 4,000 to 192,000 are read",
        ),
        (
            "an encoding of modems",
            framed(0x31, 16, 1, 8_000, 4_000, &[0; 4_000]),
            "this WAV file's encoding is not known: save it as PCM of 16 bits",
        ),
    ];
    for (what, file, words) in table {
        assert_eq!(read(&file, 8_000).map(|sound| sound.length()).unwrap_err().to_string(), words, "{what}");
    }
}

#[test]
fn a_length_that_nobody_knew_when_the_header_was_written_is_counted() {
    for stated in [u32::MAX, 0x7fff_f000] {
        let whole = wav(Form::Whole(16), 1, 22_050, 0.5);
        let file = framed(1, 16, 1, 22_050, stated, &whole[44..]);
        assert!((read(&file, 8_000).unwrap().length().as_secs_f64() - 0.5).abs() < 0.001, "{stated:x}");
    }
    // Eleven minutes that no header states.
    let file = framed(1, 8, 1, 8_000, u32::MAX, &vec![128; 660 * 8_000]);
    assert_eq!(read(&file, 8_000).unwrap_err(), AudioError::TooLong { length: None });
}

#[test]
fn a_prompt_is_whole_frames_in_each_codec_and_encoded_once() {
    let prompt = Prompt::new(read(&wav(Form::Whole(16), 1, 44_100, 0.51), 16_000).unwrap());
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722] {
        let frames = prompt.frames(codec);
        assert_eq!(frames.len(), 26 * 160, "{codec:?}");
        assert!(std::ptr::eq(frames, prompt.frames(codec)), "{codec:?}");
    }
    assert_eq!(prompt.length().as_millis(), 510);
}

#[test]
fn a_phone_hears_the_voice_and_neither_hum_nor_hiss() {
    let tone = |hertz: f64| {
        let samples = (0..16_000)
            .map(|i| ((f64::from(i) / 16_000.0 * hertz * std::f64::consts::TAU).sin() * 12_000.0) as i16);
        read(&as_heard(&Pcm::new(16_000, samples.collect())), 8_000).unwrap()
    };
    let voice = root_mean_square(&tone(1_000.0));
    assert!((voice / (12_000.0 / 2f64.sqrt()) - 1.0).abs() < 0.05, "{voice}");
    for hertz in [50.0, 100.0, 3_900.0, 5_000.0] {
        let left = root_mean_square(&tone(hertz));
        assert!(left < voice / 30.0, "{hertz}: {left}");
    }
    assert_eq!(tone(1_000.0).length(), Duration::from_secs(1));
}
