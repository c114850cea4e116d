//! Encodings and separators of files.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
};

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use encoding_rs_io::DecodeReaderBytesBuilder;

use super::records::Records;

/// The encoding of a file: by its mark, by the zeros of UTF-16, otherwise UTF-8 if all of it is valid, otherwise the
/// Latin-1 of spreadsheets.
fn encoding(file: &mut File) -> std::io::Result<&'static Encoding> {
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
            Err(_) => return Ok(WINDOWS_1252),
        };
        filled = file.read(&mut buffer[kept..])?;
    }
    Ok(if kept == 0 { UTF_8 } else { WINDOWS_1252 })
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
/// A file that is not text has at least one NUL in this many characters. One or two in all are an export's fault.
const NUL_IN: usize = 100;

/// A file's rows as UTF-8.
pub(super) fn open(mut file: File) -> Result<Records<impl Read>, String> {
    let broken = |e: std::io::Error| format!("the file cannot be read: {e}");
    let encoding = encoding(&mut file).map_err(broken)?;
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
    if NO_TEXT.iter().any(|begins| raw[..began].starts_with(begins)) || nuls * NUL_IN > bytes.len() {
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
