//! Channels and outcomes may be told apart in few places, each of which the compiler finds when one is added. A file
//! that names one elsewhere is found here, before it makes a second list of them.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use campaign::{Channel, Outcome, outcome::TABLE};

/// Where a channel is named, and why.
const CHANNELS: &[(&str, &str)] = &[
    ("campaign/src/lifecycle.rs", "what a channel is, and its statuses"),
    ("campaign/src/content.rs", "what each says"),
    ("campaign/src/outcome.rs", "what each comes to"),
    ("store/src/model/definition.rs", "reads the content of each"),
    ("store/src/model/route.rs", "which kind of route carries each"),
    ("store/src/model/contact.rs", "do-not-contact lists of each"),
    ("engine/src/hand_over.rs", "renders each"),
    ("server/src/view.rs", "shows each"),
    ("server/src/pages/editor.rs", "has a form for each"),
    ("server/src/api/trial.rs", "tries each"),
    ("server/src/pages/script.rs", "the voice of a step is no channel"),
    ("server/templates/edit_calls.html", "nor is it there"),
    ("store/src/sqlite/reply.rs", "replies are messages"),
    ("store/src/sqlite/answer.rs", "so are answers"),
    ("sms/src/", "carries one"),
    ("voice/src/", "carries the other"),
    ("carillon/src/demo.rs", "shows one"),
    ("fixture/src/", "makes one for tests"),
];

/// Where an outcome is named, and why.
const OUTCOMES: &[(&str, &str)] = &[
    ("campaign/src/outcome.rs", "the table"),
    ("campaign/src/retry.rs", "what calls come to"),
    ("engine/src/fate.rs", "what an attempt comes to"),
    ("engine/src/calls.rs", "what a call comes to"),
    ("voice/src/ledger.rs", "what is shown of a call"),
    ("engine/src/hand_over.rs", "what cannot be rendered comes to"),
    ("store/src/sqlite/dispatch/settle.rs", "what is noted with a result"),
    ("store/src/sqlite/receipts.rs", "what a receipt tells"),
    ("store/src/sqlite/claim.rs", "who is skipped"),
    ("store/src/sqlite/recover.rs", "what a crash leaves in doubt"),
    ("store/src/sqlite/restart.rs", "what is tried again"),
    ("store/src/sqlite/deliveries.rs", "what is settled by hand"),
    ("server/src/pages/details.rs", "why it came to that"),
    ("server/src/pages/series.rs", "which colour it has"),
    ("carillon/src/client.rs", "what to restart"),
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let kind = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if path.is_dir() {
            files(&path, found);
        } else if ["rs", "sql", "html", "js", "css"].contains(&kind)
            && !name.starts_with("schema")
            && name != "tests.rs"
        {
            found.push(path);
        }
    }
}

/// Every line of the product's own sources, with its file; tests and comments left out.
fn lines() -> Vec<(String, String)> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut all = Vec::new();
    for package in fs::read_dir(crates).unwrap() {
        let package = package.unwrap().path();
        for folder in ["src", "templates", "assets"].map(|folder| package.join(folder)) {
            if folder.is_dir() {
                files(&folder, &mut all);
            }
        }
    }
    let mut lines = Vec::new();
    for file in all {
        let name = file.strip_prefix(crates).unwrap().to_str().unwrap().to_owned();
        let source = fs::read_to_string(&file).unwrap();
        let product = source.split("#[cfg(test)]").next().unwrap();
        let code = product.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.extend(code.map(|line| (name.clone(), line.to_owned())));
    }
    assert!(lines.len() > 15_000, "the sources are where they were");
    lines
}

/// Lines that name one of `names` in a file that is not among `places`, and the places that name none.
fn elsewhere(names: &[String], places: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let lines = lines();
    let telling: Vec<_> =
        lines.iter().filter(|(_, line)| names.iter().any(|name| line.contains(name.as_str()))).collect();
    let strange = telling.iter().filter(|(file, _)| !places.iter().any(|(place, _)| file.starts_with(place)));
    let idle = places.iter().filter(|(place, _)| !telling.iter().any(|(file, _)| file.starts_with(place)));
    (
        strange.map(|(file, line)| format!("{file}: {}", line.trim())).collect(),
        idle.map(|(place, why)| format!("{place} ({why})")).collect(),
    )
}

fn quoted(word: &str) -> [String; 2] {
    [format!("\"{word}\""), format!("'{word}'")]
}

#[test]
fn channels_are_told_apart_where_the_compiler_finds_it_and_nowhere_else() {
    let mut names: Vec<String> = Channel::ALL.iter().flat_map(|channel| quoted(channel.word())).collect();
    for of in ["Channel", "Content", "Barred"] {
        names.push(format!("{of}::{{"));
        names.extend(Channel::ALL.map(|channel| format!("{of}::{channel:?}")));
    }
    assert_eq!(elsewhere(&names, CHANNELS), (vec![], vec![]));
}

#[test]
fn outcomes_are_told_apart_where_something_comes_of_a_delivery_and_nowhere_else() {
    // Most of these words have other meanings too: imports fail, answers are sent, attempts of webhooks are delivered.
    // Only a list of outcomes has these two.
    let words = TABLE.iter().filter(|row| ["undelivered", "cancelled"].contains(&row.word));
    let mut names: Vec<String> = words.flat_map(|row| quoted(row.word)).collect();
    names.push("Outcome::{".to_owned());
    names.extend(Outcome::ALL.map(|outcome| format!("Outcome::{outcome:?}")));
    assert_eq!(elsewhere(&names, OUTCOMES), (vec![], vec![]));
}
