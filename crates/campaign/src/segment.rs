//! Segments: how a text is encoded and cut for the air (3GPP TS 23.038, TS 23.040 §9.2.3.24.1).
//!
//! GSM-7 where every character is in the default alphabet or its extension table, else UCS-2 (as
//! UTF-16, so that emoji travel). A single segment holds 160 septets or 70 units; concatenated ones 153
//! or 67, because the header with reference, total and number takes the rest.

use std::{collections::HashMap, sync::LazyLock};

use rusmpp::extra::{
    concatenation::{Concatenation, Concatenator as _},
    encoding::gsm7bit::Gsm7BitUnpacked,
};
use serde::Serialize;

/// Septets in a lone GSM-7 segment.
const GSM7_SINGLE: usize = 160;
/// Septets that the concatenation header costs: 6 octets, padded to a septet boundary.
const GSM7_HEADER: usize = 7;
/// UTF-16 units in a lone UCS-2 segment.
const UCS2_SINGLE: usize = 70;
/// UTF-16 units in a concatenated one.
const UCS2_PART: usize = 67;
/// The header counts parts in one octet.
pub const MOST_SEGMENTS: usize = 255;

/// How a text travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// The GSM default alphabet.
    Gsm7,
    /// UTF-16, big endian.
    Ucs2,
}

impl Encoding {
    /// Its name in 3GPP TS 23.038.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Gsm7 => "GSM-7",
            Self::Ucs2 => "UCS-2",
        }
    }
}

/// A text cut into the user data of its segments, without headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments {
    /// How the parts are encoded.
    pub encoding: Encoding,
    /// User data: unpacked septets, or UTF-16 in big-endian order. At least one part.
    pub parts: Vec<Vec<u8>>,
}

/// What an editor shows beside a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Characters as a person counts them (Unicode scalar values).
    pub characters: usize,
    /// How it travels.
    pub encoding: Encoding,
    /// How many segments it takes.
    pub segments: usize,
}

/// The text needs more segments than a header can number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the text is too long: at most {MOST_SEGMENTS} segments fit one message")]
pub struct TooLong;

/// Encodes and cuts `text`.
pub fn cut(text: &str) -> Result<Segments, TooLong> {
    let gsm7 = Gsm7BitUnpacked::new();
    if let Ok(septets) = gsm7.encode_to_vec(text) {
        let parts = if septets.len() <= GSM7_SINGLE {
            vec![septets]
        } else {
            match gsm7.concatenate(text, GSM7_SINGLE, GSM7_HEADER) {
                Ok((Concatenation::Concatenated(parts), _)) => parts,
                Ok((Concatenation::Single(part), _)) => vec![part],
                Err(_) => return Err(TooLong),
            }
        };
        return Ok(Segments { encoding: Encoding::Gsm7, parts });
    }
    let units: Vec<u16> = text.encode_utf16().collect();
    let mut parts = Vec::new();
    let mut rest = units.as_slice();
    let most = if units.len() <= UCS2_SINGLE { UCS2_SINGLE } else { UCS2_PART };
    while !rest.is_empty() {
        let mut end = most.min(rest.len());
        // A surrogate pair stays together.
        if end < rest.len() && (0xD800..0xDC00).contains(&rest[end - 1]) {
            end -= 1;
        }
        parts.push(rest[..end].iter().flat_map(|unit| unit.to_be_bytes()).collect());
        rest = &rest[end..];
    }
    if parts.len() > MOST_SEGMENTS {
        return Err(TooLong);
    }
    Ok(Segments { encoding: Encoding::Ucs2, parts })
}

/// The size of `text`.
pub fn measure(text: &str) -> Result<Size, TooLong> {
    let cut = cut(text)?;
    Ok(Size { characters: text.chars().count(), encoding: cut.encoding, segments: cut.parts.len() })
}

/// The escape to the extension table (3GPP TS 23.038 §6.2.1).
const ESCAPE: u8 = 0x1B;

/// Octet sequences of the GSM alphabet and their characters, as the encoder has them.
static GSM7_CHARACTERS: LazyLock<HashMap<Vec<u8>, char>> = LazyLock::new(|| {
    // Every character of the alphabet and its extension lies below this one, the euro sign being the last.
    ('\0'..='\u{20AC}')
        .filter_map(|c| Some((Gsm7BitUnpacked::new().encode_to_vec(c.encode_utf8(&mut [0; 4])).ok()?, c)))
        .collect()
});

