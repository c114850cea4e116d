//! CSV files of a million rows, in order and shuffled by turns, beside `sqlite3 .import` of the same.
//! `cargo run --release -p bench --bin import [ROWS] [ROUNDS]`

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    process::Command,
    time::Instant,
};

use bench::{argument, by, folder, line, peak_memory, say_machine};
use jiff::Timestamp;
use store::Store;

/// The step that visits all rows in shuffled order: a prime beyond every count of rows that is asked for.
const SHUFFLED_BY: i64 = 7_368_787;

/// Writes a file of `rows` people, in the order of their numbers or shuffled.
fn write(path: &Path, rows: i64, shuffled: bool) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "phone,first_name,last_name,city")?;
    for n in 0..rows {
        let i = if shuffled { n * SHUFFLED_BY % rows } else { n };
        // Valid numbers that a person could have, and names in random order: people are found by their names.
        let (area, local) = (202 + i / 7_000_000, 2_000_000 + i % 7_000_000);
        writeln!(file, "+1{area}{local:07},Ana{i},Rossi{},Springfield", i * 7_919 % 9_973)?;
    }
    file.flush()
}

/// Imports a file into data of its own; returns rows a second, without and with sorting in the names afterwards.
fn import(file: &Path, rows: i64) -> anyhow::Result<(f64, f64)> {
    let folder = folder()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let store = Store::open(folder.path())?;
    let list = runtime.block_on(store.create_list("All".into(), by()))?;
    let import = runtime.block_on(store.begin_import(list, by()))?;
    let reading = server::import::Reading::plain(None, "bench", Timestamp::now());
    let began = Instant::now();
    let state = server::import::csv(&store, import, File::open(file)?, &reading, |_| {})?;
    let imported = rows as f64 / began.elapsed().as_secs_f64();
    let began = Instant::now();
    store.index_names()?;
    let named = rows as f64 / began.elapsed().as_secs_f64();
    anyhow::ensure!(state.accepted == rows, "{state:?}");
    Ok((imported, named))
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn main() -> anyhow::Result<()> {
    let (rows, rounds) = (argument(1, 1_000_000)?, argument(2, 3)?);
    say_machine();
    let files = folder()?;
    let (ordered, shuffled) = (files.path().join("ordered.csv"), files.path().join("shuffled.csv"));
    write(&ordered, rows, false)?;
    write(&shuffled, rows, true)?;
    let (mut in_order, mut in_none, mut sorted_in) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (imported, names) = import(&ordered, rows)?;
        in_order.push(imported);
        sorted_in.push(names);
        in_none.push(import(&shuffled, rows)?.0);
    }
    let (in_order, in_none) = (median(in_order), median(in_none));
    line(&[&"", &"rows/s"]);
    line(&[&"in order", &(in_order as i64)]);
    line(&[&"in no order", &(in_none as i64)]);
    line(&[&"names, after it", &(median(sorted_in) as i64)]);
    println!("in no order / in order: {:.2}; peak memory {} MiB", in_none / in_order, peak_memory());
    let began = Instant::now();
    let import = format!(".import {} people", ordered.display());
    let status =
        Command::new("sqlite3").arg(files.path().join("plain.db")).args([".mode csv", &import]).status();
    if status.is_ok_and(|s| s.success()) {
        let plain = rows as f64 / began.elapsed().as_secs_f64();
        line(&[&"sqlite3", &(plain as i64)]);
        println!("carillon / sqlite3: {:.2}", in_order / plain);
    } else {
        println!("sqlite3: not measured (Debian package sqlite3)");
    }
    Ok(())
}
