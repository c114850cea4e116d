//! Segments: how a text is encoded and cut for the air (3GPP TS 23.038, TS 23.040 §9.2.3.24.1).
//!
//! GSM-7 where every character is in the default alphabet or its extension table, otherwise UCS-2 (as UTF-16, so that
//! emoji travel). A single segment holds 160 septets or 70 units; concatenated ones 153 or 67, because the header with
//! reference, total and number takes up the rest.

use std::{collections::HashMap, sync::LazyLock};

use rusmpp::extra::encoding::gsm7bit::Gsm7BitUnpacked;
use serde::Serialize;
use unicode_segmentation::UnicodeSegmentation as _;

/// Septets in a lone GSM-7 segment.
const GSM7_SINGLE: usize = 160;
/// UTF-16 units in a lone UCS-2 segment.
const UCS2_SINGLE: usize = 70;
/// The most segments of a text: the header counts parts in one octet.
pub const MOST_SEGMENTS: usize = 255;

/// The header that ties the parts of a long text together, by the size of its reference in bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// 6 octets (3GPP TS 23.040 §9.2.3.24.1).
    Eight,
    /// 7 octets (3GPP TS 23.040 §9.2.3.24.8).
    Sixteen,
}

impl Header {
    /// Septets that a part holds beside this header, padded to a septet boundary.
    const fn septets(self) -> usize {
        match self {
            Self::Eight => 153,
            Self::Sixteen => 152,
        }
    }

    /// UTF-16 units that a part holds beside this header.
    const fn units(self) -> usize {
        match self {
            Self::Eight => 67,
            Self::Sixteen => 66,
        }
    }
}

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
    /// How the text travels.
    pub encoding: Encoding,
    /// How many segments the text takes.
    pub segments: usize,
}

/// The text needs more segments than a header can number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the text is too long: at most {MOST_SEGMENTS} segments fit one message")]
pub struct TooLong;

/// The escape septet of the extension table (3GPP TS 23.038 §6.2.1).
const ESCAPE: u8 = 0x1B;
/// The form feed of the extension table, which the encoder does not know.
const FORM_FEED: [u8; 2] = [ESCAPE, 0x0A];

/// The septets of a text, one per octet; none where it has other characters.
fn septets(text: &str) -> Option<Vec<u8>> {
    let gsm7 = Gsm7BitUnpacked::new();
    let pages: Option<Vec<Vec<u8>>> = text.split('\u{C}').map(|page| gsm7.encode_to_vec(page).ok()).collect();
    Some(pages?.join(&FORM_FEED[..]))
}

/// Encodes and cuts `text` the way it is counted: with the shorter header. What people see as one character is not cut,
/// unless it is larger than a part.
pub fn cut(text: &str) -> Result<Segments, TooLong> {
    cut_for(text, Header::Eight)
}

/// As [`cut`], into parts that leave room for `header`.
pub fn cut_for(text: &str, header: Header) -> Result<Segments, TooLong> {
    match septets(text) {
        Some(septets) => Segments::of(Encoding::Gsm7, cut_septets(septets, header.septets())),
        None => cut_ucs2(text, header),
    }
}

/// As [`cut_for`], in UCS-2 whatever the characters.
pub fn cut_ucs2(text: &str, header: Header) -> Result<Segments, TooLong> {
    Segments::of(Encoding::Ucs2, cut_units(text, header.units()))
}

impl Segments {
    fn of(encoding: Encoding, parts: Vec<Vec<u8>>) -> Result<Self, TooLong> {
        if parts.len() > MOST_SEGMENTS { Err(TooLong) } else { Ok(Self { encoding, parts }) }
    }
}

fn cut_septets(septets: Vec<u8>, most: usize) -> Vec<Vec<u8>> {
    if septets.len() <= GSM7_SINGLE {
        return vec![septets];
    }
    let mut parts = Vec::new();
    let mut rest = septets.as_slice();
    while !rest.is_empty() {
        let mut end = most.min(rest.len());
        // An escape stays with the septet after it.
        if end < rest.len() && rest[end - 1] == ESCAPE {
            end -= 1;
        }
        parts.push(rest[..end].to_vec());
        rest = &rest[end..];
    }
    parts
}

