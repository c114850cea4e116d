//! Webhooks: an event is written in the transaction in which it happens, and sent afterwards, so nothing is reported
//! that did not happen and nothing that happened is left out. While nobody listens, nothing is written.

use super::writer::Effect;
use campaign::{CampaignId, Msisdn, Outcome, WebhookId};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Store, audit, dispatch::Turn, ms, time, writer::Lane};
use crate::{
    AfterTry, By, Change, Deed, EventRow, EventTry, Level, OutgoingEvent, Result, Secret, StoreError, Webhook,
};

/// The most deliveries to report in one event.
const TOGETHER: usize = 100;
/// How long sent events are kept for people to look at.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Events dropped in one step of bulk work.
const STEP: u32 = 2_000;
/// The event of a test by hand.
const TEST: &str = "webhook.test";

/// The webhooks that listen at a level.
fn listeners(c: &Connection, level: Level) -> Result<Vec<i64>> {
    Ok(c.prepare_cached(
        "SELECT id FROM webhook WHERE off IS NULL AND EXISTS (SELECT 1 FROM json_each(levels) WHERE value = ?1)",
    )?
    .query_map([level.word()], |r| r.get(0))?
    .collect::<rusqlite::Result<_>>()?)
}

/// Notifies the webhooks that listen at `level`; `data` is only made where one does.
pub(super) fn tell(
    c: &Connection,
    level: Level,
    kind: &str,
    now: i64,
    data: impl FnOnce() -> Value,
) -> Result<()> {
    let listeners = listeners(c, level)?;
    if listeners.is_empty() { Ok(()) } else { queue(c, &listeners, kind, now, &data()) }
}

/// Queues an event for each of these webhooks, in the form of the Standard Webhooks specification.
fn queue(c: &Connection, webhooks: &[i64], kind: &str, now: i64, data: &impl Serialize) -> Result<()> {
    let payload = json!({"type": kind, "timestamp": time(now), "data": data}).to_string();
    for webhook in webhooks {
        c.prepare_cached(
            "INSERT INTO webhook_event (webhook_id, kind, payload, at, state, due_at) VALUES (?1, ?2, ?3, ?4, 'queued', ?4)",
        )?
        .execute((webhook, kind, &payload, now))?;
    }
    Ok(())
}

/// A delivery that changed in a turn.
#[derive(Clone, Copy)]
pub(super) struct Changed {
    key: (i64, u32, i64),
    /// Whether it was settled in this turn; otherwise it was settled before and there is news of it.
    first: bool,
}

/// The deliveries of one turn that webhooks are to be notified of.
#[derive(Default)]
pub(super) struct News {
    attempts: Vec<i64>,
    people: Vec<i64>,
    changed: Vec<Changed>,
}

impl News {
    pub(super) fn new(c: &Connection) -> Result<Self> {
        let (attempts, people) = (listeners(c, Level::Attempt)?, listeners(c, Level::Person)?);
        Ok(Self { attempts, people, changed: Vec::new() })
    }

    pub(super) fn add(&mut self, key: (i64, u32, i64), first: bool) {
        if !self.attempts.is_empty() || !self.people.is_empty() {
            self.changed.push(Changed { key, first });
        }
    }
}

/// The state of one message to one recipient.
fn delivery(c: &Connection, (campaign, message, seq): (i64, u32, i64)) -> Result<Option<Value>> {
    Ok(c.prepare_cached(
        "SELECT a.number, d.outcome, d.reason, d.code, d.detail, d.attempts, d.changed_at
         FROM delivery d JOIN audience a USING (campaign_id, seq)
         WHERE d.campaign_id = ?1 AND d.message_no = ?2 AND d.seq = ?3",
    )?
    .query_row((campaign, message, seq), |r| {
        let (reason, code, detail): (Option<String>, Option<u32>, Option<String>) =
            (r.get(2)?, r.get(3)?, r.get(4)?);
        Ok(json!({"id": crate::Cursor { message, seq }.to_string(), "message": message,
            "number": Msisdn::from_digits(r.get(0)?).to_string(),
            "outcome": Outcome::from_code(r.get(1)?).map(Outcome::word), "reason": reason, "code": code, "detail": detail,
            "attempts": r.get::<_, u32>(5)?, "changed_at": time(r.get(6)?)}))
    })
    .optional()?)
}

