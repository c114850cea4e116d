//! The rows of a file, one after the other, each within bounds.
//!
//! Reading quotes and separators is left to `csv-core`; this module decides where a row ends. A quote that is never
//! closed would make one row of all that follows: a row spans several lines only if its quotes are complete and none of
//! these lines reads like a row of its own. Otherwise its first line alone is refused, and reading goes on after it.

use std::io::{self, Read};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use crate::limits::LONGEST_RECORD;

/// Bytes to read at once.
const READ: usize = 64 * 1024;

/// One row's values.
#[derive(Default)]
pub(super) struct Record {
    text: Vec<u8>,
    written: usize,
    ends: Vec<usize>,
    count: usize,
}

impl Record {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The value of a column; empty where the row has none.
    pub(super) fn get(&self, at: usize) -> &str {
        if at >= self.count {
            return "";
        }
        let from = if at == 0 { 0 } else { self.ends[at - 1] };
        std::str::from_utf8(&self.text[from..self.ends[at]]).unwrap_or_default()
    }

    pub(super) fn values(&self) -> Vec<String> {
        (0..self.count).map(|at| self.get(at).to_owned()).collect()
    }

    /// Whether all its values are empty.
    pub(super) fn is_blank(&self) -> bool {
        (0..self.count).all(|at| self.get(at).trim().is_empty())
    }

    /// Reads a whole row; false if its quotes do not close within `bytes`.
    fn read(&mut self, reader: &mut Reader, bytes: &[u8]) -> bool {
        (self.count, self.written) = (0, 0);
        reader.reset();
        self.feed(reader, bytes)
    }

    /// Reads on; true once the row is whole.
    fn feed(&mut self, reader: &mut Reader, bytes: &[u8]) -> bool {
        // No value is longer than the bytes that it is read from.
        let room = self.written + bytes.len() + 1;
        if self.text.len() < room {
            self.text.resize(room, 0);
        }
        if self.ends.is_empty() {
            self.ends.resize(16, 0);
        }
        let mut read = 0;
        loop {
            let (result, n, out, more) = reader.read_record(
                &bytes[read..],
                &mut self.text[self.written..],
                &mut self.ends[self.count..],
            );
            read += n;
            self.written += out;
            self.count += more;
            match result {
                ReadRecordResult::Record => return true,
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return false,
            }
        }
    }
}

/// What comes next in a file.
pub(super) enum Next {
    /// A row.
    Row,
    /// A line whose quotes do not close.
    Broken,
    /// Nothing.
    End,
}

/// Why a file is not read any further.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadFile {
    /// Its bytes cannot be decoded.
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A row without an end.
    #[error(
        "row {0} is longer than 1 MB; look for a quotation mark (\") in it that is opened and not closed, then send the rows \
         from there on again"
    )]
    TooLong(i64),
}

/// A file's rows.
pub(super) struct Records<R> {
    input: R,
    buffer: Vec<u8>,
    /// Where the next line begins in the buffer.
    at: usize,
    ended: bool,
    delimiter: u8,
    /// Reads rows one after the other, a single line, and quotes as letters: each is built once, as its tables take
    /// longer to build than a row to read.
    rows: Reader,
    alone: Reader,
    unquoted: Reader,
    /// How many bytes were taken.
    pub(super) taken: u64,
    /// The place of the last row in the file, from 1; empty rows count.
    pub(super) row: i64,
}

impl<R: Read> Records<R> {
    pub(super) fn new(input: R, delimiter: u8) -> Self {
        let quoted = || ReaderBuilder::new().delimiter(delimiter).build();
        Self {
            input,
            buffer: Vec::new(),
            at: 0,
            ended: false,
            delimiter,
            rows: quoted(),
            alone: quoted(),
            unquoted: ReaderBuilder::new().delimiter(delimiter).quoting(false).build(),
            taken: 0,
            row: 0,
        }
    }