fn cut_units(text: &str, most: usize) -> Vec<Vec<u8>> {
    let octets = |units: &str| units.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    if text.encode_utf16().count() <= UCS2_SINGLE {
        return vec![octets(text)];
    }
    let (mut parts, mut part, mut room) = (Vec::new(), String::new(), most);
    let mut close = |part: &mut String| parts.push(octets(&std::mem::take(part)));
    for cluster in text.graphemes(true) {
        let units = cluster.encode_utf16().count();
        if units > room && units <= most {
            close(&mut part);
            room = most;
        }
        // A cluster larger than a part is cut between its characters; a surrogate pair stays together.
        for c in cluster.chars() {
            if c.len_utf16() > room {
                close(&mut part);
                room = most;
            }
            part.push(c);
            room -= c.len_utf16();
        }
    }
    if !part.is_empty() {
        close(&mut part);
    }
    parts
}

/// Measures `text`.
pub fn measure(text: &str) -> Result<Size, TooLong> {
    let cut = cut(text)?;
    Ok(Size { characters: text.chars().count(), encoding: cut.encoding, segments: cut.parts.len() })
}

/// Characters that word processors put in place of plain letters, and those letters.
const PLAIN: [(char, &str); 34] = [
    ('\u{2018}', "'"),
    ('\u{2019}', "'"),
    ('\u{201A}', "'"),
    ('\u{201B}', "'"),
    ('\u{2032}', "'"),
    ('\u{B4}', "'"),
    ('`', "'"),
    ('\u{201C}', "\""),
    ('\u{201D}', "\""),
    ('\u{201E}', "\""),
    ('\u{201F}', "\""),
    ('\u{2033}', "\""),
    ('\u{AB}', "\""),
    ('\u{BB}', "\""),
    ('\u{2010}', "-"),
    ('\u{2011}', "-"),
    ('\u{2012}', "-"),
    ('\u{2013}', "-"),
    ('\u{2014}', "-"),
    ('\u{2212}', "-"),
    ('\u{2026}', "..."),
    ('\u{A0}', " "),
    ('\u{2002}', " "),
    ('\u{2003}', " "),
    ('\u{2009}', " "),
    ('\u{202F}', " "),
    ('\t', " "),
    ('\u{200B}', ""),
    ('\u{200C}', ""),
    ('\u{FEFF}', ""),
    ('\u{AD}', ""),
    ('\u{2022}', "*"),
    ('\u{B7}', "."),
    ('\u{2044}', "/"),
];

/// A text rewritten in plain letters, where that makes it cheaper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plainer {
    /// The characters that are replaced, each once, and by what.
    pub swaps: Vec<(char, &'static str)>,
    /// The text with these characters replaced.
    pub text: String,
    /// How many segments the text takes as written, and in plain letters.
    pub segments: (usize, usize),
}

/// Rewrites a text in plain letters, where that alone keeps it from UCS-2.
pub fn plainer(text: &str) -> Option<Plainer> {
    let size = measure(text).ok().filter(|size| size.encoding == Encoding::Ucs2)?;
    // e and U+0301 are one letter of the alphabet.
    let composed = [
        "e\u{301}é",
        "e\u{300}è",
        "a\u{300}à",
        "o\u{300}ò",
        "u\u{300}ù",
        "i\u{300}ì",
        "n\u{303}ñ",
        "a\u{308}ä",
        "o\u{308}ö",
        "u\u{308}ü",
        "a\u{30A}å",
    ];
    let mut plain = text.to_owned();
    let mut swaps = Vec::new();
    for pair in composed {
        let (apart, letter) = pair.split_at(3);
        if plain.contains(apart) {
            plain = plain.replace(apart, letter);
            swaps.extend(apart.chars().nth(1).map(|accent| (accent, "")));
        }
    }
    for (fancy, letter) in PLAIN {
        if plain.contains(fancy) {
            plain = plain.replace(fancy, letter);
            swaps.push((fancy, letter));
        }
    }
    let better = measure(&plain).ok().filter(|better| better.encoding == Encoding::Gsm7)?;
    Some(Plainer { swaps, text: plain, segments: (size.segments, better.segments) })
}

/// Octet sequences of the GSM alphabet and their characters, as the encoder knows them.
static GSM7_CHARACTERS: LazyLock<HashMap<Vec<u8>, char>> = LazyLock::new(|| {
    // Every character of the alphabet and its extension lies below this one, the euro sign being the last.
    ('\0'..='\u{20AC}').filter_map(|c| Some((septets(c.encode_utf8(&mut [0; 4]))?, c))).collect()
});

/// Reads unpacked GSM-7, one septet per octet. What is in no table becomes U+FFFD.
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