impl Turn<'_> {
    /// Queues events for the deliveries that changed in this turn.
    pub(super) fn tell_news(&mut self) -> Result<()> {
        let mut news = std::mem::take(&mut self.news);
        news.changed.sort_by_key(|changed| changed.key);
        news.changed.dedup_by(|next, kept| {
            let same = next.key == kept.key;
            kept.first |= same && next.first;
            same
        });
        for of_one in news.changed.chunk_by(|a, b| a.key.0 == b.key.0) {
            let campaign = CampaignId(of_one[0].key.0);
            let deliveries = self.know(campaign)?.definition.content.deliveries() as u32;
            for chunk in of_one.chunks(TOGETHER) {
                if !news.attempts.is_empty() {
                    let deliveries = chunk.iter().filter_map(|d| delivery(self.c, d.key).transpose());
                    let deliveries = deliveries.collect::<Result<Vec<_>>>()?;
                    let data = json!({"campaign_id": campaign, "deliveries": deliveries});
                    queue(self.c, &news.attempts, "deliveries.changed", self.now, &data)?;
                }
                // Messages to one recipient never overtake each other: nothing follows the last.
                let done: Vec<_> = chunk.iter().filter(|d| d.first && d.key.1 == deliveries).collect();
                if !news.people.is_empty() && !done.is_empty() {
                    let mut people = Vec::with_capacity(done.len());
                    for d in done {
                        let all = (1..=deliveries)
                            .filter_map(|n| delivery(self.c, (d.key.0, n, d.key.2)).transpose());
                        people.push(json!({"deliveries": all.collect::<Result<Vec<_>>>()?}));
                    }
                    let data = json!({"campaign_id": campaign, "people": people});
                    queue(self.c, &news.people, "people.settled", self.now, &data)?;
                }
            }
        }
        Ok(())
    }
}

fn webhook(r: &Row<'_>) -> rusqlite::Result<Webhook> {
    Ok(Webhook {
        id: WebhookId(r.get(0)?),
        url: r.get(1)?,
        levels: serde_json::from_str(r.get_ref(2)?.as_str()?).map_err(|_| rusqlite::Error::InvalidQuery)?,
        off: r.get(3)?,
        created_at: time(r.get(4)?),
        queued: r.get(5)?,
    })
}

const WEBHOOK: &str = "SELECT id, url, levels, off, created_at, \
     (SELECT count(*) FROM webhook_event e WHERE e.webhook_id = w.id AND e.state = 'queued') FROM webhook w";

fn find(c: &Connection, id: WebhookId) -> Result<Webhook> {
    c.prepare_cached(&format!("{WEBHOOK} WHERE id = ?1"))?
        .query_row([id.0], webhook)
        .optional()?
        .ok_or(StoreError::NotFound("webhook"))
}

