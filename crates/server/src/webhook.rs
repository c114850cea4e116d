//! Notifies webhooks: posts queued events, signed by the Standard Webhooks specification
//! (github.com/standard-webhooks/standard-webhooks), and retries events that were not accepted.
//!
//! Keeps: every event is sent at least once or given up after [`BACKOFF`], with each attempt in the log; a repetition
//! has the same `webhook-id`. A receiver that is slow or down keeps no other waiting.

use std::{collections::HashSet, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use campaign::WebhookId;
use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use rand::Rng as _;
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook as Signer,
};
use store::{
    AfterTry, By, EventTry, Level, OutgoingEvent, Problem as FieldProblem, Secret, Store, StoreError, Webhook,
};
use tokio::task::JoinSet;

use crate::{
    App,
    reach::{REFUSED, Reach},
};

/// Pauses between the attempts of an event, as the specification recommends; nearly three days in all.
const BACKOFF: [SignedDuration; 9] = [
    SignedDuration::from_secs(5),
    SignedDuration::from_mins(5),
    SignedDuration::from_mins(30),
    SignedDuration::from_hours(2),
    SignedDuration::from_hours(5),
    SignedDuration::from_hours(10),
    SignedDuration::from_hours(14),
    SignedDuration::from_hours(14),
    SignedDuration::from_hours(20),
];
/// How long a receiver may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// How often to look at the queue.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a webhook waits if the store fails: events already sent are sent again.
const AFTER_FAILURE: Duration = Duration::from_secs(30);
/// How many events to take for a webhook at a time, and to post to it side by side.
const TAKEN: u32 = 100;
const SIDE_BY_SIDE: usize = 8;
/// "410 Gone": the receiver wants no more events.
const GONE: u16 = 410;
/// The length of a secret in bytes; the specification asks for 24 to 64.
const SECRET_BYTES: usize = 32;

/// Adds a webhook; returns it with the signing secret, which is shown only this once.
///
/// # Errors
/// [`StoreError::Invalid`] if the address is not a web address or leads inside, or if there are no levels.
pub(crate) async fn add(
    app: &App,
    url: &str,
    levels: Vec<Level>,
    by: By,
) -> store::Result<(Webhook, Secret)> {
    let mut problems = Vec::new();
    let parsed = reqwest::Url::parse(url.trim()).ok();
    let parsed = parsed.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    match &parsed {
        None => {
            problems
                .push(FieldProblem::new("url", "give a whole address, such as https://crm.example/hooks"));
        }
        Some(url) if !app.config.webhooks.allows(url).await => {
            problems.push(FieldProblem::new("url", REFUSED));
        }
        Some(_) => {}
    }
    if levels.is_empty() {
        problems.push(FieldProblem::new("levels", "choose what is told: attempt, person, campaign"));
    }
    FieldProblem::none(problems)?;
    let mut key = [0; SECRET_BYTES];
    rand::rng().fill(&mut key);
    let secret = Secret::from(format!("whsec_{}", BASE64_STANDARD.encode(key)));
    let url = parsed.map(String::from).unwrap_or_default();
    Ok((app.store.add_webhook(url, levels, secret.clone(), by).await?, secret))
}

/// Posts events.
#[derive(Clone)]
pub struct Courier {
    store: Store,
    reach: Reach,
    client: reqwest::Client,
}

