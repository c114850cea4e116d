//! Encodings and separators of files.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use encoding_rs_io::DecodeReaderBytesBuilder;

use super::records::Records;

/// How many bytes to guess an encoding from, beginning with the first that are not UTF-8.
const GUESSED_FROM: usize = 1024 * 1024;

/// The encoding of a file: by its mark, by the zeros of UTF-16, otherwise UTF-8 if all of it is valid, otherwise the
/// most likely of those that spreadsheets write, such as windows-1251 for Russian. What looks Western European is what
/// `country` writes.
fn encoding(file: &mut File, country: Option<&str>) -> std::io::Result<&'static Encoding> {
    let mut buffer = vec![0; 64 * 1024];
    file.seek(SeekFrom::Start(0))?;
    let mut filled = file.read(&mut buffer)?;
    let first = &buffer[..filled];
    if let Some((marked, _)) = Encoding::for_bom(first) {
        return Ok(marked);
    }
    match first {
        [0, c, ..] if *c != 0 => return Ok(UTF_16BE),
        [c, 0, ..] if *c != 0 => return Ok(UTF_16LE),
        _ => {}
    }
    // A character may lie across two reads: its beginning is looked at with the next.
    let mut kept = 0;
    while filled > 0 {
        let there = kept + filled;
        kept = match std::str::from_utf8(&buffer[..there]) {
            Ok(_) => 0,
            Err(e) if e.error_len().is_none() => {
                buffer.copy_within(e.valid_up_to()..there, 0);
                there - e.valid_up_to()
            }
            Err(e) => return guess(&buffer[e.valid_up_to()..there], file, country),
        };
        filled = file.read(&mut buffer[kept..])?;
    }
    if kept == 0 { Ok(UTF_8) } else { guess(&buffer[..kept], file, country) }
}

/// The most likely encoding of a text that is not UTF-8, of which `rest` is still to be read.
fn guess(begin: &[u8], rest: &mut File, country: Option<&str>) -> std::io::Result<&'static Encoding> {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    let mut buffer = vec![0; GUESSED_FROM.saturating_sub(begin.len())];
    let mut filled = 0;
    while filled < buffer.len() {
        match rest.read(&mut buffer[filled..])? {
            0 => break,
            more => filled += more,
        }
    }
    detector.feed(begin, false);
    detector.feed(&buffer[..filled], filled < buffer.len());
    let guess = |domain: Option<&str>| detector.guess(domain.map(str::as_bytes), Utf8Detection::Deny);
    // The detector knows by domains what each country writes: those of countries are the same two letters.
    let domain = country.filter(|code| code.len() == 2).map(str::to_ascii_lowercase);
    let most_likely = guess(None);
    Ok(if most_likely == WINDOWS_1252 { guess(domain.as_deref()) } else { most_likely })
}

