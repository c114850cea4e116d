//! What every engine of the store must do. Each test takes a store and drives it as the engine would.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::sync::Arc;

use campaign::{Action, CampaignId, Channel, Outcome, Send, Sender, SkipReason, Status, Totals};
use fixture::{Data, by, number};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::{
    AnswerFate, Barred, CampaignFilter, CampaignSort, ClaimRequest, Claimed, Consent, Cycle, Cycled,
    Definition, DeliveryFilter, DeliveryRow, Fate, ImportChunk, ImportPlan, ImportTarget, NewContact, Part,
    Place, Receipt, Reply, ReplyFilter, Settled, Store, StoreError, Stored, Unsent, WindowDelay,
};

struct World {
    data: Data,
    now: Timestamp,
}

/// As whom the fixture's campaigns are sent.
const SENDER: &str = "+12025550100";
const TEXT: &str = "Hello {{ first_name | default('there') }}";

fn definition(w: &World, sends: &str) -> Definition {
    w.data.definition(TEXT, sends, json!({"name": "Reminder"}))
}

impl World {
    /// A store with one list of `people`.
    async fn with(people: i64) -> Self {
        let now = fixture::tuesday();
        let zones = ["America/New_York", "America/Chicago"];
        Self { data: Data::with(fixture::people(people, &zones), json!({}), now).await, now }
    }

    async fn scheduled(&self, sends: &str) -> CampaignId {
        self.data.schedule(TEXT, sends, json!({"name": "Reminder"}), self.now).await
    }

    async fn cycle(&self, cycle: Cycle) -> Cycled {
        self.data.store.cycle(cycle, "worker".into(), self.now).await.1.unwrap()
    }

    /// Claims from every open wave and from retries, at most `most` each.
    async fn claim(&self, id: CampaignId, most: u32) -> Vec<Claimed> {
        let Some(work) = self.data.store.agenda().await.unwrap().campaigns.into_iter().find(|w| w.id == id)
        else {
            return Vec::new();
        };
        let mut cycle = Cycle::default();
        if work.status == Status::Scheduled {
            cycle.due.push(id);
        }
        cycle.claims.push(ClaimRequest::Retries { campaign: id, epoch: work.epoch, most });
        cycle.claims.extend(work.waves.iter().map(|wave| ClaimRequest::Wave {
            campaign: id,
            epoch: work.epoch,
            wave: wave.id,
            most,
            settled_before: None,
        }));
        self.cycle(cycle).await.claimed
    }

    async fn totals(&self, id: CampaignId) -> Totals {
        self.data.store.campaign(id).await.unwrap().sum()
    }

    async fn status(&self, id: CampaignId) -> Status {
        self.data.store.campaign(id).await.unwrap().status
    }
}

fn sent(id: &str) -> Fate {
    Fate::Final {
        outcome: Outcome::Sent,
        reason: None,
        code: None,
        detail: None,
        provider_ids: vec![id.to_owned()],
        parts: 1,
    }
}

fn settle(claim: &Claimed, at: usize, fate: Fate) -> Settled {
    let r = &claim.recipients[at];
    Settled {
        claim: claim.id,
        campaign: claim.campaign,
        message_no: claim.message_no,
        seq: r.seq,
        number: r.number,
        sender: Some(Arc::new(Sender::try_from(SENDER.to_owned()).unwrap())),
        fate,
        attempts: r.attempts + 1,
    }
}

/// Refused by the carrier.
fn failed() -> Fate {
    Fate::Final {
        outcome: Outcome::Failed,
        reason: None,
        code: Some(0x0B),
        detail: None,
        provider_ids: Vec::new(),
        parts: 1,
    }
}

/// Settles all of `claims` as sent, with ids that name message and seq.
fn all_sent(claims: &[Claimed]) -> Cycle {
    let mut cycle = Cycle::default();
    for claim in claims {
        for (at, r) in claim.recipients.iter().enumerate() {
            cycle.settled.push(settle(claim, at, sent(&format!("{}-{}", claim.message_no, r.seq))));
        }
    }
    cycle
}

#[tokio::test]
async fn a_campaign_runs_from_defined_to_completed_and_every_total_adds_up() {
    let w = World::with(10).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    assert_eq!(w.totals(id).await, Totals { pending: 10, ..Totals::default() });
    let claims = w.claim(id, 100).await;
    assert_eq!(claims.iter().map(|c| c.recipients.len()).sum::<usize>(), 10);
    assert_eq!(w.totals(id).await, Totals { sending: 10, ..Totals::default() });
    assert_eq!(w.status(id).await, Status::Running);
    w.data.assert_sound().await;
    w.cycle(all_sent(&claims)).await;
    assert_eq!(w.totals(id).await, Totals { sent: 10, ..Totals::default() });
    assert_eq!(w.status(id).await, Status::Completed);
    w.data.assert_sound().await;
    let words: Vec<_> = w.data.store.timeline(id).await.unwrap().into_iter().map(|t| t.cause).collect();
    assert_eq!(words, ["created", "schedule", "first delivery due", "last delivery settled"]);
}

#[tokio::test]
async fn the_fields_that_the_texts_need_are_frozen() {
    let w = World::with(4).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let names: Vec<_> =
        w.claim(id, 100).await.iter().flat_map(|c| &c.recipients).map(|r| (r.number, r.values())).collect();
    assert!(names.contains(&(number(0), vec![Some("Ana".into())])));
    assert!(names.contains(&(number(1), vec![])));
}

#[tokio::test]
async fn nobody_is_claimed_twice_whatever_the_size_of_the_claims() {
    let w = World::with(101).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let claims = w.claim(id, 7).await;
        if claims.is_empty() {
            break;
        }
        for r in claims.iter().flat_map(|c| &c.recipients) {
            assert!(seen.insert(r.seq), "{} twice", r.seq);
        }
    }
    assert_eq!(seen.len(), 101);
}