impl Store {
    /// As [`Store::write`], for a change to what a webhook's page shows.
    async fn write_of<T: Send + 'static>(
        &self,
        id: WebhookId,
        f: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.write_begun(move |c, effects| {
            effects.push(Effect::Told(Change::Webhook(id)));
            f(c)
        })
        .await
    }

    /// Every webhook.
    pub async fn webhooks(&self) -> Result<Vec<Webhook>> {
        self.read(|c| {
            Ok(c.prepare_cached(&format!("{WEBHOOK} ORDER BY id"))?
                .query_map([], webhook)?
                .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// One webhook.
    pub async fn webhook(&self, id: WebhookId) -> Result<Webhook> {
        self.read(move |c| find(c, id)).await
    }

    /// Adds a webhook that gets the events from now on. `secret` signs what is posted.
    pub async fn add_webhook(
        &self,
        url: String,
        mut levels: Vec<Level>,
        secret: Secret,
        by: By,
    ) -> Result<Webhook> {
        levels.sort_unstable();
        levels.dedup();
        let levels = serde_json::to_string(&levels).map_err(|e| StoreError::Database(e.to_string()))?;
        self.write(move |c| {
            c.execute(
                "INSERT INTO webhook (url, secret, levels, created_at) VALUES (?1, ?2, ?3, ?4)",
                (url, secret.expose(), levels, ms(by.at)),
            )?;
            let id = WebhookId(c.last_insert_rowid());
            audit::note(c, &by, Deed::WebhookAdded, id)?;
            find(c, id)
        })
        .await
    }

    /// Switches a webhook off, with the reason, or on again. Queued events wait meanwhile.
    pub async fn switch_webhook(&self, id: WebhookId, off: Option<String>, by: By) -> Result<Webhook> {
        self.write_of(id, move |c| {
            c.execute("UPDATE webhook SET off = ?2 WHERE id = ?1", (id.0, off))?;
            audit::note(c, &by, Deed::WebhookSwitched, id)?;
            find(c, id)
        })
        .await
    }

    /// Removes a webhook and its log.
    pub async fn remove_webhook(&self, id: WebhookId, by: By) -> Result<()> {
        self.write(move |c| {
            find(c, id)?;
            c.execute("DELETE FROM webhook_try WHERE event_id IN (SELECT id FROM webhook_event WHERE webhook_id = ?1)", [id.0])?;
            c.execute("DELETE FROM webhook_event WHERE webhook_id = ?1", [id.0])?;
            c.execute("DELETE FROM webhook WHERE id = ?1", [id.0])?;
            audit::note(c, &by, Deed::WebhookRemoved, id)?;
            Ok(())
        })
        .await
    }

    /// Queues an event without content, to test whether it arrives.
    pub async fn test_webhook(&self, id: WebhookId, by: By) -> Result<()> {
        self.write_of(id, move |c| {
            find(c, id)?;
            audit::note(c, &by, Deed::WebhookTried, id)?;
            queue(c, &[id.0], TEST, ms(by.at), &json!({"webhook_id": id}))
        })
        .await
    }

    /// The secret of a webhook, for its creator who asks again with the same key.
    pub async fn webhook_secret(&self, id: WebhookId) -> Result<Secret> {
        self.read(move |c| {
            let secret: Option<String> = c
                .prepare_cached("SELECT secret FROM webhook WHERE id = ?1")?
                .query_row([id.0], |r| r.get(0))
                .optional()?;
            secret.map(Secret::from).ok_or(StoreError::NotFound("webhook"))
        })
        .await
    }

    /// Webhooks with events due at `now`: their addresses and secrets.
    pub async fn webhooks_due(&self, now: Timestamp) -> Result<Vec<(WebhookId, String, Secret)>> {
        self.read(move |c| {
            Ok(c.prepare_cached(
                "SELECT id, url, secret FROM webhook w WHERE off IS NULL AND EXISTS
                     (SELECT 1 FROM webhook_event e WHERE e.webhook_id = w.id AND e.state = 'queued' AND e.due_at <= ?1)",
            )?
            .query_map([ms(now)], |r| {
                Ok((WebhookId(r.get(0)?), r.get(1)?, Secret::from(r.get::<_, String>(2)?)))
            })?
            .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// The events due for a webhook at `now`, oldest first.
    pub async fn events_due(&self, id: WebhookId, now: Timestamp, most: u32) -> Result<Vec<OutgoingEvent>> {
        self.read(move |c| {
            Ok(c.prepare_cached(
                "SELECT id, payload, tries FROM webhook_event
                 WHERE webhook_id = ?1 AND state = 'queued' AND due_at <= ?2 ORDER BY due_at, id LIMIT ?3",
            )?
            .query_map((id.0, ms(now), most), |r| {
                Ok(OutgoingEvent { id: r.get(0)?, payload: r.get(1)?, tries: r.get(2)? })
            })?
            .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Stores the results of attempts to send a webhook's events.
    pub async fn events_tried(&self, id: WebhookId, tried: Vec<(i64, EventTry, AfterTry)>) -> Result<()> {
        self.write_of(id, move |c| {
            for (event, attempt, after) in tried {
                let (state, due_at) = match after {
                    AfterTry::Delivered => ("delivered", None),
                    AfterTry::Again(at) => ("queued", Some(ms(at))),
                    AfterTry::GivenUp => ("given_up", None),
                };
                let known = c
                    .prepare_cached(
                        "UPDATE webhook_event SET state = ?2, tries = tries + 1, due_at = coalesce(?3, due_at) WHERE id = ?1",
                    )?
                    .execute((event, state, due_at))?;
                // The webhook may have been removed meanwhile.
                if known > 0 {
                    c.prepare_cached("INSERT OR REPLACE INTO webhook_try VALUES (?1, ?2, ?3, ?4, ?5)")?
                        .execute((event, ms(attempt.at), attempt.status, attempt.detail, attempt.took))?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Sends an event of a webhook once more, with all its attempts again.
    pub async fn tell_again(&self, id: WebhookId, event: i64, by: By) -> Result<()> {
        self.write_of(id, move |c| {
            let changed = c.execute(
                "UPDATE webhook_event SET state = 'queued', tries = 0, due_at = ?3 WHERE id = ?2 AND webhook_id = ?1",
                (id.0, event, ms(by.at)),
            )?;
            if changed == 0 {
                return Err(StoreError::NotFound("event"));
            }
            audit::note(c, &by, Deed::EventToldAgain, format!("{id} {event}"))
        })
        .await
    }

    /// The log of a webhook, newest first; the events before `before`.
    pub async fn webhook_log(&self, id: WebhookId, before: Option<i64>, most: u32) -> Result<Vec<EventRow>> {
        self.read(move |c| {
            find(c, id)?;
            let mut events: Vec<EventRow> = c
                .prepare_cached(
                    "SELECT id, kind, at, state, due_at, payload FROM webhook_event
                     WHERE webhook_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
                )?
                .query_map((id.0, before.unwrap_or(i64::MAX), most), |r| {
                    Ok(EventRow {
                        id: r.get(0)?,
                        kind: r.get(1)?,
                        at: time(r.get(2)?),
                        state: r.get(3)?,
                        due_at: time(r.get(4)?),
                        payload: r.get(5)?,
                        tries: Vec::new(),
                    })
                })?
                .collect::<rusqlite::Result<_>>()?;
            for event in &mut events {
                event.tries = c
                    .prepare_cached(
                        "SELECT at, status, detail, took FROM webhook_try WHERE event_id = ?1 ORDER BY at",
                    )?
                    .query_map([event.id], |r| {
                        Ok(EventTry {
                            at: time(r.get(0)?),
                            status: r.get(1)?,
                            detail: r.get(2)?,
                            took: r.get(3)?,
                        })
                    })?
                    .collect::<rusqlite::Result<_>>()?;
            }
            Ok(events)
        })
        .await
    }

    /// Drops events that were sent, or given up, long ago.
    pub(super) fn prune_events(&self, now: Timestamp) -> Result<()> {
        let before = ms(now) - KEPT_FOR.as_millis() as i64;
        loop {
            let gone = self.inner.writer.run_now(Lane::Bulk, move |c, _| {
                let last: Option<i64> = c
                    .prepare_cached(
                        "SELECT max(id) FROM (SELECT id FROM webhook_event WHERE at < ?1 AND state <> 'queued' ORDER BY id LIMIT ?2)",
                    )?
                    .query_row((before, STEP), |r| r.get(0))?;
                let Some(last) = last else { return Ok(0) };
                let old = "at < ?1 AND state <> 'queued' AND id <= ?2";
                c.execute(
                    &format!("DELETE FROM webhook_try WHERE event_id IN (SELECT id FROM webhook_event WHERE {old})"),
                    (before, last),
                )?;
                Ok(c.execute(&format!("DELETE FROM webhook_event WHERE {old}"), (before, last))?)
            })?;
            if gone == 0 {
                return Ok(());
            }
        }
    }
}
