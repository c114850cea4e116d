//! One folder, one master: who may dispatch, and who may change something meanwhile. Each store is opened anew, as
//! another process would open it.

use super::*;

#[tokio::test]
async fn one_process_dispatches_at_a_time_and_nothing_else_is_held_beside_it() {
    let w = World::with(1).await;
    let other = Store::open(w.data.folder.path()).unwrap();
    let right = w.data.store.take_dispatch().await.unwrap();
    assert!(w.data.store.hold().unwrap().is_some_and(|hold| hold.is_alone()));
    assert!(other.hold().unwrap().is_none());
    let refused = other.take_dispatch().await.unwrap_err().to_string();
    assert!(refused.contains("another carillon dispatches"), "{refused}");
    assert!(other.adopt(Unsent::Keep, by(w.now)).await.unwrap_err().to_string().contains("stop it first"));
    drop(right);
    assert!(other.hold().unwrap().is_some_and(|hold| !hold.is_alone()));
    let _right = other.take_dispatch().await.unwrap();
    assert!(w.data.store.hold().unwrap().is_none());
}

#[tokio::test]
async fn whoever_wants_to_dispatch_waits_for_changes_that_are_under_way() {
    let w = World::with(1).await;
    let other = Store::open(w.data.folder.path()).unwrap();
    let (one, two) = (other.hold().unwrap(), w.data.store.hold().unwrap());
    assert!(one.is_some() && two.is_some(), "changes share their hold");
    let store = w.data.store.clone();
    let mut taking = tokio::spawn(async move { store.take_dispatch().await });
    let waits = tokio::time::timeout(std::time::Duration::from_millis(100), &mut taking).await;
    assert!(waits.is_err(), "it began in the midst of a change");
    drop((one, two));
    let right = taking.await.unwrap().unwrap();
    assert!(right.is_alone() && other.hold().unwrap().is_none());
}

#[tokio::test]
async fn of_many_that_want_to_dispatch_at_once_one_may_and_then_the_next() {
    let w = World::with(1).await;
    for _ in 0..20 {
        let stores: Vec<Store> = (0..4).map(|_| Store::open(w.data.folder.path()).unwrap()).collect();
        let taken = futures::future::join_all(stores.iter().map(Store::take_dispatch)).await;
        assert_eq!(taken.iter().filter(|right| right.is_ok()).count(), 1);
    }
}

#[tokio::test]
async fn what_a_process_said_of_how_it_is_reached_ends_with_its_right() {
    let w = World::with(1).await;
    let other = Store::open(w.data.folder.path()).unwrap();
    assert!(w.data.store.announce(b"here").is_err(), "only who dispatches says so");
    let right = w.data.store.take_dispatch().await.unwrap();
    w.data.store.announce(b"here").unwrap();
    assert_eq!(other.announced().unwrap(), b"here");
    drop(right);
    let _right = other.take_dispatch().await.unwrap();
    assert_eq!(w.data.store.announced().unwrap(), b"");
}

#[tokio::test]
async fn tables_are_not_changed_beneath_an_older_process_that_dispatches() {
    let w = World::with(1).await;
    let folder = w.data.folder.path();
    let raw = rusqlite::Connection::open(folder.join("carillon.db")).unwrap();
    let version: u32 = raw.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
    let right = w.data.store.take_dispatch().await.unwrap();
    raw.pragma_update(None, "user_version", version - 1).unwrap();
    let refused = Store::open(folder).map(drop).unwrap_err().to_string();
    assert!(refused.contains("stop it before this newer one"), "{refused}");
    drop(right);
    let now: u32 = raw.pragma_query_value(None, "user_version", |r| r.get(0)).unwrap();
    assert_eq!(now, version - 1, "nothing was changed");
}

/// Copies a folder as people do, file by file.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[tokio::test]
async fn a_copy_in_the_very_place_of_its_original_is_not_at_home_and_the_original_is_wherever_it_was_moved() {
    let World { data: Data { store, folder, .. }, now } = World::with(1).await;
    drop(store);
    let above = tempfile::tempdir_in(folder.path().parent().unwrap()).unwrap();
    let (place, moved) = (above.path().join("data"), above.path().join("moved"));
    copy(folder.path(), &place);
    let first = Store::open(&place).unwrap();
    assert!(!first.is_at_home().await.unwrap(), "a copy elsewhere");
    first.adopt(Unsent::Keep, by(now)).await.unwrap();
    assert!(first.is_at_home().await.unwrap());
    drop(first);
    assert!(Store::open(&place).unwrap().is_at_home().await.unwrap(), "opened again");
    std::fs::rename(&place, &moved).unwrap();
    copy(&moved, &place);
    let copied = Store::open(&place).unwrap();
    assert!(!copied.is_at_home().await.unwrap());
    assert!(matches!(copied.take_dispatch().await, Err(StoreError::MayNotDispatch(_))));
    assert!(Store::open(&moved).unwrap().is_at_home().await.unwrap());
}

#[tokio::test]
async fn a_place_that_an_earlier_version_wrote_down_is_carried_over_and_another_is_not() {
    let World { data: Data { store, folder, .. }, .. } = World::with(1).await;
    drop(store);
    let write = |home: &str| {
        let raw = rusqlite::Connection::open(folder.path().join("carillon.db")).unwrap();
        raw.execute("UPDATE meta SET value = ?1 WHERE key = 'home'", [home]).unwrap();
    };
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let path = folder.path().canonicalize().unwrap();
    let first = |machine: &str| {
        use sha2::{Digest as _, Sha256};
        format!("{:x}", Sha256::digest(format!("{}\0{}", machine.trim(), path.display())))
    };
    for (home, at_home) in [(first(&machine), true), (first("another"), false), ("backup".into(), false)] {
        write(&home);
        for _ in 0..2 {
            assert_eq!(Store::open(folder.path()).unwrap().is_at_home().await.unwrap(), at_home, "{home}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_marked_as_a_copy_before_it_has_its_name() {
    let w = World::with(3_000).await;
    let folder = tempfile::tempdir().unwrap();
    for i in 0..10 {
        let file = folder.path().join(format!("{i}.db"));
        let seen = file.clone();
        let looking = tokio::task::spawn_blocking(move || {
            while !seen.exists() {
                std::thread::yield_now();
            }
            let raw = rusqlite::Connection::open(&seen).unwrap();
            raw.query_row("SELECT value FROM meta WHERE key = 'home'", [], |r| r.get::<_, String>(0)).unwrap()
        });
        w.data.store.backup(&file).await.unwrap();
        assert_eq!(looking.await.unwrap(), "backup");
    }
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(names.len(), 10, "something is left: {names:?}");
    let refused = w.data.store.backup(&folder.path().join("3.db")).await.unwrap_err().to_string();
    assert!(refused.contains("exists"), "{refused}");
    assert!(w.data.store.backup(&folder.path().join("nowhere/copy.db")).await.is_err());
}

#[tokio::test]
async fn data_that_another_process_is_writing_to_can_be_opened_and_read() {
    let w = World::with(1).await;
    let lists = w.data.store.lists().await.unwrap();
    let stuck = rusqlite::Connection::open(w.data.folder.path().join("carillon.db")).unwrap();
    stuck.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = std::time::Instant::now();
    let other = Store::open(w.data.folder.path()).unwrap();
    assert_eq!(other.lists().await.unwrap(), lists);
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "it waited for the writer");
}
