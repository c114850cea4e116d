//! The file of refused rows: why each was refused, and the row itself as it was, so that it can be corrected and sent
//! again.

use axum::body::Bytes;
use futures::{Stream, stream};
use store::{ImportState, RowError, Store, StoreError};

use super::columns::REFUSED;
use crate::spreadsheet::neutral;

/// Rows to read together.
const PAGE: usize = 2_000;

/// The refused rows of an import as CSV, page by page.
pub fn file(store: Store, import: ImportState) -> impl Stream<Item = Result<Bytes, StoreError>> {
    stream::unfold(Some(0), move |after: Option<i64>| {
        let (store, id, header) = (store.clone(), import.id, import.header.clone());
        async move {
            let from = after?;
            let rows = match store.import_errors(id, from, PAGE).await {
                Ok(rows) => rows,
                Err(e) => return Some((Err(e), None)),
            };
            let head = (from == 0).then_some(header.as_slice());
            if rows.is_empty() && head.is_none() {
                return None;
            }
            let next = rows.last().map(|last| last.row);
            Some((page(head, &rows), next))
        }
    })
}

fn page(header: Option<&[String]>, rows: &[RowError]) -> Result<Bytes, StoreError> {
    let broken = |e: csv::Error| StoreError::Database(e.to_string());
    // A row may have more values than the header has names: that may be what is wrong with it.
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    if let Some(header) = header {
        let names = REFUSED.into_iter().map(Into::into).chain(header.iter().map(|name| neutral(name)));
        writer
            .write_record(names.map(|name: std::borrow::Cow<'_, str>| name.into_owned()))
            .map_err(broken)?;
    }
    for e in rows {
        let row = e.row.to_string();
        let values = [&row, &e.field, &e.value, &e.message].into_iter().chain(&e.original);
        writer.write_record(values.map(|value| neutral(value).into_owned())).map_err(broken)?;
    }
    writer.into_inner().map(Bytes::from).map_err(|e| StoreError::Database(e.to_string()))
}
