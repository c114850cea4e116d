//! What follows a commit: opt-outs by their reasons, and requests whose askers hang up.

use super::*;

/// What is done to a number.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Block,
    Unblock,
    Stop,
    Start,
}

async fn act(w: &World, deed: Deed) {
    let (store, blocked) = (&w.data.store, SkipReason::Blocked.word());
    match deed {
        Deed::Block => store.suppress(number(1), Barred::All, blocked, by(w.now)).await.unwrap(),
        Deed::Unblock => {
            store.unsuppress(number(1), Barred::All, blocked, by(w.now)).await.unwrap();
        }
        Deed::Stop => {
            w.cycle(Cycle { replies: vec![reply(w, "STOP")], ..Cycle::default() }).await;
        }
        Deed::Start => {
            w.cycle(Cycle { replies: vec![reply(w, "START")], ..Cycle::default() }).await;
        }
    }
}

#[tokio::test]
async fn a_block_and_an_opt_out_are_each_lifted_by_their_own_kind_in_any_order() {
    use Deed::{Block, Start, Stop, Unblock};
    let orders: [(&[Deed], &[&str]); 8] = [
        (&[Block, Stop, Unblock], &["opted_out"]),
        (&[Stop, Block, Unblock], &["opted_out"]),
        (&[Block, Stop, Start], &["blocked"]),
        (&[Stop, Block, Start], &["blocked"]),
        (&[Block, Stop, Unblock, Start], &[]),
        (&[Stop, Block, Start, Unblock], &[]),
        (&[Stop, Unblock], &["opted_out"]),
        (&[Block, Start], &["blocked"]),
    ];
    for (deeds, left) in orders {
        let w = World::with(2).await;
        for deed in deeds {
            act(&w, *deed).await;
        }
        let mut reasons: Vec<String> =
            w.data.store.contact(number(1)).await.unwrap().suppressed.into_iter().map(|s| s.reason).collect();
        reasons.sort_unstable();
        assert_eq!(reasons, left, "{deeds:?}");
        assert_eq!(
            w.data.store.opt_outs().contains(number(1), Channel::Sms, ""),
            !left.is_empty(),
            "{deeds:?}"
        );
    }
}

/// Polls a request once, so that it is under way, and drops it, as a server does when its client is gone.
async fn asked<T>(request: impl Future<Output = T>) {
    let mut request = std::pin::pin!(request);
    let _ = futures::poll!(request.as_mut());
}

#[tokio::test]
async fn whoever_hangs_up_after_asking_has_asked_all_the_same() {
    let w = World::with(2).await;
    let mut changes = w.data.store.changes();
    asked(w.data.store.suppress(number(1), Barred::All, "blocked", by(w.now))).await;
    let id = w.data.store.create_campaign(definition(&w, r#"[{"now":true}]"#), by(w.now)).await.unwrap().id;
    // Writes happen one after the other: the earlier request is stored by now.
    assert!(w.data.store.opt_outs().contains(number(1), Channel::Sms, ""));
    assert_eq!(w.data.store.contact(number(1)).await.unwrap().suppressed.len(), 1);
    while changes.try_recv().is_ok() {}
    let other = w.data.store.clone();
    asked(async move { other.schedule(id, fixture::by(fixture::tuesday())).await }).await;
    // The engine hears of it though nobody waits for the answer.
    assert_eq!(changes.recv().await.unwrap(), store::Change::Campaign(id));
    assert_eq!(w.status(id).await, Status::Scheduled);
}
