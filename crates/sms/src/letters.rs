//! What a person wrote, from the octets that an SMSC hands over: by `data_coding` (SMPP 3.4 §5.2.19, 3GPP TS 23.038
//! §4), and by what makes a readable text where a carrier uses another coding than it states.

use campaign::{keyword, segment};
use engine::DefaultAlphabet;

/// The longest text that is kept, in characters: longer than any message.
const LONGEST: usize = 40_000;

/// Reads `octets` that have no header.
pub(crate) fn read(coding: u8, octets: &[u8], default: DefaultAlphabet) -> String {
    let text = match (coding, default) {
        (0x00, DefaultAlphabet::Latin1) | (0x03, _) => latin1(octets),
        (0x08 | 0x18..=0x1B | 0xE0..=0xEF, _) => utf16(octets),
        // In the last group, bit 2 marks data.
        (0x00 | 0xF0..=0xF3 | 0xF8..=0xFB, _) => gsm7(octets),
        _ => eight_bits(octets),
    };
    text.chars().take(LONGEST).collect()
}

fn latin1(octets: &[u8]) -> String {
    octets.iter().copied().map(char::from).collect()
}

fn eight_bits(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap_or_else(|_| latin1(octets))
}

/// GSM-7 unpacked, as it should be; or packed, or eight bits, where only that makes sense.
fn gsm7(octets: &[u8]) -> String {
    let unpacked = segment::read_gsm7(octets);
    let is_keyword = |text: &str| keyword::find(text, &[]).is_some();
    if octets.is_ascii() && is_keyword(&unpacked) {
        return unpacked;
    }
    let packed = segment::read_packed_gsm7(octets);
    if is_keyword(&packed) {
        return packed;
    }
    if octets.is_ascii() {
        return unpacked;
    }
    let is_plain = |c: char| c.is_ascii_graphic() || c.is_ascii_whitespace();
    match String::from_utf8(octets.to_vec()) {
        Ok(text) => text,
        Err(_) if packed.chars().all(is_plain) => packed,
        Err(_) => latin1(octets),
    }
}

/// UTF-16 in big-endian order, unless a mark or the letters themselves say otherwise.
fn utf16(octets: &[u8]) -> String {
    let swapped = || {
        segment::read_ucs2(&octets.chunks_exact(2).flat_map(|unit| [unit[1], unit[0]]).collect::<Vec<_>>())
    };
    let text = match octets {
        [0xFF, 0xFE, ..] => swapped(),
        // No script has only characters whose numbers end in 00; byte-swapped Latin letters all do.
        [_, _, _, _, ..] if octets.chunks_exact(2).all(|unit| unit[1] == 0) => swapped(),
        _ => segment::read_ucs2(octets),
    };
    text.trim_start_matches('\u{FEFF}').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_read_in_whatever_coding_it_comes() {
        let be: Vec<u8> = "STOP".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let le: Vec<u8> = "STOP".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let packed = [0x53, 0xEA, 0x13, 0x0A];
        for (coding, octets) in [
            (0x00, &b"STOP"[..]),
            (0x01, b"STOP"),
            (0x02, b"STOP"),
            (0x03, b"STOP"),
            (0x04, b"STOP"),
            (0xF0, b"STOP"),
            (0xF1, b"STOP"),
            (0xF5, b"STOP"),
            (0x08, &be),
            (0x08, &le),
            (0x18, &be),
            (0xE0, &be),
            (0x08, &[&[0xFE, 0xFF], &be[..]].concat()),
            (0x08, &[&[0xFF, 0xFE], &le[..]].concat()),
            (0x00, &packed),
            (0xF0, &packed),
        ] {
            assert_eq!(read(coding, octets, DefaultAlphabet::Gsm), "STOP", "{coding:#04x} {octets:x?}");
        }
    }

    #[test]
    fn other_texts_are_not_read_as_what_they_are_not() {
        let ucs2 = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
        for text in ["一", "да", "你好", "Zürich", "一丁", "⚡", ""] {
            assert_eq!(read(8, &ucs2(text), DefaultAlphabet::Gsm), text);
        }
        assert_eq!(read(0, b"\0 yes \x11", DefaultAlphabet::Gsm), "@ yes _");
        assert_eq!(read(0, b"@ yes _ \xE9", DefaultAlphabet::Latin1), "@ yes _ é");
        assert_eq!(read(0, "Zürich".as_bytes(), DefaultAlphabet::Gsm), "Zürich");
        assert_eq!(read(3, b"Z\xFCrich", DefaultAlphabet::Gsm), "Zürich");
    }
}
