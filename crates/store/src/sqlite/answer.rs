//! Answers to keywords. They may go to a number that opted out, so they have a queue of their own, beside the
//! deliveries and their suppressions. Messages that test a route go the same way, but never to such a number.
//!
//! Keeps: an answer is handed over at most once. Taking it is stored before its bytes are written; an answer that was
//! taken and has no result when the program ends is In doubt, and stays so.

use campaign::{Channel, Msisdn, RouteId, Sender, keyword::Keyword, segment};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension};

use super::{Store, audit, ms, reply::Mo, time};
use crate::{
    Answer, AnswerFate, By, Deed, Problem, Result, Settings, StoreError, TestSend,
    provider_id::{folded, spelling},
};

/// An answer that could not leave within this time is dropped (47 CFR 64.1200(a)(12): five minutes).
const WITHIN: SignedDuration = SignedDuration::from_mins(5);
/// A number that asks for help again and again is answered once in this time: two machines that answer each other come
/// to rest.
const HELP_ONCE_IN: SignedDuration = SignedDuration::from_mins(10);
/// The kind of a message that tests a route.
const TEST: &str = "test";
/// Why a message that waited is not sent to somebody who was suppressed meanwhile.
const SUPPRESSED: &str = "the number must not be contacted any more: it opted out, or is blocked";
/// Said of what the SMSC accepted without an id: a receipt with an unknown id may belong to it.
pub(super) const NO_ID: &str = "the SMSC gave it no id";
/// The most answers to take for a route in one turn.
const MOST: u32 = 100;

/// Queues the answer to a keyword.
pub(super) fn queue(
    c: &Connection,
    reply_id: i64,
    reply: &Mo,
    keyword: Keyword,
    settings: &Settings,
    now: i64,
) -> Result<()> {
    let number = reply.number.digits();
    let language: Option<String> = c
        .prepare_cached("SELECT fields ->> 'language' FROM contact WHERE number = ?1")?
        .query_row([number], |r| r.get(0))
        .optional()?
        .flatten();
    let texts = settings.answers_in(language.as_deref());
    let Some(text) = texts.and_then(|texts| texts.of(keyword)) else { return Ok(()) };
    if keyword == Keyword::Help {
        let since = now - HELP_ONCE_IN.as_millis() as i64;
        let answered = c
            .prepare_cached(
                "SELECT 1 FROM answer WHERE number = ?1 AND sender = ?2 AND kind = ?3 AND at > ?4",
            )?
            .exists((number, &reply.sender, keyword.word(), since))?;
        if answered {
            return Ok(());
        }
    }
    c.prepare_cached(
        "INSERT INTO answer (reply_id, route_id, number, sender, kind, text, state, due_at, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'queued', ?7, ?7)",
    )?
    .execute((reply_id, reply.route.0, number, &reply.sender, keyword.word(), text, now))?;
    Ok(())
}

/// Routes with something in their queue, and when the first is due.
pub(super) fn waiting(c: &Connection) -> Result<Vec<(RouteId, Timestamp)>> {
    Ok(c.prepare_cached("SELECT route_id, min(due_at) FROM answer WHERE state = 'queued' GROUP BY route_id")?
        .query_map([], |r| Ok((RouteId(r.get(0)?), time(r.get(1)?))))?
        .collect::<rusqlite::Result<_>>()?)
}