impl Courier {
    /// Posts from the queue of the store, to where the settings allow.
    ///
    /// # Errors
    /// If the machine has no way to make TLS connections.
    pub fn new(app: &App) -> reqwest::Result<Self> {
        let (store, reach) = (app.store.clone(), app.config.webhooks.clone());
        // A redirect would carry the event where nobody meant it to go, a proxy to an address not checked here.
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(reach.clone()))
            .timeout(ANSWER_WITHIN)
            .build()?;
        Ok(Self { store, reach, client })
    }

    /// Sends queued events, for as long as this is awaited.
    pub async fn run(self) {
        let mut busy = HashSet::new();
        let mut rounds = JoinSet::new();
        loop {
            match self.store.webhooks_due(Timestamp::now()).await {
                Ok(due) => {
                    for (id, url, secret) in due {
                        if busy.insert(id) {
                            let courier = self.clone();
                            rounds.spawn(async move {
                                if let Err(e) = courier.round(id, &url, &secret, Timestamp::now()).await {
                                    tracing::error!(error = %e, webhook = %id, "what was told could not be stored");
                                    tokio::time::sleep(AFTER_FAILURE).await;
                                }
                                id
                            });
                        }
                    }
                }
                Err(e) => tracing::error!(error = %e, "the queue of events could not be read"),
            }
            tokio::select! {
                Some(done) = rounds.join_next() => match done {
                    Ok(id) => drop(busy.remove(&id)),
                    // A round that panicked was reported by its own task; all webhooks are looked at anew.
                    Err(_) => busy.clear(),
                },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Sends every webhook the events due at `now`, once.
    pub async fn tell(&self, now: Timestamp) -> store::Result<()> {
        for (id, url, secret) in self.store.webhooks_due(now).await? {
            self.round(id, &url, &secret, now).await?;
        }
        Ok(())
    }

    async fn round(&self, id: WebhookId, url: &str, secret: &Secret, now: Timestamp) -> store::Result<()> {
        let signer = Signer::new(secret.expose()).map_err(|e| StoreError::Database(e.to_string()))?;
        let events = self.store.events_due(id, now, TAKEN).await?;
        let tried: Vec<_> = stream::iter(events)
            .map(|event| {
                let signer = &signer;
                async move { (self.post(url, signer, &event, now).await, event) }
            })
            .buffer_unordered(SIDE_BY_SIDE)
            .collect()
            .await;
        let gone = tried.iter().any(|(attempt, _)| attempt.status == Some(GONE));
        let tried = tried.into_iter().map(|(attempt, event)| {
            let after = after(&attempt, event.tries, now);
            (event.id, attempt, after)
        });
        self.store.events_tried(id, tried.collect()).await?;
        if gone {
            let why = "the receiver answered that it is gone for good (410)";
            let by = By::new("webhooks", now);
            self.store.switch_webhook(id, Some(why.to_owned()), by).await?;
        }
        Ok(())
    }

    async fn post(&self, url: &str, signer: &Signer, event: &OutgoingEvent, now: Timestamp) -> EventTry {
        let id = format!("msg_{}", event.id);
        let failed = |detail: String| EventTry { at: now, status: None, detail: Some(detail), took: 0 };
        // The receiver refuses events that it takes for old: the signature's time is that of the attempt.
        let at = now.as_second();
        let signature = match signer.sign(&id, at, event.payload.as_bytes()) {
            Ok(signature) => signature,
            Err(e) => return failed(e.to_string()),
        };
        // An address is checked here, a name when it is resolved.
        if url.parse().is_ok_and(|url| !self.reach.allows_now(&url)) {
            return failed(REFUSED.to_owned());
        }
        let begun = std::time::Instant::now();
        let answer = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .header("user-agent", concat!("Carillon/", env!("CARGO_PKG_VERSION")))
            .header(HEADER_WEBHOOK_ID, id)
            .header(HEADER_WEBHOOK_TIMESTAMP, at)
            .header(HEADER_WEBHOOK_SIGNATURE, signature)
            .body(event.payload.clone())
            .send()
            .await;
        let took = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        match answer {
            Ok(answer) => EventTry { at: now, status: Some(answer.status().as_u16()), detail: None, took },
            Err(e) => EventTry { took, ..failed(why(&e)) },
        }
    }
}

/// Why there was no answer, for people.
fn why(e: &reqwest::Error) -> String {
    let what = if e.is_timeout() {
        return format!("no answer within {} seconds", ANSWER_WITHIN.as_secs());
    } else if e.is_connect() {
        "cannot connect"
    } else {
        "the exchange broke off"
    };
    // The innermost cause tells it; those around it repeat the address.
    let mut cause: &dyn std::error::Error = e;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    format!("{what}: {cause}")
}

fn after(attempt: &EventTry, tries_before: u32, now: Timestamp) -> AfterTry {
    match attempt.status {
        Some(200..=299) => AfterTry::Delivered,
        Some(GONE) => AfterTry::GivenUp,
        _ => BACKOFF
            .get(tries_before as usize)
            .map_or(AfterTry::GivenUp, |pause| AfterTry::Again(now + *pause)),
    }
}