    /// Where the line that begins at `from` ends, including its break. None: it is longer than a row may be.
    fn line(&mut self, from: usize, begun: usize) -> Result<Option<usize>, BadFile> {
        let mut looked = from;
        loop {
            if let Some(at) = self.buffer[looked..].iter().position(|b| matches!(b, b'\n' | b'\r')) {
                let at = looked + at;
                if self.buffer[at] == b'\n' {
                    return Ok(Some(at + 1));
                }
                if at + 1 < self.buffer.len() || self.ended {
                    let both = self.buffer.get(at + 1) == Some(&b'\n');
                    return Ok(Some(at + 1 + usize::from(both)));
                }
                looked = at;
            } else {
                looked = self.buffer.len();
                if self.ended {
                    return Ok(Some(self.buffer.len()));
                }
            }
            if self.buffer.len() - begun > LONGEST_RECORD {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), BadFile> {
        let length = self.buffer.len();
        self.buffer.resize(length + READ, 0);
        let read = loop {
            match self.input.read(&mut self.buffer[length..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(length + read.as_ref().map_or(0, |n| *n));
        self.ended = read? == 0;
        Ok(())
    }

    /// Skips one line, such as `sep=;`.
    pub(super) fn pass_line(&mut self) -> Result<(), BadFile> {
        let end = self.line(self.at, self.at)?.unwrap_or(self.at);
        self.take(end);
        Ok(())
    }

    fn take(&mut self, end: usize) {
        self.taken += (end - self.at) as u64;
        self.at = end;
    }

    /// Reads the next row that is not empty. `is_row` says whether values read like a row of this file.
    pub(super) fn next(
        &mut self,
        record: &mut Record,
        is_row: impl Fn(&Record) -> bool,
    ) -> Result<Next, BadFile> {
        loop {
            if self.at > READ {
                self.buffer.drain(..self.at);
                self.at = 0;
            }
            let begin = self.at;
            let first = self.line(begin, begin)?.ok_or(BadFile::TooLong(self.row + 1))?;
            if first == begin {
                return Ok(Next::End);
            }
            self.row += 1;
            let mut end = first;
            let mut alone = Record::default();
            let blank = matches!(self.buffer[begin..first], [b'\n' | b'\r'] | [b'\r', b'\n']);
            let mut closed = record.read(&mut self.rows, &ended(&self.buffer[begin..first]));
            if blank {
                record.count = 0;
            }
            // A quote that is not closed is looked for in the lines after it.
            let whole = loop {
                if blank || closed {
                    break end == first || sound(&self.buffer[begin..end], self.delimiter);
                }
                let next = self.line(end, begin)?.filter(|next| next - begin <= LONGEST_RECORD);
                let next = next.ok_or(BadFile::TooLong(self.row))?;
                if next == end {
                    break false;
                }
                let line = ended(&self.buffer[end..next]);
                let read = alone.read(&mut self.alone, &line) || alone.read(&mut self.unquoted, &line);
                if read && is_row(&alone) {
                    break false;
                }
                closed = record.feed(&mut self.rows, &line);
                end = next;
            };
            if whole {
                self.take(end);
                if record.is_blank() {
                    continue;
                }
                return Ok(Next::Row);
            }
            let line = ended(&self.buffer[begin..first]).into_owned();
            record.read(&mut self.unquoted, &line);
            self.take(first);
            return Ok(Next::Broken);
        }
    }
}

/// A line with a break at its end, which the last line of a file may lack.
fn ended(line: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    match line.last() {
        Some(b'\n' | b'\r') => line.into(),
        _ => [line, b"\n"].concat().into(),
    }
}

/// Whether every quote that begins a value also ends it.
fn sound(row: &[u8], delimiter: u8) -> bool {
    let mut rest = row;
    loop {
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            let mut at = 0;
            loop {
                match quoted.get(at..) {
                    Some([b'"', b'"', ..]) => at += 2,
                    Some([b'"', ..]) => break,
                    Some([_, ..]) => at += 1,
                    Some([]) | None => return false,
                }
            }
            rest = &quoted[at + 1..];
            if !matches!(rest.first(), None | Some(b'\n' | b'\r')) && rest.first() != Some(&delimiter) {
                return false;
            }
        }
        match rest.iter().position(|b| *b == delimiter) {
            Some(at) => rest = &rest[at + 1..],
            None => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The result of reading a text: rows, and lines that are broken.
    fn read(text: &str) -> Result<Vec<(bool, i64, Vec<String>)>, String> {
        let mut records = Records::new(text.as_bytes(), b',');
        let mut record = Record::default();
        let mut all = Vec::new();
        loop {
            let is_row = |r: &Record| r.get(0).starts_with("+1");
            match records.next(&mut record, is_row).map_err(|e| e.to_string())? {
                Next::End => return Ok(all),
                next => all.push((matches!(next, Next::Row), records.row, record.values())),
            }
        }
    }

    fn row(n: i64, values: &[&str]) -> (bool, i64, Vec<String>) {
        (true, n, values.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn rows_are_read_whatever_ends_them_and_blank_ones_are_passed_over() {
        let two = [row(1, &["+1", "Ana"]), row(2, &["+2", "Ben"])];
        for text in ["+1,Ana\n+2,Ben", "+1,Ana\r\n+2,Ben\r\n", "+1,Ana\r+2,Ben\r"] {
            assert_eq!(read(text).unwrap(), two, "{text:?}");
        }
        assert_eq!(
            read("\n+1,Ana\n\n,,\n +2 ,Ben\n,\n").unwrap(),
            [row(2, &["+1", "Ana"]), row(5, &[" +2 ", "Ben"])]
        );
        assert_eq!(read("").unwrap(), []);
        assert_eq!(
            read("+1,\"one\ntwo\"\n+2,\"a \"\"b\"\" c\"\n").unwrap(),
            [row(1, &["+1", "one\ntwo"]), row(2, &["+2", "a \"b\" c"])]
        );
    }

    #[test]
    fn a_stray_quote_costs_its_own_line_and_no_other() {
        for (text, broken) in [
            ("+1,\"Ana\n+12,Ben\n+13,Cem\n", 1),
            ("+1,\"Ana\n+12,Ben\n+13,\"Cem\"\n", 1),
            ("+1,\"Ana\n+12,\"Ben, B.\"\n+13,Cem\n", 1),
            ("+1,Ana\n+12,\"Ben\n+13,Cem", 2),
            ("+1,\"Ana\n+12,Ben\n+13,Cem\"\n", 1),
        ] {
            let read = read(text).unwrap();
            assert_eq!(read.iter().map(|(_, row, _)| *row).collect::<Vec<_>>(), [1, 2, 3], "{text:?}");
            let refused: Vec<i64> =
                read.iter().filter(|(whole, ..)| !whole).map(|(_, row, _)| *row).collect();
            assert_eq!(refused, [broken], "{text:?}");
        }
        // A quote at the end of the file, or in the middle of a value, does no harm.
        assert_eq!(read("+1,12\" pipe\n+2,\"Ana").unwrap()[0], row(1, &["+1", "12\" pipe"]));
    }

    #[test]
    fn a_row_without_an_end_ends_the_reading_with_its_place() {
        let long = format!("+1,Ana\n+12,\"{}", "words and words\n".repeat(100_000));
        assert!(read(&long).unwrap_err().starts_with("row 2 is longer than 1 MB"));
        let line = format!("+1,Ana\n+12,{}", "x".repeat(2_000_000));
        assert!(read(&line).unwrap_err().starts_with("row 2 is longer than 1 MB"));
        let mib = format!("+1,{}\n+12,Ben\n", "x".repeat(1024 * 1024));
        assert_eq!(read(&mib).unwrap().len(), 2);
    }

    proptest! {
        /// Whatever quotes stray into whichever lines, each line with a number is read or refused; none is lost.
        #[test]
        fn no_line_is_lost_without_a_word(
            lines in prop::collection::vec(("[a-z\" ]{0,6}", "[a-z\"]{0,4}"), 1..12),
        ) {
            let each = lines.iter().enumerate().map(|(i, (a, b))| format!("+1{i},{a},{b}"));
            let text = each.collect::<Vec<_>>().join("\n");
            let all = read(&text).unwrap();
            let seen: std::collections::BTreeSet<String> =
                all.iter().map(|(_, _, values)| values[0].clone()).collect();
            let wanted: std::collections::BTreeSet<String> = (0..lines.len()).map(|i| format!("+1{i}")).collect();
            prop_assert_eq!(seen, wanted, "{:?}", text);
        }

        /// A file that was written by the rules reads back, breaks and quotes included.
        #[test]
        fn what_was_quoted_by_the_rules_reads_back(
            values in prop::collection::vec(prop::collection::vec("[a-z,;\"\n ]{1,12}", 2), 1..10),
        ) {
            prop_assume!(values.iter().all(|row| row.iter().any(|v| !v.trim().is_empty())));
            let mut writer = csv::Writer::from_writer(Vec::new());
            for row in &values {
                writer.write_record(row).unwrap();
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let all: Vec<Vec<String>> = read(&text).unwrap().into_iter().map(|(_, _, values)| values).collect();
            prop_assert_eq!(all, values);
        }
    }
}
