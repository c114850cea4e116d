//! A CSV file of a million rows, beside `sqlite3 .import` of the same file.
//! `cargo run --release -p bench --bin import [ROWS]`

use std::{io::Write as _, process::Command, time::Instant};

use bench::{argument, by, folder, line, peak_memory, say_machine};
use jiff::Timestamp;
use store::Store;

fn main() -> anyhow::Result<()> {
    let rows = argument(1, 1_000_000)?;
    say_machine();
    let folder = folder()?;
    let path = folder.path().join("people.csv");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path)?);
    writeln!(file, "phone,first_name,last_name,city")?;
    for i in 0..rows {
        // Numbers of the plan that a person could have, and names in no order: they are found by their names.
        let (area, local) = (202 + i / 7_000_000, 2_000_000 + i % 7_000_000);
        writeln!(file, "+1{area}{local:07},Ana{i},Rossi{},Springfield", i * 7_919 % 9_973)?;
    }
    file.flush()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let store = Store::open(folder.path())?;
    let list = runtime.block_on(store.create_list("All".into(), by()))?;
    let import = runtime.block_on(store.begin_import(list, by()))?;
    let reading = server::import::Reading::plain(None, "bench", Timestamp::now());
    let began = Instant::now();
    let state = server::import::csv(&store, import, std::fs::File::open(&path)?, &reading, |_| {})?;
    let ours = rows as f64 / began.elapsed().as_secs_f64();
    let began = Instant::now();
    store.index_names()?;
    let named = rows as f64 / began.elapsed().as_secs_f64();
    anyhow::ensure!(state.accepted == rows, "{state:?}");
    line(&[&"", &"rows/s", &"peak MiB"]);
    line(&[&"carillon", &(ours as i64), &peak_memory()]);
    line(&[&"names, after it", &(named as i64), &"-"]);
    let began = Instant::now();
    let import = format!(".import {} people", path.display());
    let status =
        Command::new("sqlite3").arg(folder.path().join("plain.db")).args([".mode csv", &import]).status();
    if status.is_ok_and(|s| s.success()) {
        let plain = rows as f64 / began.elapsed().as_secs_f64();
        line(&[&"sqlite3", &(plain as i64), &"-"]);
        println!("carillon / sqlite3: {:.2}", ours / plain);
    } else {
        println!("sqlite3: not measured (Debian package sqlite3)");
    }
    Ok(())
}
