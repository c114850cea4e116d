//! `carillon import`: contacts from a file, with a progress bar.

use std::{fs::File, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use server::import::Reading;

use crate::{cli, data};

pub async fn run(options: cli::Import) -> anyhow::Result<ExitCode> {
    let file =
        File::open(&options.file).with_context(|| format!("{} cannot be opened", options.file.display()))?;
    let size = file.metadata()?.len();
    let store = data::open(&options.data)?;
    let country = server::import::country(&store, options.country).await?;
    let reading = Reading::plain(country, "command line", Timestamp::now());
    let list = store.list_named(options.list, data::by_command()).await?;
    let id = store.begin_import(list, data::by_command()).await?;
    let bar = ProgressBar::new(size).with_style(
        ProgressStyle::with_template(
            "{bar:40} {percent:>3} %  {binary_bytes}  {binary_bytes_per_sec}  {eta} left",
        )?
        .progress_chars("━╸ "),
    );
    let (theirs, shown) = (store.clone(), bar.clone());
    let state = tokio::task::spawn_blocking(move || {
        let state = server::import::csv(&theirs, id, file, &reading, |at| shown.set_position(at))?;
        theirs.index_names().map(|()| state)
    })
    .await??;
    bar.finish_and_clear();
    if let Some(why) = state.error {
        anyhow::bail!("{}: {why}", options.file.display());
    }
    println!("{} rows: {} accepted, {} refused", state.rows, state.accepted, state.rejected);
    if state.rejected > 0 {
        let path = PathBuf::from(format!("{}.errors.csv", options.file.display()));
        std::fs::write(&path, server::import::errors_csv(&store.import_errors(id, None).await?)?)?;
        println!("why each was refused stands in {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
