//! The commands that work on the data alone, run as a person would.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

fn carillon(arguments: &[&str], data: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_carillon")).args(arguments).arg("--data").arg(data).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_token_is_printed_alone_and_stored_only_as_a_hash() {
    let data = tempfile::tempdir().unwrap();
    let made = carillon(&["token", "create", "--name", "ana", "--scope", "admin"], data.path());
    let secret = text(&made.stdout);
    assert_eq!(secret.trim().len(), 43);
    assert!(secret.trim().bytes().all(|b| b.is_ascii_alphanumeric()));
    let raw = rusqlite::Connection::open(data.path().join("carillon.db")).unwrap();
    let (name, scope, hash): (String, String, Vec<u8>) = raw
        .query_row("SELECT name, scope, hash FROM token", [], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
        .unwrap();
    assert_eq!((name.as_str(), scope.as_str(), hash.len()), ("ana", "admin", 32));
    assert_ne!(hash, secret.trim().as_bytes());
}

#[test]
fn check_says_that_every_invariant_holds_or_which_does_not() {
    let data = tempfile::tempdir().unwrap();
    carillon(&["token", "create", "--name", "ana"], data.path());
    let sound = carillon(&["check"], data.path());
    assert!(sound.status.success());
    assert!(text(&sound.stdout).ends_with("every invariant holds\n"));
    let raw = rusqlite::Connection::open(data.path().join("carillon.db")).unwrap();
    raw.execute("INSERT INTO tally VALUES (1, 1, 1, '', 0, 7)", []).unwrap();
    let off = carillon(&["check"], data.path());
    assert_eq!(off.status.code(), Some(1));
    assert!(text(&off.stdout).contains("BROKEN totals equal a count over the deliveries"));
}

#[test]
fn a_backup_is_a_whole_database_and_never_overwrites() {
    let data = tempfile::tempdir().unwrap();
    carillon(&["token", "create", "--name", "ana"], data.path());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("carillon.db");
    let name = file.to_str().unwrap();
    assert!(carillon(&["backup", name], data.path()).status.success());
    assert!(carillon(&["check"], folder.path()).status.success());
    let again = carillon(&["backup", name], data.path());
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("exists; choose another name"));
}

/// The files and folders at `path` that are open to others, with their modes.
fn open_to_others(path: &Path) -> Vec<String> {
    let found = std::fs::metadata(path).unwrap();
    let mode = found.permissions().mode() & 0o777;
    let mut open = Vec::new();
    if mode & 0o077 != 0 {
        open.push(format!("{} {mode:o}", path.display()));
    }
    if found.is_dir() {
        open.extend(
            std::fs::read_dir(path).unwrap().flat_map(|entry| open_to_others(&entry.unwrap().path())),
        );
    }
    open
}

#[test]
fn whatever_is_written_is_its_owners_alone_and_a_folder_that_was_open_is_closed() {
    let above = tempfile::tempdir().unwrap();
    let (data, copy) = (above.path().join("data"), above.path().join("copy.db"));
    let csv = above.path().join("contacts.csv");
    std::fs::write(&csv, "phone\n+12025550001\nnobody\n").unwrap();
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
    let made = carillon(&["token", "create", "--name", "ana"], &data);
    assert!(made.status.success());
    assert!(text(&made.stderr).contains("was open to others (mode 0755)"), "{}", text(&made.stderr));
    carillon(&["import", csv.to_str().unwrap(), "--list", "All"], &data);
    assert!(carillon(&["backup", copy.to_str().unwrap()], &data).status.success());
    for written in [data, copy, above.path().join("contacts.csv.errors.csv")] {
        assert_eq!(open_to_others(&written), Vec::<String>::new());
    }
}

#[test]
fn a_folder_that_is_everybodys_is_refused() {
    let refused = carillon(&["token", "create", "--name", "ana"], std::path::Path::new("/tmp"));
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("give the data a folder of its own"), "{}", text(&refused.stderr));
}

#[test]
fn a_mistyped_folder_is_refused_and_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let refused = carillon(&["check"], &nowhere);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("there is no data folder"));
    assert!(!nowhere.exists());
    assert_eq!(carillon(&["chekc"], folder.path()).status.code(), Some(2));
}
