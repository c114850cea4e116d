//! `carillon import`: contacts from a file, with a progress bar.

use std::{fs::File, io::Write as _, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use futures::TryStreamExt as _;
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