#[tokio::test]
async fn a_stop_cancels_the_unsent_and_a_restart_sends_exactly_those() {
    let w = World::with(20).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let claims = w.claim(id, 4).await;
    w.data.store.stop(id, by(w.now)).await.unwrap();
    assert!(w.claim(id, 100).await.is_empty());
    assert!(w.data.store.is_draining(id).await.unwrap());
    // Two of each claim were written; the tail goes back, closed.
    let mut cycle = Cycle::default();
    let mut done = Vec::new();
    for claim in &claims {
        for at in 0..2 {
            cycle.settled.push(settle(claim, at, sent(&format!("{}-{at}", claim.id))));
            done.push(claim.recipients[at].seq);
        }
        cycle.unwritten.push((claim.id, claim.recipients[2].seq));
    }
    w.cycle(cycle).await;
    assert!(!w.data.store.is_draining(id).await.unwrap());
    assert_eq!(w.totals(id).await, Totals { sent: 4, cancelled: 16, ..Totals::default() });
    w.data.assert_sound().await;
    let c = w.data.store.restart(id, std::collections::BTreeMap::new(), false, by(w.now)).await.unwrap();
    assert_eq!(c.status, Status::Running);
    let again = w.claim(id, 100).await;
    assert_eq!(again.iter().map(|c| c.recipients.len()).sum::<usize>(), 16);
    assert!(again.iter().flat_map(|c| &c.recipients).all(|r| !done.contains(&r.seq)));
    w.cycle(all_sent(&again)).await;
    assert_eq!(w.status(id).await, Status::Completed);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn a_tail_in_the_middle_of_a_wave_becomes_a_wave_of_its_own_with_its_followers() {
    let w = World::with(40).await;
    let id = w.scheduled(r#"[{"now":true},{"after":"PT0S"}]"#).await;
    let first = w.claim(id, 6).await;
    let second = w.claim(id, 6).await;
    let mut cycle = all_sent(&second);
    for claim in &first {
        cycle.settled.push(settle(claim, 0, sent(&format!("x{}", claim.id))));
        cycle.low.push((claim.id, claim.recipients[1].seq));
        cycle.unwritten.push((claim.id, claim.recipients[1].seq));
    }
    w.cycle(cycle).await;
    w.data.assert_sound().await;
    assert_eq!(w.totals(id).await.sum(), 80);
    let mut turns = 0;
    while w.status(id).await == Status::Running {
        let claims = w.claim(id, 9).await;
        w.cycle(all_sent(&claims)).await;
        w.data.assert_sound().await;
        turns += 1;
        assert!(turns < 50, "it never completes");
    }
    assert_eq!(w.totals(id).await, Totals { sent: 80, ..Totals::default() });
}

#[tokio::test]
async fn a_message_never_overtakes_the_one_before_it() {
    let w = World::with(10).await;
    let id = w.scheduled(r#"[{"now":true},{"after":"PT0S"}]"#).await;
    let first = w.claim(id, 100).await;
    assert!(first.iter().all(|c| c.message_no == 1));
    // One recipient is still open: those behind it wait as well, those before it go.
    let mut cycle = all_sent(&first[..1]);
    let open = cycle.settled.remove(2);
    cycle.low.push((first[0].id, open.seq));
    w.cycle(cycle).await;
    let follow = w.claim(id, 100).await;
    assert_eq!(follow.iter().map(|c| (c.message_no, c.recipients.len())).collect::<Vec<_>>(), [(2, 2)]);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn a_follower_of_a_retry_waits_without_a_date_and_a_failure_ends_the_sequence() {
    let w = World::with(2).await;
    let id = w.scheduled(r#"[{"now":true},{"after":"PT0S"}]"#).await;
    let claims = w.claim(id, 100).await;
    let mut cycle = Cycle::default();
    let due_at = w.now + SignedDuration::from_secs(30);
    cycle.settled.push(settle(&claims[0], 0, Fate::Again { due_at, detail: "throttled".into() }));
    cycle.settled.push(settle(
        &claims[1],
        0,
        Fate::Final {
            outcome: Outcome::Failed,
            reason: None,
            code: Some(0x0B),
            detail: None,
            provider_ids: vec![],
            parts: 1,
        },
    ));
    w.cycle(cycle).await;
    assert!(w.claim(id, 100).await.is_empty());
    let messages = w.data.store.campaign(id).await.unwrap().totals;
    assert_eq!(messages[0], Totals { pending: 1, failed: 1, ..Totals::default() });
    assert_eq!(messages[1], Totals { pending: 1, skipped: 1, ..Totals::default() });
    w.data.assert_sound().await;
    let later = World { now: due_at, ..w };
    let retry = later.claim(id, 100).await;
    assert_eq!((retry.len(), retry[0].message_no, retry[0].recipients[0].attempts), (1, 1, 1));
    later.cycle(all_sent(&retry)).await;
    let follower = later.claim(id, 100).await;
    assert_eq!((follower.len(), follower[0].message_no), (1, 2));
    later.cycle(all_sent(&follower)).await;
    assert_eq!(later.status(id).await, Status::Completed);
    later.data.assert_sound().await;
}

#[tokio::test]
async fn suppressed_numbers_get_nothing_and_are_counted_as_skipped() {
    let w = World::with(6).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    w.data.store.suppress(number(1), Barred::Sms, SkipReason::OptedOut.word(), by(w.now)).await.unwrap();
    w.data.store.suppress(number(2), Barred::All, SkipReason::Blocked.word(), by(w.now)).await.unwrap();
    w.data.store.suppress(number(3), Barred::Voice, SkipReason::OptedOut.word(), by(w.now)).await.unwrap();
    let claims = w.claim(id, 100).await;
    let numbers: Vec<_> = claims.iter().flat_map(|c| &c.recipients).map(|r| r.number).collect();
    assert_eq!(numbers.len(), 4);
    assert!(!numbers.contains(&number(1)) && !numbers.contains(&number(2)));
    assert_eq!(w.totals(id).await.skipped, 2);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn what_an_orphaned_claim_leaves_is_in_doubt_and_a_receipt_that_fits_it_alone_settles_it() {
    let w = World::with(6).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let claims = w.claim(id, 2).await;
    w.cycle(Cycle { settled: vec![settle(&claims[0], 0, sent("a"))], ..Cycle::default() }).await;
    let World { data: Data { store, folder, list, route }, now } = w;
    drop(store);
    let w = World { data: Data { store: Store::open(folder.path()).unwrap(), folder, list, route }, now };
    assert_eq!(w.data.store.recover("another worker".into(), w.now).await.unwrap(), 3);
    assert_eq!(w.totals(id).await, Totals { pending: 2, sent: 1, in_doubt: 3, ..Totals::default() });
    w.data.assert_sound().await;
    let doubtful = claims[0].recipients[1].number;
    let receipt = Receipt {
        route: w.data.route,
        provider_ids: vec!["?".into()],
        number: doubtful,
        delivered: true,
        code: None,
    };
    w.cycle(Cycle { receipts: vec![receipt], ..Cycle::default() }).await;
    assert_eq!(
        w.totals(id).await,
        Totals { pending: 2, sent: 1, delivered: 1, in_doubt: 2, ..Totals::default() }
    );
    w.data.assert_sound().await;
}

#[tokio::test]
async fn receipts_are_matched_early_late_twice_and_by_part() {
    let w = World::with(2).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let claims = w.claim(id, 100).await;
    let (one, two) = (&claims[0], &claims[1]);
    let receipt = |ids: &[&str], number, delivered| Receipt {
        route: w.data.route,
        provider_ids: ids.iter().map(|i| (*i).to_owned()).collect(),
        number,
        delivered,
        code: None,
    };
    // The receipt of the first comes before its result.
    w.cycle(Cycle { receipts: vec![receipt(&["a"], one.recipients[0].number, true)], ..Cycle::default() })
        .await;
    let long = Fate::Final {
        outcome: Outcome::Sent,
        reason: None,
        code: None,
        detail: None,
        provider_ids: vec!["b1".into(), "b2".into()],
        parts: 2,
    };
    w.cycle(Cycle { settled: vec![settle(one, 0, sent("a")), settle(two, 0, long)], ..Cycle::default() })
        .await;
    assert_eq!(w.totals(id).await, Totals { sent: 1, delivered: 1, ..Totals::default() });
    let number = two.recipients[0].number;
    // One part, twice: the text is not delivered yet. Another spelling of the other part's id: now it is.
    let twice = vec![receipt(&["b1"], number, true), receipt(&["b1"], number, true)];
    w.cycle(Cycle { receipts: twice, ..Cycle::default() }).await;
    assert_eq!(w.totals(id).await.delivered, 1);
    w.cycle(Cycle { receipts: vec![receipt(&["178", "b2"], number, true)], ..Cycle::default() }).await;
    assert_eq!(w.totals(id).await, Totals { delivered: 2, ..Totals::default() });
    // The first final receipt wins.
    w.cycle(Cycle { receipts: vec![receipt(&["a"], one.recipients[0].number, false)], ..Cycle::default() })
        .await;
    assert_eq!(w.totals(id).await, Totals { delivered: 2, ..Totals::default() });
    w.data.assert_sound().await;
}

#[tokio::test]
async fn what_is_missing_is_named_at_schedule_and_nothing_is_changed() {
    let w = World::with(0).await;
    let mut d = definition(&w, r#"[{"now":true}]"#);
    let c = w.data.store.create_campaign(d.clone(), by(w.now)).await.unwrap();
    let problems = |e: StoreError| match e {
        StoreError::Invalid(problems) => problems.into_iter().map(|p| p.field).collect::<Vec<_>>(),
        other => panic!("{other}"),
    };
    let empty = w.data.store.schedule(c.id, by(w.now)).await.unwrap_err();
    assert!(empty.to_string().contains("the audience is empty"), "{empty}");
    d.opt_in_acknowledged = false;
    d.sender = None;
    d.messages.clear();
    let c = w.data.store.edit_campaign(c.id, c.version, d.clone(), by(w.now)).await.unwrap();
    let error = w.data.store.schedule(c.id, by(w.now)).await.unwrap_err();
    assert_eq!(problems(error), ["opt_in_acknowledged", "sender", "messages"]);
    let stale = w.data.store.edit_campaign(c.id, 1, d.clone(), by(w.now)).await.unwrap_err();
    assert!(matches!(stale, StoreError::Stale { now: 2 }));
    let taken = w.data.store.create_campaign(d, by(w.now)).await.unwrap_err();
    assert!(matches!(taken, StoreError::NameTaken(_)));
    assert_eq!(w.status(c.id).await, Status::Defined);
}

#[tokio::test]
async fn actions_that_the_status_does_not_allow_are_refused() {
    let w = World::with(3).await;
    let id = w.scheduled(r#"[{"at":"2026-12-01T10:00:00Z"}]"#).await;
    let again = w.data.store.schedule(id, by(w.now)).await.unwrap_err();
    assert!(matches!(again, StoreError::NotAllowed(_)));
    assert!(w.data.store.restart(id, std::collections::BTreeMap::new(), false, by(w.now)).await.is_err());
    let send: Send = serde_json::from_str(r#"{"at":"2026-12-02T10:00:00Z"}"#).unwrap();
    w.data.store.adjust(id, 1, send, by(w.now)).await.unwrap();
    let work = w.data.store.agenda().await.unwrap().campaigns;
    assert_eq!(work[0].waves[0].due_at.to_string(), "2026-12-02T10:00:00Z");
    let c = w.data.store.archive(id, by(w.now)).await.unwrap();
    assert_eq!((c.status, c.archived_from), (Status::Archived, Some(Status::Scheduled)));
    assert_eq!(c.sum(), Totals { cancelled: 3, ..Totals::default() });
    assert_eq!(c.available_actions(), [Action::Clone]);
    let copy = w.data.store.clone_campaign(id, None, by(w.now)).await.unwrap();
    assert_eq!((copy.definition.name.as_str(), copy.status), ("Copy of Reminder", Status::Defined));
    assert!(!copy.definition.opt_in_acknowledged);
    assert_eq!(copy.definition.channel, Channel::Sms);
    assert_eq!(w.data.store.campaigns(CampaignFilter::default(), 50).await.unwrap().len(), 1);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn a_corrupted_tally_is_named_by_check() {
    let w = World::with(5).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let claims = w.claim(id, 100).await;
    w.cycle(all_sent(&claims)).await;
    w.data.assert_sound().await;
    let raw = rusqlite::Connection::open(w.data.folder.path().join("carillon.db")).unwrap();
    raw.execute("UPDATE tally SET count = count + 1", []).unwrap();
    let off: Vec<_> = w.data.store.check().await.unwrap().into_iter().filter(|f| !f.off.is_empty()).collect();
    assert_eq!(off.len(), 1);
    assert_eq!(off[0].invariant, "totals equal a count over the deliveries");
    assert_eq!(off[0].off, ["campaign 1, message 1, outcome 1: tally says 6, rows say 5"]);
}

#[tokio::test]
async fn a_backup_and_a_moved_folder_must_be_adopted_before_they_dispatch() {
    let w = World::with(3).await;
    assert!(w.data.store.is_at_home().await.unwrap());
    let copy = tempfile::tempdir().unwrap();
    w.data.store.backup(&copy.path().join("carillon.db")).await.unwrap();
    let restored = Store::open(copy.path()).unwrap();
    assert!(!restored.is_at_home().await.unwrap());
    assert_eq!(restored.adopt(Unsent::Keep, by(w.now)).await.unwrap(), 0);
    assert!(restored.is_at_home().await.unwrap());
    assert!(w.data.store.backup(&copy.path().join("carillon.db")).await.is_err());
}

#[tokio::test]
async fn keys_of_receipts_go_after_a_week_and_no_sooner() {
    let mut w = World::with(20).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    w.cycle(all_sent(&w.claim(id, 5).await)).await;
    w.now += SignedDuration::from_hours(24);
    w.cycle(all_sent(&w.claim(id, 100).await)).await;
    let sent = w.totals(id).await.sent;
    let eight_days_on = w.now + SignedDuration::from_hours(6 * 24 + 12);
    assert_eq!(w.data.store.prune(w.now).await.unwrap(), 0);
    let first = w.data.store.prune(eight_days_on).await.unwrap();
    assert!(first > 0 && (first as i64) < sent, "{first} of {sent}");
    let rest = w.data.store.prune(eight_days_on + SignedDuration::from_hours(24)).await.unwrap();
    assert_eq!((first + rest) as i64, sent);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn what_was_unsent_in_a_copy_can_be_taken_as_in_doubt() {
    let w = World::with(20).await;
    let id = w.scheduled(r#"[{"now":true},{"after":"P1D"}]"#).await;
    let claims = w.claim(id, 4).await;
    let mut some = all_sent(&claims);
    some.settled.truncate(5);
    some.settled[4].fate = Fate::Again { due_at: w.now, detail: "throttled".into() };
    w.cycle(some).await;
    let copy = tempfile::tempdir().unwrap();
    w.data.store.backup(&copy.path().join("carillon.db")).await.unwrap();
    let restored = Store::open(copy.path()).unwrap();
    assert_eq!(restored.adopt(Unsent::InDoubt, by(w.now)).await.unwrap(), 36);
    let c = restored.campaign(id).await.unwrap();
    assert_eq!(
        (c.sum(), c.status),
        (Totals { sent: 4, in_doubt: 36, ..Totals::default() }, Status::Completed)
    );
    fixture::assert_sound(&restored).await;
    // The original knows nothing of it.
    assert_eq!(w.status(id).await, Status::Running);
}

fn reply(w: &World, text: &str) -> Reply {
    let route = w.data.route;
    Reply { route, number: number(1), sender: "12025550100".into(), text: text.into(), part: None }
}

impl World {
    /// Hears replies and takes what is to be answered to them.
    async fn answers(&self, replies: Vec<Reply>) -> Vec<store::Answer> {
        self.cycle(Cycle { replies, ..Cycle::default() }).await;
        self.cycle(Cycle { answer: vec![self.data.route], ..Cycle::default() }).await.answers
    }
}

#[tokio::test]
async fn an_opt_out_is_confirmed_once_and_help_is_answered_in_the_contacts_language() {
    let w = World::with(3).await;
    let mut settings = w.data.store.settings().await.unwrap();
    let mut french = settings.answers["en"].clone();
    french.help = "Répondez STOP.".into();
    settings.answers.insert("fr".into(), french);
    w.data.store.change_settings(settings.clone(), by(w.now)).await.unwrap();
    let first = w.answers(vec![reply(&w, "stop"), reply(&w, "STOP!")]).await;
    assert_eq!(first.iter().map(|a| &a.text).collect::<Vec<_>>(), [&settings.answers["en"].opt_out]);
    assert_eq!(first[0].send_before, w.now + SignedDuration::from_mins(5));
    assert!(w.answers(vec![reply(&w, "Stop")]).await.is_empty());
    let help = w.answers(vec![reply(&w, "help"), reply(&w, "Help?")]).await;
    assert_eq!(help.len(), 1);
    // What was taken is not taken again; what could not be written is.
    let again = w.cycle(Cycle { answer: vec![w.data.route], ..Cycle::default() }).await.answers;
    assert!(again.is_empty());
    let back = (help[0].id, AnswerFate::Again(w.now));
    w.cycle(Cycle { answered: vec![back], ..Cycle::default() }).await;
    let again = w.cycle(Cycle { answer: vec![w.data.route], ..Cycle::default() }).await.answers;
    assert_eq!(again[0].id, help[0].id);
    // The program ends: what was handed over is in doubt, for good.
    w.data.store.recover("next".into(), w.now).await.unwrap();
    assert!(w.data.store.agenda().await.unwrap().answers.is_empty());
    let fields = Some(r#"{"language":"fr-CA"}"#.to_owned());
    w.data.import(vec![NewContact { number: number(1), zones: None, fields, consent: None }]).await;
    let later = World { now: w.now + SignedDuration::from_mins(11), ..w };
    assert_eq!(later.answers(vec![reply(&later, "INFO")]).await[0].text, "Répondez STOP.");
}

#[tokio::test]
async fn an_answer_that_could_not_leave_within_five_minutes_is_dropped() {
    let w = World::with(3).await;
    w.cycle(Cycle { replies: vec![reply(&w, "stop")], ..Cycle::default() }).await;
    let later = World { now: w.now + SignedDuration::from_mins(5), ..w };
    let late = later.cycle(Cycle { answer: vec![later.data.route], ..Cycle::default() }).await.answers;
    assert!(late.is_empty());
    assert!(later.data.store.agenda().await.unwrap().answers.is_empty());
}

#[tokio::test]
async fn the_parts_of_a_long_reply_are_put_together_in_any_order_and_what_never_comes_leaves_a_gap() {
    let w = World::with(3).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let claims = w.claim(id, 100).await;
    w.cycle(all_sent(&claims)).await;
    let part = |reference, number, text: &str| Reply {
        part: Some(Part { reference, total: 3, number }),
        ..reply(&w, text)
    };
    let texts = async || -> Vec<(String, Option<String>)> {
        let replies = w.data.store.replies(id, ReplyFilter::default(), 10).await.unwrap();
        replies.into_iter().map(|r| (r.text, r.keyword)).collect()
    };
    let replies = vec![part(7, 3, "texting me."), part(7, 1, "Would you "), part(7, 1, "Would you ")];
    w.cycle(Cycle { replies, ..Cycle::default() }).await;
    assert_eq!(texts().await, []);
    w.cycle(Cycle { replies: vec![part(7, 2, "please stop "), part(8, 2, "middle")], ..Cycle::default() })
        .await;
    let whole = ("Would you please stop texting me.".to_owned(), Some("refusal".to_owned()));
    assert_eq!(texts().await, std::slice::from_ref(&whole));
    w.data.store.prune(w.now + SignedDuration::from_hours(25)).await.unwrap();
    assert_eq!(texts().await, [("[...]middle[...]".to_owned(), None), whole]);
}

#[tokio::test]
async fn a_keyword_that_is_switched_off_for_a_sender_is_an_ordinary_reply_there() {
    let w = World::with(3).await;
    let mut settings = w.data.store.settings().await.unwrap();
    settings.keywords_off.insert("+12025550100".into(), vec!["Cancel".into()]);
    w.data.store.change_settings(settings.clone(), by(w.now)).await.unwrap();
    assert!(w.answers(vec![reply(&w, "CANCEL")]).await.is_empty());
    let elsewhere = Reply { sender: "888111".into(), ..reply(&w, "CANCEL") };
    assert_eq!(w.answers(vec![elsewhere]).await.len(), 1);
    settings.keywords_off.insert("888111".into(), vec!["STOP".into()]);
    let refused = w.data.store.change_settings(settings, by(w.now)).await.unwrap_err();
    assert_eq!(refused.to_string(), "'STOP' always counts; CANCEL and YES can be switched off");
}

#[tokio::test]
async fn a_keyed_request_that_was_begun_and_never_answered_is_not_begun_again() {
    let w = World::with(1).await;
    let begin = async |request| w.data.store.begin_keyed("key".into(), [request; 32], w.now).await.unwrap();
    let held = begin(1).await;
    assert!(matches!(begin(1).await, Stored::InUse));
    // The program ends here.
    drop(held);
    assert!(matches!(begin(1).await, Stored::Unknown));
    assert!(matches!(begin(2).await, Stored::OtherRequest));
}

#[tokio::test]
async fn a_delivery_in_doubt_is_settled_by_hand_once_and_nothing_else_is() {
    let w = World::with(3).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let claims = w.claim(id, 100).await;
    w.cycle(Cycle { settled: vec![settle(&claims[0], 0, sent("a"))], ..Cycle::default() }).await;
    w.data.store.recover("next".into(), w.now).await.unwrap();
    assert_eq!(w.totals(id).await, Totals { sent: 1, in_doubt: 2, ..Totals::default() });
    let doubt = DeliveryFilter { outcome: Place::from_word("in_doubt"), ..DeliveryFilter::default() };
    let (rows, _) = w.data.store.deliveries(id, doubt, 10).await.unwrap();
    let by_hand =
        async |row: &DeliveryRow, outcome| w.data.store.settle_doubt(id, row.id, outcome, by(w.now)).await;
    let row = by_hand(&rows[0], Outcome::Sent).await.unwrap();
    assert_eq!(
        (row.outcome, row.detail.as_deref()),
        (Place::Settled(Outcome::Sent), Some("settled by test"))
    );
    by_hand(&rows[1], Outcome::Failed).await.unwrap();
    let again = by_hand(&rows[1], Outcome::Sent).await.unwrap_err();
    assert_eq!(again.to_string(), "it is failed: only what is in doubt is settled by hand");
    assert!(by_hand(&rows[0], Outcome::Delivered).await.is_err());
    assert_eq!(w.totals(id).await, Totals { sent: 2, failed: 1, ..Totals::default() });
    w.data.assert_sound().await;
}

#[tokio::test]
async fn what_would_cost_more_than_its_budget_is_not_scheduled() {
    let w = World::with(10).await;
    let now = r#"[{"now":true}]"#;
    let budget = async |name: &str, most: &str| {
        let d = w.data.definition(TEXT, now, json!({"name": name, "max_cost": most}));
        let c = w.data.store.create_campaign(d, by(w.now)).await.unwrap();
        (c.id, w.data.store.schedule(c.id, by(w.now)).await)
    };
    let (_, unknown) = budget("No price", "1").await;
    assert!(unknown.unwrap_err().to_string().contains("no price per segment"));
    let mut route = w.data.store.routes().await.unwrap().remove(0);
    route.config.price_per_segment = Some("0.0125".parse().unwrap());
    w.data.store.edit_route(route.id, route.config, by(w.now)).await.unwrap();
    let (id, over) = budget("Over", "0.12").await;
    assert!(over.unwrap_err().to_string().contains("it would cost 0.125, and its budget is 0.12"));
    assert_eq!(w.status(id).await, Status::Defined);
    let (_, within) = budget("Within", "0.125").await;
    assert_eq!(within.unwrap().status, Status::Scheduled);
}

/// Puts a limit of `messages` a day on everybody.
async fn limited(w: &World, messages: u32) {
    let settings = json!({"answers": {"en": {"opt_out": "", "help": ""}}, "limit": {"messages": messages, "per": "P1D"}});
    w.data.store.change_settings(serde_json::from_value(settings).unwrap(), by(w.now)).await.unwrap();
}

#[tokio::test]
async fn what_is_over_the_limit_of_a_person_is_skipped_over_all_campaigns_until_the_period_is_over() {
    let mut w = World::with(6).await;
    limited(&w, 2).await;
    let schedule = async |w: &World, name: &str| {
        w.data.schedule(TEXT, r#"[{"now":true}]"#, json!({"name": name}), w.now).await
    };
    for name in ["First", "Second"] {
        let id = schedule(&w, name).await;
        let claims = w.claim(id, 100).await;
        w.cycle(all_sent(&claims)).await;
        assert_eq!(w.totals(id).await, Totals { sent: 6, ..Totals::default() });
    }
    let third = schedule(&w, "Third").await;
    assert!(w.claim(third, 100).await.is_empty());
    assert_eq!(w.totals(third).await, Totals { skipped: 6, ..Totals::default() });
    let why = w.data.store.skips(third).await.unwrap();
    assert_eq!(why, [(SkipReason::Limit.word().to_owned(), 6)]);
    w.now += SignedDuration::from_hours(24);
    w.data.store.prune(w.now).await.unwrap();
    let fourth = schedule(&w, "Fourth").await;
    let claims = w.claim(fourth, 100).await;
    assert_eq!(claims.iter().map(|c| c.recipients.len()).sum::<usize>(), 6);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn what_did_not_leave_does_not_count_towards_the_limit() {
    let w = World::with(6).await;
    limited(&w, 1).await;
    let first = w.data.schedule(TEXT, r#"[{"now":true}]"#, json!({"name": "First"}), w.now).await;
    let mut cycle = Cycle::default();
    for claim in w.claim(first, 100).await {
        // One refused, one sent, the rest not written.
        let refused = Fate::Final {
            outcome: Outcome::Failed,
            reason: None,
            code: Some(11),
            detail: None,
            provider_ids: Vec::new(),
            parts: 0,
        };
        cycle.settled.push(settle(&claim, 0, refused));
        cycle.settled.push(settle(&claim, 1, sent(&format!("x{}", claim.id))));
        cycle.unwritten.push((claim.id, claim.recipients[2].seq));
    }
    w.cycle(cycle).await;
    w.data.store.stop(first, by(w.now)).await.unwrap();
    let sent_so_far = w.totals(first).await.sent;
    let second = w.data.schedule(TEXT, r#"[{"now":true}]"#, json!({"name": "Second"}), w.now).await;
    let claims = w.claim(second, 100).await;
    assert_eq!(w.totals(second).await.skipped, sent_so_far);
    assert_eq!(claims.iter().map(|c| c.recipients.len() as i64).sum::<i64>(), 6 - sent_so_far);
    w.cycle(all_sent(&claims)).await;
    // Restarted, the first has nobody left whom it may write to.
    w.data.store.restart(first, std::collections::BTreeMap::new(), false, by(w.now)).await.unwrap();
    assert!(w.claim(first, 100).await.is_empty());
    assert_eq!(w.totals(first).await.skipped, 6 - 2 * sent_so_far);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn an_opt_out_for_one_purpose_leaves_the_others_and_whoever_says_none_reaches_nobody_who_opted_out() {
    let w = World::with(2).await;
    let settings =
        json!({"answers": {"en": {"opt_out": "Bye.", "help": ""}}, "opt_out_holds_for": "purpose"});
    w.data.store.change_settings(serde_json::from_value(settings).unwrap(), by(w.now)).await.unwrap();
    let schedule = async |name: &str, purpose: Option<&str>| {
        let more = json!({"name": name, "purpose": purpose});
        w.data.schedule(TEXT, r#"[{"now":true}]"#, more, w.now).await
    };
    let asked = schedule("Asked", Some("marketing")).await;
    let claims = w.claim(asked, 100).await;
    w.cycle(all_sent(&claims)).await;
    assert_eq!(w.answers(vec![reply(&w, "stop")]).await.len(), 1);
    let opt_outs = w.data.store.opt_outs();
    let held = ["marketing", "care", ""].map(|purpose| opt_outs.contains(number(1), purpose));
    assert_eq!(held, [true, false, true]);
    for (name, purpose, skipped) in
        [("Sale", Some("marketing"), 1), ("Visit", Some("care"), 0), ("Unsaid", None, 1)]
    {
        let id = schedule(name, purpose).await;
        w.claim(id, 100).await;
        assert_eq!(w.totals(id).await.skipped, skipped, "{name}");
    }
    // START lifts it again.
    w.answers(vec![reply(&w, "start")]).await;
    assert!(!opt_outs.contains(number(1), "marketing"));
    let refused = w.data.definition(TEXT, r#"[{"now":true}]"#, json!({"name": "Odd", "purpose": "fun"}));
    let refused = w.data.store.create_campaign(refused, by(w.now)).await;
    assert!(matches!(refused, Err(StoreError::Invalid(p)) if p[0].field == "purpose"));
}

#[tokio::test]
async fn whoever_has_no_zone_lives_in_the_campaigns_and_else_in_the_accounts() {
    let w = World {
        data: Data::with(fixture::people(2, &[]), json!({}), fixture::tuesday()).await,
        now: fixture::tuesday(),
    };
    let settings = json!({"answers": {"en": {"opt_out": "", "help": ""}}, "time_zone": "Asia/Tokyo"});
    w.data.store.change_settings(serde_json::from_value(settings).unwrap(), by(w.now)).await.unwrap();
    let sends = r#"[{"local":"2026-11-25T10:00"}]"#;
    for (name, zone, due) in
        [("Tokyo", None, "2026-11-25T01:00:00Z"), ("Paris", Some("Europe/Paris"), "2026-11-25T09:00:00Z")]
    {
        let id = w.data.schedule(TEXT, sends, json!({"name": name, "time_zone": zone}), w.now).await;
        let starts = w.data.store.campaign(id).await.unwrap().starts_at;
        assert_eq!(starts, Some(due.parse().unwrap()), "{name}");
    }
}

#[tokio::test]
async fn where_consent_is_required_whoever_gave_none_is_skipped() {
    let w = World::with(4).await;
    let settings = json!({"answers": {"en": {"opt_out": "", "help": ""}}, "require_consent": true});
    w.data.store.change_settings(serde_json::from_value(settings).unwrap(), by(w.now)).await.unwrap();
    let consent = Some(Consent { source: "sign-up form".into(), at: w.now, by: "ana".into() });
    let more = NewContact { consent: consent.clone(), ..fixture::people(1, &[]).remove(0) };
    w.data.import(vec![more]).await;
    w.data.store.set_consent(number(1), consent.clone(), by(w.now)).await.unwrap();
    w.data.store.set_consent(number(2), consent.clone(), by(w.now)).await.unwrap();
    w.data.store.set_consent(number(2), None, by(w.now)).await.unwrap();
    assert_eq!(w.data.store.contact(number(0)).await.unwrap().consent, consent);
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let claims = w.claim(id, 100).await;
    let mut claimed: Vec<_> = claims.iter().flat_map(|c| c.recipients.iter().map(|r| r.number)).collect();
    claimed.sort();
    assert_eq!(claimed, [number(0), number(1)]);
    let why = w.data.store.skips(id).await.unwrap();
    assert_eq!(why, [(SkipReason::NoConsent.word().to_owned(), 2)]);
}

#[tokio::test]
async fn a_file_onto_a_do_not_contact_list_holds_back_even_what_is_claimed() {
    let w = World::with(10).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let opt_outs = w.data.store.opt_outs();
    let bar = async |from: i64, to: i64| {
        let import =
            w.data.store.queue_import(ImportTarget::DoNotContact(Barred::Sms), 1, by(w.now)).await.unwrap();
        w.data.store.start_import(import, ImportPlan::default(), by(w.now)).await.unwrap();
        let contacts = fixture::people(10, &[]).drain(from as usize..to as usize).collect();
        let (theirs, now) = (w.data.store.clone(), w.now);
        let chunk = ImportChunk { contacts, ..ImportChunk::default() };
        tokio::task::spawn_blocking(move || theirs.import_chunk(import, chunk, now)).await.unwrap().unwrap();
    };
    bar(0, 2).await;
    // Claims to come see it by themselves.
    assert!(!opt_outs.contains(number(0), ""));
    let claims = w.claim(id, 2).await;
    let claimed: Vec<_> = claims.iter().flat_map(|c| c.recipients.iter().map(|r| r.number)).collect();
    assert!(!claimed.is_empty() && !claimed.contains(&number(0)) && !claimed.contains(&number(1)));
    bar(2, 10).await;
    // What was claimed before is held back at the last moment; the others need no memory.
    for i in 2..10 {
        assert_eq!(opt_outs.contains(number(i), ""), claimed.contains(&number(i)), "{i}");
    }
}

#[tokio::test]
async fn a_forecast_says_whom_sending_windows_keep_waiting_and_until_when() {
    // 7,200 people at two a second; ten in New York is nine in Chicago, and each has one hour a day.
    let data = Data::with(
        fixture::people(7_200, &["America/New_York", "America/Chicago"]),
        json!({"rate_per_second": 2}),
        fixture::tuesday(),
    )
    .await;
    let w = World { data, now: fixture::tuesday() };
    let window = json!({"days": ["mon", "tue", "wed", "thu", "fri"], "from": "10:00", "to": "11:00"});
    let d = w.data.definition("Hello", r#"[{"now":true}]"#, json!({"name": "Slow", "window": window}));
    let id = w.data.store.create_campaign(d, by(w.now)).await.unwrap().id;
    let forecast = w.data.store.forecast(id, w.now).await.unwrap();
    // New York's half is sent in half an hour; Chicago's waits for its hour.
    let chicago = "2026-11-24T16:00:00Z".parse().unwrap();
    assert_eq!(forecast.delayed, [WindowDelay { n: 1, recipients: 3_600, until: chicago }]);
    assert_eq!(forecast.last_send, Some("2026-11-24T16:30:00Z".parse().unwrap()));
    // Begun three quarters of an hour late, half of New York waits for tomorrow; Chicago goes today.
    let late = w.now + SignedDuration::from_mins(45);
    let forecast = w.data.store.forecast(id, late).await.unwrap();
    let tomorrow = "2026-11-25T15:00:00Z".parse().unwrap();
    assert_eq!(forecast.delayed, [WindowDelay { n: 1, recipients: 1_800, until: tomorrow }]);
    assert_eq!(forecast.last_send, Some("2026-11-25T15:15:00Z".parse().unwrap()));
}

#[tokio::test]
async fn a_search_finds_names_by_any_part_of_them_in_every_order() {
    let w = World::with(1).await;
    for name in ["Flu shots 2026", "Storm \"Ana\"", "Flu shots, children", "Élections"] {
        let d = w.data.definition("Hello", r#"[{"now":true}]"#, json!({"name": name}));
        w.data.store.create_campaign(d, by(w.now)).await.unwrap();
    }
    let found = async |search: &str, sort: CampaignSort| {
        let filter = CampaignFilter { search: Some(search.into()), sort, ..CampaignFilter::default() };
        let campaigns = w.data.store.campaigns(filter, 10).await.unwrap();
        campaigns.into_iter().map(|c| c.definition.name).collect::<Vec<_>>()
    };
    let orders = [
        CampaignSort::Created,
        CampaignSort::Name,
        CampaignSort::Status,
        CampaignSort::Start,
        CampaignSort::CreatedBy,
        CampaignSort::Messages,
        CampaignSort::List,
        CampaignSort::Progress,
    ];
    for sort in orders {
        assert_eq!(found("SHOTS", sort).await.len(), 2, "{sort:?}");
    }
    assert_eq!(found("lu", CampaignSort::Name).await, ["Flu shots 2026", "Flu shots, children"]);
    assert_eq!(found("m \"a", CampaignSort::Created).await, ["Storm \"Ana\""]);
    assert_eq!(found("éle", CampaignSort::Created).await, ["Élections"]);
    assert!(found("nowhere", CampaignSort::Created).await.is_empty());
    // A new name is found, the old one is not.
    let flu = w
        .data
        .store
        .campaigns(CampaignFilter { search: Some("2026".into()), ..CampaignFilter::default() }, 1)
        .await
        .unwrap();
    let d = Definition { name: "Autumn".into(), ..flu[0].definition.clone() };
    w.data.store.edit_campaign(flu[0].id, flu[0].version, d, by(w.now)).await.unwrap();
    assert!(found("2026", CampaignSort::Created).await.is_empty());
    assert_eq!(found("autumn", CampaignSort::Created).await, ["Autumn"]);
    w.data.assert_sound().await;
}

#[tokio::test]
async fn every_attempt_at_a_recipient_is_kept_with_its_time_and_words() {
    let mut w = World::with(2).await;
    let id = w.scheduled(r#"[{"now":true}]"#).await;
    let begin = w.now;
    for _ in 0..2 {
        let mut cycle = Cycle::default();
        for claim in w.claim(id, 100).await {
            let again = Fate::Again { due_at: w.now, detail: "throttled".into() };
            cycle.settled.extend((0..claim.recipients.len()).map(|at| settle(&claim, at, again.clone())));
        }
        w.cycle(cycle).await;
        w.now += SignedDuration::from_secs(1);
    }
    let claims = w.claim(id, 100).await;
    w.cycle(all_sent(&claims)).await;
    let (rows, _) = w.data.store.deliveries(id, DeliveryFilter::default(), 10).await.unwrap();
    let attempts = w.data.store.attempts(id, rows.iter().map(|r| r.id).collect()).await.unwrap();
    for row in rows {
        let history: Vec<_> = attempts[&row.id].iter().map(|a| (a.at, a.detail.as_str())).collect();
        assert_eq!(history, [(begin, "throttled"), (begin + SignedDuration::from_secs(1), "throttled")]);
        assert_eq!((row.attempts, row.outcome), (3, Place::Settled(Outcome::Sent)));
    }
}

/// All pages of what `filter` asks for, one after the other.
async fn all_pages(w: &World, id: CampaignId, filter: &DeliveryFilter, limit: usize) -> Vec<DeliveryRow> {
    let (mut all, mut from) = (Vec::new(), None);
    loop {
        let filter = DeliveryFilter { from, ..filter.clone() };
        let (rows, next) = w.data.store.deliveries(id, filter, limit).await.unwrap();
        assert!(rows.len() <= limit);
        all.extend(rows);
        match next {
            Some(next) => from = Some(next),
            None => return all,
        }
    }
}

#[tokio::test]
async fn every_filter_of_the_deliveries_finds_what_the_whole_list_holds_page_by_page() {
    const PEOPLE: i64 = 60;
    let w = World::with(PEOPLE).await;
    let id = w.scheduled(r#"[{"now":true},{"after":"PT1H"}]"#).await;
    for claim in w.claim(id, 20).await {
        let fate = |at: usize| match at % 4 {
            0 => Some(Fate::Again { due_at: w.now, detail: "throttled".into() }),
            1 => Some(sent(&format!("{}-{at}", claim.id))),
            2 => Some(failed()),
            // Still on its way.
            _ => None,
        };
        let fates = (0..claim.recipients.len()).filter_map(|at| Some((at, fate(at)?)));
        let settled: Vec<Settled> = fates.map(|(at, fate)| settle(&claim, at, fate)).collect();
        w.cycle(Cycle { settled, ..Cycle::default() }).await;
    }
    for stopped in [false, true] {
        if stopped {
            w.data.store.stop(id, by(w.now)).await.unwrap();
        }
        let list = all_pages(&w, id, &DeliveryFilter::default(), 1_000).await;
        assert_eq!(list.len() as i64, 2 * PEOPLE);
        for outcome in ["pending", "sending", "sent", "failed", "cancelled", "delivered"] {
            for number in [
                None,
                Some("1202555000".to_owned()),
                Some(number(7).digits().to_string()),
                Some("0007".into()),
                Some("44".into()),
            ] {
                let place = Place::from_word(outcome);
                let expected: Vec<_> = list
                    .iter()
                    .filter(|r| Some(r.outcome) == place)
                    .filter(|r| number.as_ref().is_none_or(|digits| r.number[1..].contains(digits.as_str())))
                    .map(|r| r.id)
                    .collect();
                for longest_walk in [None, Some(3)] {
                    let filter = DeliveryFilter {
                        outcome: place,
                        number: number.clone(),
                        longest_walk,
                        ..DeliveryFilter::default()
                    };
                    let found: Vec<_> =
                        all_pages(&w, id, &filter, 4).await.into_iter().map(|r| r.id).collect();
                    assert_eq!(found, expected, "{outcome} {number:?} {longest_walk:?} stopped: {stopped}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_person_sees_what_every_campaign_sent_or_will_send_them() {
    let w = World::with(9).await;
    let first = w.data.schedule(TEXT, r#"[{"now":true}]"#, json!({"name": "First"}), w.now).await;
    w.cycle(all_sent(&w.claim(first, 100).await)).await;
    let later = r#"[{"at":"2026-12-01T10:00:00Z"},{"after":"P2D"}]"#;
    w.data.schedule(TEXT, later, json!({"name": "Second"}), w.now).await;
    for who in 0..9 {
        let seen = w.data.store.deliveries_to(number(who), 10).await.unwrap();
        let seen: Vec<_> =
            seen.iter().map(|m| (m.name.as_str(), m.delivery.message, m.delivery.outcome.word())).collect();
        assert_eq!(seen, [("Second", 2, "pending"), ("Second", 1, "pending"), ("First", 1, "sent")], "{who}");
    }
    assert!(w.data.store.deliveries_to(number(20), 10).await.unwrap().is_empty());
    assert_eq!(w.data.store.deliveries_to(number(0), 1).await.unwrap().len(), 2);
}
