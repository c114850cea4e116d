//! Many rows in one statement: for a small row, SQLite's work per statement is a good part of the cost.

use rusqlite::{Connection, params_from_iter, types::ToSqlOutput};

use crate::Result;

/// The most rows to put into one statement.
const TOGETHER: usize = 32;
/// The placeholder for the rows in a statement.
const ROWS: &str = "/* rows */";

/// Runs `sql`, an `INSERT … VALUES /* rows */ …` with `columns` values per row, for all of `values`.
pub(super) fn insert(c: &Connection, sql: &str, columns: usize, values: &[ToSqlOutput<'_>]) -> Result<()> {
    let row = format!("({})", vec!["?"; columns].join(", "));
    let one = sql.replace(ROWS, &row);
    let many = sql.replace(ROWS, &vec![row.as_str(); TOGETHER].join(", "));
    let (full, rest) = values.split_at(values.len() - values.len() % (columns * TOGETHER));
    for rows in full.chunks(columns * TOGETHER) {
        c.prepare_cached(&many)?.execute(params_from_iter(rows))?;
    }
    for row in rest.chunks(columns) {
        c.prepare_cached(&one)?.execute(params_from_iter(row))?;
    }
    Ok(())
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