/// Takes the answers due for a route; those that are too old are dropped, and so are those to numbers suppressed
/// meanwhile, unless they confirm the opt-out or help.
pub(super) fn take(c: &Connection, route: RouteId, now: i64) -> Result<Vec<Answer>> {
    let within = WITHIN.as_millis() as i64;
    c.prepare_cached(
        "UPDATE answer SET state = 'expired' WHERE route_id = ?1 AND state = 'queued' AND at <= ?2",
    )?
    .execute((route.0, now - within))?;
    c.prepare_cached(
        "UPDATE answer SET state = 'refused', detail = ?2
         WHERE route_id = ?1 AND state = 'queued' AND kind IN (?3, ?4)
         AND EXISTS (SELECT 1 FROM suppression s WHERE s.number = answer.number AND s.channel IN (?5, 'all'))",
    )?
    .execute((route.0, SUPPRESSED, TEST, Keyword::OptIn.word(), Channel::Sms.word()))?;
    let answers: Vec<Answer> = c
        .prepare_cached(
            "SELECT id, number, sender, text, at FROM answer
             WHERE route_id = ?1 AND state = 'queued' AND due_at <= ?2 ORDER BY due_at LIMIT ?3",
        )?
        .query_map((route.0, now, MOST), |r| {
            Ok(Answer {
                id: r.get(0)?,
                route,
                number: Msisdn::from_digits(r.get(1)?),
                sender: r.get(2)?,
                text: r.get(3)?,
                send_before: time(r.get::<_, i64>(4)? + within),
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    for answer in &answers {
        c.prepare_cached("UPDATE answer SET state = 'taken' WHERE id = ?1")?.execute([answer.id])?;
    }
    Ok(answers)
}

/// The clock was set by `by`; otherwise it would show `from`: what waits keeps its times.
pub(super) fn clock_stepped(c: &Connection, from: i64, by: i64) -> Result<()> {
    c.prepare_cached(
        "UPDATE answer SET at = at + ?2, due_at = due_at + ?2 WHERE state IN ('queued', 'taken') AND at <= ?1",
    )?
    .execute((from, by))?;
    Ok(())
}

/// Stores the ids that the SMSC gave an answer, so that its receipt is not taken for a campaign's.
fn keep_ids(c: &Connection, answer: i64, ids: &[String], now: i64) -> Result<()> {
    for id in ids.iter().filter(|id| !id.is_empty()) {
        c.prepare_cached(
            "INSERT INTO receipt_key (route_id, id, number, campaign_id, message_no, seq, spelling, at)
             SELECT route_id, ?2, number, 0, 0, id, nullif(?3, ?2), ?4 FROM answer WHERE id = ?1
             ON CONFLICT DO NOTHING",
        )?
        .execute((answer, folded(id), spelling(id), now))?;
        c.prepare_cached(
            "DELETE FROM early_receipt WHERE route_id = (SELECT route_id FROM answer WHERE id = ?1) AND id = ?2",
        )?
        .execute((answer, folded(id)))?;
    }
    Ok(())
}

/// Records what became of answers that were taken.
pub(super) fn settle(c: &Connection, answered: &[(i64, AnswerFate)], now: i64) -> Result<()> {
    for (id, fate) in answered {
        let (state, detail, due_at) = match fate {
            AnswerFate::Sent(ids) => {
                keep_ids(c, *id, ids, now)?;
                ("sent", ids.iter().all(String::is_empty).then_some(NO_ID), None)
            }
            AnswerFate::Refused(words) => ("refused", Some(words.as_str()), None),
            AnswerFate::InDoubt => ("in_doubt", None, None),
            AnswerFate::Again(at) => ("queued", None, Some(ms(*at))),
        };
        c.prepare_cached(
            "UPDATE answer SET state = ?2, detail = ?3, due_at = coalesce(?4, due_at) WHERE id = ?1 AND state = 'taken'",
        )?
        .execute((id, state, detail, due_at))?;
    }
    Ok(())
}

/// Marks answers that were handed over when the program ended: nobody knows, so they are not sent again.
pub(super) fn recover(c: &Connection) -> Result<()> {
    c.execute("UPDATE answer SET state = 'in_doubt' WHERE state = 'taken'", [])?;
    Ok(())
}

impl Store {
    /// Queues a message that tests a route. It leaves within five minutes or not at all.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where the text is empty or too long, or the number must not be contacted.
    pub async fn test_send(
        &self,
        route: RouteId,
        sender: Sender,
        number: Msisdn,
        text: String,
        by: By,
    ) -> Result<()> {
        let mut problems = Vec::new();
        if text.trim().is_empty() {
            problems.push(Problem::new("text", "write what is to arrive"));
        } else if let Err(e) = segment::measure(&text) {
            problems.push(Problem::new("text", e));
        }
        Problem::none(problems)?;
        self.write(move |c| {
            let suppressed = c
                .prepare_cached("SELECT 1 FROM suppression WHERE number = ?1 AND channel IN (?2, 'all')")?
                .exists((number.digits(), Channel::Sms.word()))?;
            if suppressed {
                let problem = Problem::new(
                    "number",
                    format!("{number} must not be contacted: it opted out, or is blocked"),
                );
                return Err(StoreError::Invalid(vec![problem]));
            }
            c.prepare_cached(
                "INSERT INTO answer (reply_id, route_id, number, sender, kind, text, state, due_at, at)
                 VALUES (0, ?1, ?2, ?3, ?4, ?5, 'queued', ?6, ?6)",
            )?
            .execute((route.0, number.digits(), sender.address(), TEST, text, ms(by.at)))?;
            audit::note(c, &by, Deed::RouteTried, route)?;
            Ok(())
        })
        .await
    }

    /// The last messages that tested a route, newest first.
    pub async fn test_sends(&self, route: RouteId, limit: u32) -> Result<Vec<TestSend>> {
        self.read(move |c| {
            Ok(c.prepare_cached(
                "SELECT number, sender, text, state, detail, at FROM answer
                 WHERE reply_id = 0 AND route_id = ?1 ORDER BY id DESC LIMIT ?2",
            )?
            .query_map((route.0, limit), |r| {
                Ok(TestSend {
                    number: Msisdn::from_digits(r.get(0)?).to_string(),
                    sender: r.get(1)?,
                    text: r.get(2)?,
                    state: r.get(3)?,
                    detail: r.get(4)?,
                    at: time(r.get(5)?),
                })
            })?
            .collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}