/// Reads unpacked GSM-7, a septet an octet. What is in no table reads as U+FFFD.
pub fn read_gsm7(septets: &[u8]) -> String {
    let mut text = String::with_capacity(septets.len());
    let mut rest = septets;
    while let Some(first) = rest.first() {
        let length = if *first == ESCAPE { 2 } else { 1 };
        let (one, after) = rest.split_at(length.min(rest.len()));
        text.push(GSM7_CHARACTERS.get(one).copied().unwrap_or(char::REPLACEMENT_CHARACTER));
        rest = after;
    }
    text
}

/// Reads UTF-16 in big-endian order. What is none reads as U+FFFD.
pub fn read_ucs2(octets: &[u8]) -> String {
    let units = octets.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(text: &str) -> (usize, Encoding, usize) {
        let s = measure(text).unwrap();
        (s.characters, s.encoding, s.segments)
    }

    #[test]
    fn borders_are_those_of_the_standard() {
        assert_eq!(size(""), (0, Encoding::Gsm7, 1));
        assert_eq!(size(&"a".repeat(160)), (160, Encoding::Gsm7, 1));
        assert_eq!(size(&"a".repeat(161)), (161, Encoding::Gsm7, 2));
        assert_eq!(size(&"a".repeat(306)), (306, Encoding::Gsm7, 2));
        assert_eq!(size(&"a".repeat(307)), (307, Encoding::Gsm7, 3));
        assert_eq!(size(&"я".repeat(70)), (70, Encoding::Ucs2, 1));
        assert_eq!(size(&"я".repeat(71)), (71, Encoding::Ucs2, 2));
        assert_eq!(size(&"я".repeat(135)), (135, Encoding::Ucs2, 3));
    }

    #[test]
    fn extension_characters_cost_two_and_emoji_four_octets() {
        assert_eq!(size(&"€".repeat(80)), (80, Encoding::Gsm7, 1));
        assert_eq!(size(&"€".repeat(81)), (81, Encoding::Gsm7, 2));
        assert_eq!(size(&"😀".repeat(35)), (35, Encoding::Ucs2, 1));
        assert_eq!(size(&"😀".repeat(36)), (36, Encoding::Ucs2, 2));
        assert_eq!(measure(&"a".repeat(153 * 255 + 1)), Err(TooLong));
        assert_eq!(measure(&"я".repeat(67 * 255 + 1)), Err(TooLong));
    }

    proptest! {
        #[test]
        fn parts_fit_and_put_together_are_the_text(text in "[a-z€\\[я😀]{0,700}") {
            let cut = cut(&text).unwrap();
            let single = cut.parts.len() == 1;
            match cut.encoding {
                Encoding::Gsm7 => {
                    for part in &cut.parts {
                        let most = if single { 160 } else { 153 };
                        prop_assert!(part.len() <= most);
                        prop_assert!(part.last() != Some(&0x1B), "an escape is never cut from its character");
                    }
                    prop_assert_eq!(cut.parts.concat(), Gsm7BitUnpacked::new().encode_to_vec(&text).unwrap());
                }
                Encoding::Ucs2 => {
                    let mut whole = String::new();
                    for part in &cut.parts {
                        let most = if single { 70 } else { 67 };
                        prop_assert!(part.len() / 2 <= most);
                        let units: Vec<u16> = part.chunks(2).map(|c| u16::from_be_bytes([c[0], c[1]])).collect();
                        whole.push_str(&String::from_utf16(&units).expect("no pair is cut"));
                    }
                    prop_assert_eq!(whole, text);
                }
            }
        }
    }

    #[test]
    fn what_was_encoded_reads_back() {
        for text in ["Hello @£$ [x] {y} €5 \n", "Çà va?"] {
            let cut = cut(text).unwrap();
            assert_eq!(cut.encoding, Encoding::Gsm7, "{text}");
            assert_eq!(read_gsm7(&cut.parts[0]), text);
        }
        let russian = "Привет ⚡";
        assert_eq!(read_ucs2(&cut(russian).unwrap().parts[0]), russian);
        assert_eq!(read_gsm7(&[0x1B]), "\u{FFFD}");
    }
}
