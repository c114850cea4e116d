//! Many rows in one statement: for a small row, SQLite's work per statement is a good part of the cost.

use rusqlite::{CachedStatement, Connection, params_from_iter, types::ToSqlOutput};

use crate::Result;

/// The most rows to put into one statement.
const TOGETHER: usize = 32;
/// The placeholder for the rows in a statement.
const ROWS: &str = "/* rows */";

/// Rows on their way into a table, in their order. No more of them are held than go into one statement.
pub(super) struct Rows<'a> {
    one: CachedStatement<'a>,
    many: CachedStatement<'a>,
    columns: usize,
    values: Vec<ToSqlOutput<'a>>,
}

impl<'a> Rows<'a> {
    /// Rows for `sql`, an `INSERT … VALUES /* rows */ …` with `columns` values per row.
    pub(super) fn new(c: &'a Connection, sql: &str, columns: usize) -> Result<Self> {
        let row = format!("({})", vec!["?"; columns].join(", "));
        Ok(Self {
            one: c.prepare_cached(&sql.replace(ROWS, &row))?,
            many: c.prepare_cached(&sql.replace(ROWS, &vec![row.as_str(); TOGETHER].join(", ")))?,
            columns,
            values: Vec::with_capacity(columns * TOGETHER),
        })
    }

    /// Adds a row.
    pub(super) fn push<const COLUMNS: usize>(&mut self, row: [ToSqlOutput<'a>; COLUMNS]) -> Result<()> {
        debug_assert_eq!(COLUMNS, self.columns);
        self.values.extend(row);
        if self.values.len() == self.columns * TOGETHER {
            self.many.execute(params_from_iter(&self.values))?;
            self.values.clear();
        }
        Ok(())
    }

    /// Writes the rows that are left.
    pub(super) fn finish(mut self) -> Result<()> {
        for row in self.values.chunks(self.columns) {
            self.one.execute(params_from_iter(row))?;
        }
        Ok(())
    }
}

/// A text value.
pub(super) fn text(value: &str) -> ToSqlOutput<'_> {
    ToSqlOutput::from(value)
}

/// A text value, or null.
pub(super) fn text_or_null(value: Option<&str>) -> ToSqlOutput<'_> {
    value.map_or(NULL, text)
}

/// A number, or null.
pub(super) fn or_null(value: Option<impl Into<i64>>) -> ToSqlOutput<'static> {
    value.map_or(NULL, |value| ToSqlOutput::from(value.into()))
}

const NULL: ToSqlOutput<'static> = ToSqlOutput::Owned(rusqlite::types::Value::Null);
