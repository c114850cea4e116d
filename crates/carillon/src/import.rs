//! `carillon import`: contacts from a file, with a progress bar.

use std::{fs::File, io::Write as _, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use campaign::ImportId;
use futures::TryStreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use server::{
    forward::{self, ByCommand},
    import::Reading,
};
use store::{ImportStage, ImportState, Store};

use crate::{cli, data};

/// How often to look at an import that goes on elsewhere.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub async fn run(options: cli::Import) -> anyhow::Result<ExitCode> {
    let file =
        File::open(&options.file).with_context(|| format!("{} cannot be opened", options.file.display()))?;
    let size = file.metadata()?.len();
    let store = data::open(&options.data)?;
    let country = server::import::country(&store, options.country).await?;
    let reading = Reading::plain(country, "command line", Timestamp::now());
    let bar = ProgressBar::new(size).with_style(
        ProgressStyle::with_template(
            "{bar:40} {percent:>3} %  {binary_bytes}  {binary_bytes_per_sec}  {eta} left",
        )?
        .progress_chars("━╸ "),
    );
    let state = if let Some(_hold) = store.hold()? {
        here(&store, options.list, file, reading, bar.clone()).await?
    } else {
        let into = ByCommand { list: options.list, country: reading.plan.country };
        let id = forward::hand_over_import(&store, &into, file).await.map_err(anyhow::Error::msg)?;
        there(&store, id, &bar).await?
    };
    bar.finish_and_clear();
    if let Some(why) = state.error {
        anyhow::bail!("{}: {why}", options.file.display());
    }
    println!("{} rows: {} accepted, {} refused", state.rows, state.accepted, state.rejected);
    for left in &state.left_out {
        println!("left out: {} values of {}: {}", left.count, left.field, left.reason);
    }
    if state.rejected > 0 {
        let path = PathBuf::from(format!("{}.errors.csv", options.file.display()));
        let mut file = File::create(&path)?;
        let mut pages = std::pin::pin!(server::import::refused_rows(store.clone(), state));
        while let Some(page) = pages.try_next().await? {
            file.write_all(&page)?;
        }
        println!("why each was refused stands in {}; mend it and import it again", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Imports in this process. None may begin to dispatch meanwhile: it would take the import for an interrupted one.
async fn here(
    store: &Store,
    list: String,
    file: File,
    reading: Reading,
    bar: ProgressBar,
) -> anyhow::Result<ImportState> {
    let list = store.list_named(list, data::by_command()).await?;
    let id = store.begin_import(list, data::by_command()).await?;
    let store = store.clone();
    let state = tokio::task::spawn_blocking(move || {
        let state = server::import::csv(&store, id, file, &reading, |at| bar.set_position(at))?;
        store.index_names().map(|()| state)
    });
    Ok(state.await??)
}

/// Watches an import that goes on in the process that dispatches.
async fn there(store: &Store, id: ImportId, bar: &ProgressBar) -> store::Result<ImportState> {
    loop {
        let state = store.import(id).await?;
        if !matches!(state.state, ImportStage::Queued | ImportStage::Running) {
            return Ok(state);
        }
        bar.set_position(state.read.unsigned_abs());
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