/// Reads GSM-7 packed eight septets to seven octets (3GPP TS 23.038 §6.1.2.1).
pub fn read_packed_gsm7(octets: &[u8]) -> String {
    let bits: Vec<bool> =
        octets.iter().flat_map(|octet| (0..8).map(move |bit| octet >> bit & 1 == 1)).collect();
    let mut septets: Vec<u8> = bits
        .chunks_exact(7)
        .map(|septet| septet.iter().rev().fold(0, |value, bit| value << 1 | u8::from(*bit)))
        .collect();
    // Seven bits are left over where the text ends an octet short.
    if octets.len().is_multiple_of(7) && septets.last() == Some(&0) {
        septets.pop();
    }
    read_gsm7(&septets)
}

/// Reads UTF-16 in big-endian order. What is not UTF-16 becomes U+FFFD.
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
        fn parts_fit_and_put_together_are_the_text(text in "[a-z€\\[я😀\u{C}]{0,700}") {
            let cut = cut(&text).unwrap();
            let single = cut.parts.len() == 1;
            match cut.encoding {
                Encoding::Gsm7 => {
                    for part in &cut.parts {
                        let most = if single { 160 } else { 153 };
                        prop_assert!(part.len() <= most);
                        prop_assert!(part.last() != Some(&0x1B), "an escape is never cut from its character");
                    }
                    prop_assert_eq!(cut.parts.concat(), septets(&text).unwrap());
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

    proptest! {
        /// Whatever precedes it, a sequence that people see as one character lies within one part.
        #[test]
        fn what_people_see_as_one_character_is_not_cut(
            before in 0usize..140, which in prop::sample::select(vec!["👨\u{200D}👩\u{200D}👧\u{200D}👦", "🇩🇪", "👍🏽", "e\u{301}я"]),
        ) {
            let text = format!("{}{which}{}", "я".repeat(before), "я".repeat(140));
            let cut = cut(&text).unwrap();
            let parts: Vec<String> = cut.parts.iter().map(|part| read_ucs2(part)).collect();
            prop_assert_eq!(parts.concat(), text);
            for part in &parts {
                prop_assert!(part.encode_utf16().count() <= 67);
            }
            let first = which.graphemes(true).next().unwrap();
            prop_assert!(parts.iter().any(|part| part.contains(first)));
        }
    }

    #[test]
    fn a_sequence_larger_than_a_part_is_cut_all_the_same() {
        let text = format!("a{}", "\u{301}".repeat(300));
        assert_eq!(measure(&text).unwrap().segments, 5);
    }

    #[test]
    fn a_form_feed_is_of_the_extension_table() {
        assert_eq!(size("one\u{C}two"), (7, Encoding::Gsm7, 1));
        assert_eq!(cut("a\u{C}").unwrap().parts, [vec![0x61, 0x1B, 0x0A]]);
        assert_eq!(read_gsm7(&[0x61, 0x1B, 0x0A]), "a\u{C}");
    }

    #[test]
    fn plain_letters_are_offered_where_they_make_a_text_cheaper() {
        let text = format!("It’s “{}” – tomorrow…", "a".repeat(60));
        let plain = plainer(&text).unwrap();
        assert_eq!(plain.text, format!("It's \"{}\" - tomorrow...", "a".repeat(60)));
        assert_eq!(plain.segments, (2, 1));
        assert_eq!(plainer("a\u{A0}b\tc").unwrap().text, "a b c");
        assert_eq!(plainer("Cafe\u{301}").unwrap().text, "Café");
        for none in ["It's plain", "Здравствуйте’", "It’s 🎉"] {
            assert_eq!(plainer(none), None, "{none}");
        }
    }

    #[test]
    fn a_longer_header_leaves_less_room() {
        for (text, parts) in
            [("a".repeat(304), 2), ("a".repeat(305), 3), ("я".repeat(132), 2), ("я".repeat(133), 3)]
        {
            assert_eq!(cut_for(&text, Header::Sixteen).unwrap().parts.len(), parts, "{}", text.len());
        }
    }

    #[test]
    fn packed_septets_are_read() {
        assert_eq!(read_packed_gsm7(&[0x53, 0xEA, 0x13, 0x0A]), "STOP");
        assert_eq!(read_packed_gsm7(&[0xE8, 0x32, 0x9B, 0xFD, 0x46, 0x97, 0xD9, 0xEC, 0x37]), "hellohello");
        assert_eq!(read_packed_gsm7(&[]), "");
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
