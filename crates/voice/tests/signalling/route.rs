//! A whole route of calls, against a far end of the test.

use std::{collections::BTreeSet, sync::Arc};

use campaign::{AudioId, CampaignId, ClaimId, Msisdn, Sender};
use engine::{CallEnd, Calls, OptOuts, OutgoingCall, Report, Route as _, RouteState};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use voice::{Equipment, Library, Prompts, SipRoute, media::Media};

use super::{
    LONG,
    far_end::{FarEnd, Heard},
};

/// Far more than can be called before the first step of a hand-over is over.
const CALLS: i64 = 1_000;
const CAMPAIGN: CampaignId = CampaignId(1);
/// The word after which the far end hears no more.
const END: &str = "END";

/// No script of these tests plays an upload.
struct NoUploads;

#[async_trait::async_trait]
impl Library for NoUploads {
    async fn upload(&self, _: AudioId) -> Result<Vec<u8>, String> {
        Err("there are no uploads".to_owned())
    }
}

fn number(seq: i64) -> String {
    format!("+1202555{seq:04}")
}

/// Calls to as many people as there are, whose phones may ring for as long as they like.
fn calls() -> Calls {
    let script = serde_json::json!({"first": "bye", "steps": {"bye": {"hang_up": true}}});
    let script = Arc::new(serde_json::from_value(script).unwrap());
    let caller_id = Arc::new(Sender::try_from("+12025550100".to_owned()).unwrap());
    let call = |seq| OutgoingCall {
        seq,
        number: Msisdn::parse(&number(seq), None).unwrap(),
        caller_id: Arc::clone(&caller_id),
        script: Arc::clone(&script),
    };
    Calls {
        campaign: CAMPAIGN,
        claim: ClaimId(1),
        send_before: Timestamp::now() + SignedDuration::from_mins(10),
        purpose: "".into(),
        ring_time: SignedDuration::from_mins(5),
        opt_out_key: None,
        goal: None,
        calls: (0..CALLS).map(call).collect(),
    }
}

/// Lets each phone ring until its call is cancelled. Returns the number of a first INVITE.
async fn ring(far_end: &FarEnd, heard: &Heard, invites: &mut Vec<Heard>) -> Option<String> {
    match heard.what() {
        "INVITE" => {
            far_end.answer(heard, "180 Ringing", "", "").await;
            invites.push(heard.clone());
            heard.uri().strip_prefix("sip:").and_then(|uri| uri.split('@').next()).map(str::to_owned)
        }
        "CANCEL" => {
            far_end.answer(heard, "200 OK", "", "").await;
            let of = |invite: &&Heard| invite.header("Call-ID") == heard.header("Call-ID");
            let invite = invites.iter().find(of).expect("nothing is cancelled that was not asked for");
            far_end.answer(invite, "487 Request Terminated", "", "").await;
            None
        }
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_calls_that_wait_for_their_step_none_begins_once_their_campaign_is_fenced() {
    let far_end = Arc::new(FarEnd::new().await);
    let config = serde_json::json!({"host": "127.0.0.1", "port": far_end.address().port(), "numbers": ["+12025550100"],
        "max_calls": 2_000, "calls_per_second": 100_000});
    let prompts = Prompts::new(Err("no speech is needed".to_owned()), Box::new(NoUploads));
    let equipment = Equipment { media: Arc::new(Media::start(1).unwrap()), prompts: Arc::new(prompts) };
    let (reports, mut reported) = mpsc::unbounded_channel();
    let config = serde_json::from_value(config).unwrap();
    let route = SipRoute::start(&config, equipment, reports, OptOuts::default());
    while route.state() != RouteState::Connected {
        assert!(matches!(reported.recv().await, Some(Report::State)));
    }

    let (first, mut is_first) = mpsc::channel(1);
    let phones = tokio::spawn({
        let far_end = Arc::clone(&far_end);
        async move {
            let (mut invites, mut rang) = (Vec::new(), BTreeSet::new());
            loop {
                let heard = far_end.hear().await;
                if heard.what() == END {
                    return rang;
                }
                if let Some(number) = ring(&far_end, &heard, &mut invites).await {
                    rang.insert(number);
                    let _ = first.try_send(());
                }
            }
        }
    });
    route.dial(calls());
    is_first.recv().await;
    tokio::time::timeout(LONG, route.fence(CAMPAIGN)).await.unwrap();

    // Each is reported once. Some began, most waited for their step.
    let (mut called, mut not_called) = (BTreeSet::new(), BTreeSet::new());
    while called.len() + not_called.len() < CALLS as usize {
        let report = tokio::time::timeout(LONG, reported.recv()).await.unwrap();
        let Some(Report::Called { seq, report, .. }) = report else { continue };
        assert!(matches!(report.end, CallEnd::Withdrawn), "{report:?}");
        let of = if report.row.is_some() { &mut called } else { &mut not_called };
        assert!(of.insert(number(seq)), "{seq} was reported twice");
    }
    // Behind all that was sent to the far end before.
    far_end.send(END.as_bytes(), far_end.address()).await;
    let rang = phones.await.unwrap();
    assert!(rang.is_subset(&called), "{:?} rang and had no call", rang.difference(&called));
    assert!(rang.is_disjoint(&not_called) && !rang.is_empty() && !not_called.is_empty());
    assert!(called.len() < CALLS as usize / 2, "{} calls began after the first", called.len());
}
