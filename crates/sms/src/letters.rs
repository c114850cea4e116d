//! What a person wrote, from the octets that an SMSC hands over: by `data_coding` (SMPP 3.4 §5.2.19, 3GPP TS 23.038
//! §4), and by what makes a readable text where a carrier uses another coding than it states.

use campaign::{keyword, segment};
use encoding_rs::Encoding;
use engine::DefaultAlphabet;

/// The longest text that is kept, in characters: longer than any message.
const LONGEST: usize = 40_000;

/// Reads `octets` that have no header.
pub(crate) fn read(coding: u8, octets: &[u8], default: DefaultAlphabet) -> String {
    let text = match (coding, default) {
        (0x00, DefaultAlphabet::Latin1) | (0x03, _) => latin1(octets),
        (0x08 | 0x18..=0x1B | 0xE0..=0xEF, _) => utf16(octets),
        // With a class, or for a mailbox. In the last group, bit 2 marks data.
        (0x00 | 0x10..=0x13 | 0xC0..=0xDF | 0xF0..=0xF3 | 0xF8..=0xFB, _) => gsm7(octets),
        _ => eight_bits(coding, octets),
    };
    text.chars().take(LONGEST).collect()
}

fn latin1(octets: &[u8]) -> String {
    octets.iter().copied().map(char::from).collect()
}

/// The alphabets of single languages (SMPP 3.4 §5.2.19).
fn of_language(coding: u8) -> Option<&'static Encoding> {
    Some(match coding {
        0x05 => encoding_rs::SHIFT_JIS,
        0x06 => encoding_rs::ISO_8859_5,
        0x07 => encoding_rs::ISO_8859_8,
        0x0A => encoding_rs::ISO_2022_JP,
        0x0D => encoding_rs::EUC_JP,
        0x0E => encoding_rs::EUC_KR,
        _ => return None,
    })
}

/// UTF-8 where it is valid, otherwise the alphabet that the coding names, otherwise Latin-1.
fn eight_bits(coding: u8, octets: &[u8]) -> String {
    let of_language = of_language(coding);
    // Escapes switch its letters, so that all of it may be ASCII.
    if of_language == Some(encoding_rs::ISO_2022_JP) && octets.contains(&0x1B) {
        return encoding_rs::ISO_2022_JP.decode_without_bom_handling(octets).0.into_owned();
    }
    match (String::from_utf8(octets.to_vec()), of_language) {
        (Ok(text), _) => text,
        (Err(_), Some(encoding)) => encoding.decode_without_bom_handling(octets).0.into_owned(),
        (Err(_), None) => latin1(octets),
    }
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
    let is_keyword = |text: &str| keyword::find(text, &[]).is_some();
    let text = match octets {
        [0xFF, 0xFE, ..] => swapped(),
        // No script has only characters whose numbers end in 00; byte-swapped Latin letters all do.
        [_, _, _, _, ..] if octets.chunks_exact(2).all(|unit| unit[1] == 0) => swapped(),
        _ => {
            let text = segment::read_ucs2(octets);
            // A keyword in another script, such as Cyrillic.
            if !is_keyword(&text) && is_keyword(&swapped()) { swapped() } else { text }
        }
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
            (0x10, &packed),
            (0x11, b"STOP"),
            (0xC8, b"STOP"),
            (0x06, b"STOP"),
            (0x0A, b"STOP"),
        ] {
            assert_eq!(read(coding, octets, DefaultAlphabet::Gsm), "STOP", "{coding:#04x} {octets:x?}");
        }
    }

    #[test]
    fn a_stop_in_another_script_is_read_in_whatever_coding_it_comes() {
        let be: Vec<u8> = "СТОП".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let le: Vec<u8> = "СТОП".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf8 = "СТОП".as_bytes();
        for (coding, octets) in [
            (0x08, &be[..]),
            (0x08, &le),
            (0x19, &le),
            (0x06, &[0xC1, 0xC2, 0xBE, 0xBF]),
            (0x06, utf8),
            (0x00, utf8),
            (0x04, utf8),
        ] {
            assert_eq!(read(coding, octets, DefaultAlphabet::Gsm), "СТОП", "{coding:#04x} {octets:x?}");
        }
        assert_eq!(read(0x07, &[0xF9, 0xEC, 0xE5, 0xED], DefaultAlphabet::Gsm), "שלום");
        assert_eq!(read(0x05, &[0x93, 0x63, 0x92, 0x86], DefaultAlphabet::Gsm), "田中");
        assert_eq!(read(0x0A, b"\x1B$BEDCf\x1B(B", DefaultAlphabet::Gsm), "田中");
        assert_eq!(read(0x0E, &[0xB1, 0xE8], DefaultAlphabet::Gsm), "김");
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
