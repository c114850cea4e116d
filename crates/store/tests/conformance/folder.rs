//! One folder, one master: who may dispatch, and who may change something meanwhile. Each store is opened anew, as another
//! process opens it.

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
