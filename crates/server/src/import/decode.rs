//! Files as they come: encodings, separators.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
};

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use encoding_rs_io::DecodeReaderBytesBuilder;

/// The encoding of a file: by its mark, by the zeros of UTF-16, else UTF-8 where all of it is, else the
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
    // A character may lie across two reads: what is cut off is looked at with the next.
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

/// What separates the columns: the one of comma, semicolon and tab that the header has most of.
fn delimiter(header: &str) -> u8 {
    let count = |c: &u8| header.bytes().filter(|b| b == c).count();
    [b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

/// A file's rows as UTF-8; whether the first of them is the `header` is the caller's to say.
pub(super) fn open(mut file: File, header: bool) -> Result<csv::Reader<impl Read>, String> {
    let broken = |e: std::io::Error| format!("the file cannot be read: {e}");
    let encoding = encoding(&mut file).map_err(broken)?;
    let decode =
        |file: File| DecodeReaderBytesBuilder::new().encoding(Some(encoding)).bom_override(true).build(file);
    file.seek(SeekFrom::Start(0)).map_err(broken)?;
    let again = file.try_clone().map_err(broken)?;
    // Enough for a header of hundreds of columns.
    let mut bytes = Vec::new();
    decode(again).take(64 * 1024).read_to_end(&mut bytes).map_err(broken)?;
    let head = String::from_utf8_lossy(&bytes);
    if head.contains('\0') {
        return Err(
            "this is no text but something else, such as a zip or a spreadsheet; save it as CSV first"
                .to_owned(),
        );
    }
    file.seek(SeekFrom::Start(0)).map_err(broken)?;
    Ok(csv::ReaderBuilder::new()
        .flexible(true)
        .has_headers(header)
        .delimiter(delimiter(head.lines().next().unwrap_or_default()))
        .buffer_capacity(64 * 1024)
        .from_reader(decode(file)))
}