/// The separator of the columns: whichever of comma, semicolon, tab and bar a line has most of outside quotes.
fn delimiter(line: &str) -> u8 {
    let outside: String = line.split('"').step_by(2).collect();
    let count = |c: &u8| outside.bytes().filter(|b| b == c).count();
    [b'|', b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

/// The separator that a spreadsheet's own first line states: `sep=;`.
fn named_delimiter(line: &str) -> Option<u8> {
    let named = line.trim_matches(['"', ' ', '\u{FEFF}']);
    match named.get(..4)?.eq_ignore_ascii_case("sep=").then(|| &named.as_bytes()[4..])? {
        [] if line.contains('\t') => Some(b'\t'),
        [one] => Some(*one),
        _ => None,
    }
}

/// How zips and spreadsheets, PDFs, compressed files and pictures begin.
const NO_TEXT: [&[u8]; 7] = [
    b"PK\x03\x04",
    b"\xD0\xCF\x11\xE0",
    b"%PDF",
    b"\x1F\x8B",
    b"\x89PNG",
    b"\xFF\xD8\xFF",
    b"SQLite format 3",
];
/// A file that is not text has at least one NUL in this many characters, and more than a few in all: those are an
/// export's fault.
const NUL_IN: usize = 100;
const FEW_NULS: usize = 2;

/// A file's rows as UTF-8. `country` is whose numbers need no country code.
pub(super) fn open(mut file: File, country: Option<&str>) -> Result<Records<impl Read>, String> {
    let broken = |e: std::io::Error| format!("the file cannot be read: {e}");
    let encoding = encoding(&mut file, country).map_err(broken)?;
    let decode =
        |file: File| DecodeReaderBytesBuilder::new().encoding(Some(encoding)).bom_override(true).build(file);
    file.seek(SeekFrom::Start(0)).map_err(broken)?;
    let mut raw = [0; 16];
    let began = file.read(&mut raw).map_err(broken)?;
    file.seek(SeekFrom::Start(0)).map_err(broken)?;
    let again = file.try_clone().map_err(broken)?;
    // Enough for a header of hundreds of columns.
    let mut bytes = Vec::new();
    decode(again).take(64 * 1024).read_to_end(&mut bytes).map_err(broken)?;
    let nuls = bytes.split(|b| *b == 0).count() - 1;
    if NO_TEXT.iter().any(|begins| raw[..began].starts_with(begins))
        || nuls > FEW_NULS && nuls * NUL_IN > bytes.len()
    {
        return Err(
            "this is no text but something else, such as a zip or a spreadsheet; save it as CSV first"
                .to_owned(),
        );
    }
    file.seek(SeekFrom::Start(0)).map_err(broken)?;
    let head = String::from_utf8_lossy(&bytes);
    let mut lines = head.split(['\n', '\r']);
    let named = lines.clone().next().and_then(named_delimiter);
    let first = lines.find(|line| !line.trim_matches([' ', '"', '\u{FEFF}']).is_empty()).unwrap_or_default();
    let mut records = Records::new(decode(file), named.unwrap_or_else(|| delimiter(first)));
    if named.is_some() {
        records.pass_line().map_err(|e| e.to_string())?;
    }
    Ok(records)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step fails the test")]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        file
    }

    #[test]
    fn files_of_spreadsheets_in_many_languages_read_as_they_were_written() {
        for (label, country, names) in [
            ("windows-1252", "DE", "Müller;José;Zoé;Françoise;Núñez;Åsa;João"),
            ("windows-1250", "PL", "Łukasz;Małgorzata;Wiśniewski;Żaneta;Agnieszka;Dąbrowski"),
            ("windows-1250", "CZ", "Jiří;Dvořák;Kateřina;Růžičková;Šárka;Ondřej"),
            ("windows-1251", "RU", "Анна;Сергей;Иванова;Екатерина;Москва"),
            ("windows-1253", "GR", "Γιώργος;Παπαδόπουλος;Ελένη;Δημήτρης"),
            ("windows-1254", "TR", "Ayşe;Çağlar;Işıl;Gökhan;Şükrü;Yiğit;Ağaoğlu"),
            ("windows-1255", "IL", "שרה;דוד;ירושלים;תל אביב;משה"),
            ("windows-1256", "EG", "محمد;فاطمة;القاهرة;عبد الله"),
            ("shift_jis", "JP", "田中太郎;さくら;東京都;ヤマダ;花子"),
            ("euc-kr", "KR", "김철수;이영희;서울특별시;박지성"),
            ("gbk", "CN", "王小明;李娜;北京市;张伟;上海"),
            ("big5", "TW", "陳大文;台北市;林志玲;高雄市"),
        ] {
            let text = format!("phone;name\n{}", names.replace(';', "\n+12025550001;"));
            let (bytes, written, lost) = Encoding::for_label(label.as_bytes()).unwrap().encode(&text);
            assert!(!lost, "{label} cannot hold {names}");
            for at in [Some(country), Some("US"), None] {
                // Turkish differs from Western European in six letters: only its country tells.
                if label == "windows-1254" && at != Some(country) {
                    continue;
                }
                let read = encoding(&mut file(&bytes), at).unwrap();
                assert_eq!(read.decode(&bytes).0, text, "{} was taken for {}", written.name(), read.name());
            }
        }
    }

    #[test]
    fn a_file_that_ends_within_a_character_is_no_utf_8() {
        assert_eq!(encoding(&mut file(b"phone,name\n1,Zo\xE9"), None).unwrap(), encoding_rs::WINDOWS_1252);
        let late = [vec![b'a'; 200_000], b" Jos\xE9, Zo\xE9 ".to_vec()].concat();
        assert_eq!(encoding(&mut file(&late), None).unwrap(), encoding_rs::WINDOWS_1252);
    }
}
