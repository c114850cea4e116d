//! Trunks judged by evidence: which failures of calls end a campaign in error.
//!
//! - A call that fails by the trunk's fault says nothing of the recipient: it is made again, at growing distance, three
//!   times at most; then the recipient has failed, so that a small campaign ends.
//! - Twenty different recipients in a row that fail so end the campaign in error. Any other final answer begins anew.
//! - So do twenty in a row for whom nothing could be said.
//! - And so does a trunk that takes no calls, or answers none at all, for as long as its route allows, with work due.
//!   While nothing is answered, a call without any answer counts against nobody.
//!
//! One bad number, one busy callee or one 503 never ends a campaign.

use std::collections::{HashMap, HashSet};

use campaign::CampaignId;
use jiff::{SignedDuration, Timestamp};
use store::{CampaignError, ExchangedMessage, Tries};

use crate::{Trouble, Waiting, WaitingReason};

/// After this many different recipients in a row a campaign ends in error.
const IN_A_ROW: usize = 20;
/// The waits before a recipient is called again whose call failed by the trunk's fault.
const AGAIN_AFTER: [SignedDuration; 3] =
    [SignedDuration::from_secs(5), SignedDuration::from_secs(15), SignedDuration::from_secs(45)];

/// A call that failed by the trunk's fault.
pub(crate) struct Failure<'a> {
    pub(crate) seq: i64,
    pub(crate) code: Option<u16>,
    pub(crate) words: &'a str,
    pub(crate) exchange: Vec<ExchangedMessage>,
}

/// What a failure means for its recipient.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The recipient is called again at this time.
    Again(Timestamp),
    /// The recipient has failed.
    Failed,
}

/// Failures in a row.
#[derive(Debug, Default)]
struct Row {
    recipients: HashSet<i64>,
    calls: u32,
    first: Option<Timestamp>,
}

impl Row {
    fn add(&mut self, seq: i64, now: Timestamp) -> bool {
        self.first.get_or_insert(now);
        self.calls += 1;
        self.recipients.insert(seq);
        self.recipients.len() >= IN_A_ROW
    }
}

#[derive(Debug, Default)]
struct Evidence {
    trunk: Row,
    speech: Row,
    /// Since when work is due and the trunk takes no calls.
    down_since: Option<Timestamp>,
    /// The call since which none had any answer.
    silent: Option<Silent>,
    /// When a call last came to an end that is not the trunk's fault.
    answered_at: Option<Timestamp>,
}

/// A call that had no answer at all.
#[derive(Debug, Clone)]
struct Silent {
    since: Timestamp,
    words: String,
    exchange: Vec<ExchangedMessage>,
}

/// What is known of the trunks of voice campaigns.
#[derive(Debug, Default)]
pub(crate) struct Trunks {
    campaigns: HashMap<CampaignId, Evidence>,
    broken: Vec<(CampaignId, CampaignError)>,
}

impl Trunks {
    /// A call came to an end that is not the trunk's fault.
    pub(crate) fn answered(&mut self, campaign: CampaignId, now: Timestamp) {
        let known = self.campaigns.entry(campaign).or_default();
        *known = Evidence { answered_at: Some(now), ..Evidence::default() };
    }

    /// A call failed by the trunk's fault; `tries` is brought up to date.
    pub(crate) fn failed(
        &mut self,
        campaign: CampaignId,
        failure: Failure<'_>,
        tries: &mut Tries,
        now: Timestamp,
    ) -> Verdict {
        if let Some((_, error)) = self.broken.iter_mut().find(|(broken, _)| *broken == campaign) {
            // It has ended already, and this is more of the same.
            error.calls_affected += 1;
            error.last_at = now;
            return Verdict::Again(now);
        }
        let known = self.campaigns.entry(campaign).or_default();
        match failure.code {
            Some(_) => known.silent = None,
            None if known.silent.is_none() => {
                let exchange = failure.exchange.clone();
                known.silent = Some(Silent { since: now, words: failure.words.to_owned(), exchange });
            }
            None => {}
        }
        let first = *tries.refused_at.get_or_insert(now);
        let dark = failure.code.is_none() && known.answered_at.is_none_or(|at| at < first);
        let row = &mut known.trunk;
        if row.add(failure.seq, now) {
            let error = CampaignError {
                cause: format!("{} calls in a row failed by the trunk's fault", row.calls),
                detail: failure.words.to_owned(),
                first_at: row.first.unwrap_or(now),
                last_at: now,
                calls_affected: row.calls,
                sip_code: failure.code,
                exchange: failure.exchange,
                check: check(failure.code),
            };
            self.break_off(campaign, error);
        }
        if dark {
            let wait = AGAIN_AFTER[AGAIN_AFTER.len() - 1];
            return Verdict::Again(now.saturating_add(wait).unwrap_or(now));
        }
        tries.refusals += 1;
        match AGAIN_AFTER.get(tries.refusals as usize - 1) {
            Some(wait) => Verdict::Again(now.saturating_add(*wait).unwrap_or(now)),
            None => Verdict::Failed,
        }
    }

    /// Nothing could be said to a recipient. Returns whether that ends the campaign.
    pub(crate) fn no_speech(&mut self, campaign: CampaignId, seq: i64, words: &str, now: Timestamp) -> bool {
        let row = &mut self.campaigns.entry(campaign).or_default().speech;
        let broken = row.add(seq, now);
        if broken {
            let error = CampaignError {
                cause: format!("speech failed for {} recipients in a row", row.calls),
                detail: words.to_owned(),
                first_at: row.first.unwrap_or(now),
                last_at: now,
                calls_affected: row.calls,
                sip_code: None,
                exchange: Vec::new(),
                check: vec![
                    "whether the speech engine of this server works: play a prompt in the editor".to_owned(),
                    "whether every upload that the script plays is still there".to_owned(),
                ],
            };
            self.break_off(campaign, error);
        }
        broken
    }

    /// Nobody of a campaign is due: a trunk that is asked nothing is not silent.
    pub(crate) fn nothing_due(&mut self, campaign: CampaignId) {
        if let Some(known) = self.campaigns.get_mut(&campaign) {
            known.silent = None;
        }
    }

    /// Looks at why a campaign waits whose calls are due; `patience` is how long its trunk may take none.
    pub(crate) fn waits(
        &mut self,
        campaign: CampaignId,
        waits: &[Waiting],
        patience: SignedDuration,
        trouble: Option<&Trouble>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let said = || trouble.map(|trouble| trouble.words.clone()).unwrap_or_default();
        let down = waits.iter().find_map(|wait| match &wait.reason {
            WaitingReason::RouteDown => Some(("the trunk cannot be reached", said())),
            WaitingReason::RouteRefuses(words) => Some(("the trunk refuses us", words.clone())),
            _ => None,
        });
        let known = self.campaigns.entry(campaign).or_default();
        let (since, cause, detail, code, exchange) = match (down, &known.silent) {
            (Some((cause, detail)), _) => {
                let exchange = trouble.map(|trouble| trouble.exchange.clone()).unwrap_or_default();
                let code = trouble.and_then(|trouble| trouble.code);
                (*known.down_since.get_or_insert(now), cause, detail, code, exchange)
            }
            (None, silent) => {
                known.down_since = None;
                let Silent { since, words, exchange } = silent.clone()?;
                (since, "the trunk answers no call", words, None, exchange)
            }
        };
        let calls_affected = known.trunk.calls;
        let ends_at = since.saturating_add(patience).unwrap_or(since);
        if now < ends_at {
            return Some(ends_at);
        }
        let error = CampaignError {
            cause: cause.to_owned(),
            detail,
            first_at: since,
            last_at: now,
            calls_affected,
            sip_code: code,
            exchange,
            check: check(code),
        };
        self.break_off(campaign, error);
        None
    }

    fn break_off(&mut self, campaign: CampaignId, error: CampaignError) {
        self.campaigns.remove(&campaign);
        self.broken.retain(|(known, _)| *known != campaign);
        self.broken.push((campaign, error));
    }

    /// Campaigns that cannot go on, each told once.
    pub(crate) fn take_broken(&mut self) -> Vec<(CampaignId, CampaignError)> {
        std::mem::take(&mut self.broken)
    }

    /// Forgets campaigns that are over.
    pub(crate) fn retain(&mut self, live: impl Fn(CampaignId) -> bool) {
        self.campaigns.retain(|id, _| live(*id));
    }

    /// The clock was set: waits keep their lengths.
    pub(crate) fn shift(&mut self, by: SignedDuration) {
        for known in self.campaigns.values_mut() {
            let shifted = |at: Timestamp| at.saturating_add(by).unwrap_or(at);
            for at in [
                &mut known.down_since,
                &mut known.answered_at,
                &mut known.trunk.first,
                &mut known.speech.first,
            ] {
                *at = at.map(shifted);
            }
            if let Some(silent) = &mut known.silent {
                silent.since = shifted(silent.since);
            }
        }
    }
}

/// What to look at, by the SIP code.
fn check(code: Option<u16>) -> Vec<String> {
    let all = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    match code {
        Some(401 | 407) => {
            all(&["the route's username and password", "whether the trunk's operator changed them"])
        }
        Some(403) => all(&[
            "whether the account may make calls, and has credit",
            "whether the caller ID is one that the trunk's operator allows",
            "the route's username and password",
        ]),
        Some(408) | None => all(&[
            "the route's host, port and transport",
            "whether a firewall lets SIP through in both directions",
            "the trunk's status page, if its operator has one",
        ]),
        Some(_) => all(&[
            "the trunk's status page, if its operator has one",
            "how many calls at once and a second the trunk allows",
        ]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: CampaignId = CampaignId(1);

    fn now() -> Timestamp {
        "2026-11-24T15:00:00Z".parse().unwrap()
    }

    fn failure(seq: i64) -> Failure<'static> {
        Failure { seq, code: Some(503), words: "503 Service Unavailable", exchange: Vec::new() }
    }

    #[test]
    fn a_recipient_is_called_again_three_times_at_growing_distance_and_then_has_failed() {
        let (mut trunks, mut tries, mut waits) = (Trunks::default(), Tries::default(), Vec::new());
        let last = loop {
            match trunks.failed(ID, failure(7), &mut tries, now()) {
                Verdict::Again(at) => waits.push(at.duration_since(now()).as_secs()),
                verdict @ Verdict::Failed => break verdict,
            }
        };
        assert_eq!((waits, last), (vec![5, 15, 45], Verdict::Failed));
        assert!(trunks.take_broken().is_empty(), "one number never ends a campaign");
    }

    #[test]
    fn twenty_different_recipients_in_a_row_end_a_campaign_and_it_is_told_once() {
        let mut trunks = Trunks::default();
        for seq in 0..19 {
            trunks.failed(ID, failure(seq), &mut Tries::default(), now());
        }
        trunks.answered(ID, now());
        for seq in 0..20 {
            assert!(trunks.take_broken().is_empty(), "{seq}");
            trunks.failed(ID, failure(seq), &mut Tries::default(), now());
        }
        let [(ID, error)] = &trunks.take_broken()[..] else { panic!() };
        assert_eq!((error.calls_affected, error.sip_code), (20, Some(503)));
        assert!(trunks.take_broken().is_empty());
    }

    #[test]
    fn a_trunk_that_takes_no_calls_ends_a_campaign_after_its_patience_and_not_before() {
        let patience = SignedDuration::from_mins(5);
        let down = [Waiting { reason: WaitingReason::RouteRefuses("401 Unauthorized".into()), until: None }];
        let at = |seconds| now() + SignedDuration::from_secs(seconds);
        let trouble = Trouble { code: Some(401), ..Trouble::now("401 Unauthorized".into()) };
        let told = Some(&trouble);
        let mut trunks = Trunks::default();
        assert_eq!(trunks.waits(ID, &down, patience, told, at(0)), Some(at(300)));
        // It came back for a moment: the wait begins anew.
        assert_eq!(trunks.waits(ID, &[], patience, None, at(299)), None);
        assert_eq!(trunks.waits(ID, &down, patience, told, at(300)), Some(at(600)));
        assert!(trunks.take_broken().is_empty());
        trunks.waits(ID, &down, patience, told, at(600));
        let [(ID, error)] = &trunks.take_broken()[..] else { panic!() };
        assert_eq!((error.first_at, error.detail.as_str()), (at(300), "401 Unauthorized"));
    }

    #[test]
    fn a_trunk_that_is_asked_nothing_is_not_silent() {
        let patience = SignedDuration::from_mins(5);
        let at = |seconds| now() + SignedDuration::from_secs(seconds);
        let silence = || Failure { seq: 7, code: None, words: "no answer at all", exchange: Vec::new() };
        let mut trunks = Trunks::default();
        trunks.failed(ID, silence(), &mut Tries::default(), at(0));
        // Its hours end, and nobody is called until the next day.
        trunks.nothing_due(ID);
        assert_eq!(trunks.waits(ID, &[], patience, None, at(400)), None);
        trunks.failed(ID, silence(), &mut Tries::default(), at(50_000));
        // What was refused before says nothing of the silence.
        let old = Trouble { code: Some(403), ..Trouble::now("403 Forbidden".into()) };
        assert_eq!(trunks.waits(ID, &[], patience, Some(&old), at(50_001)), Some(at(50_300)));
        trunks.waits(ID, &[], patience, Some(&old), at(50_300));
        let [(ID, error)] = &trunks.take_broken()[..] else { panic!() };
        assert_eq!((error.detail.as_str(), error.sip_code), ("no answer at all", None));
    }

    #[test]
    fn a_trunk_that_answers_nothing_at_all_ends_a_campaign_after_its_patience_and_no_recipient_before() {
        let patience = SignedDuration::from_mins(5);
        let at = |seconds| now() + SignedDuration::from_secs(seconds);
        let silence = || Failure { seq: 7, code: None, words: "no answer at all", exchange: Vec::new() };
        let (mut trunks, mut tries) = (Trunks::default(), Tries::default());
        for seconds in (0..300).step_by(60) {
            assert!(matches!(trunks.failed(ID, silence(), &mut tries, at(seconds)), Verdict::Again(_)));
            assert_eq!(trunks.waits(ID, &[], patience, None, at(seconds)), Some(at(300)));
        }
        assert_eq!(tries.refusals, 0);
        trunks.waits(ID, &[], patience, None, at(300));
        let [(ID, error)] = &trunks.take_broken()[..] else { panic!() };
        assert_eq!((error.detail.as_str(), error.calls_affected), ("no answer at all", 5));
        // Where others are answered, one silent number has failed like any other.
        let (mut trunks, mut tries) = (Trunks::default(), Tries::default());
        for seconds in 0..4 {
            trunks.failed(ID, silence(), &mut tries, at(seconds * 60));
            trunks.answered(ID, at(seconds * 60 + 1));
        }
        assert_eq!(trunks.failed(ID, silence(), &mut tries, at(300)), Verdict::Failed);
        assert!(trunks.take_broken().is_empty());
    }

    proptest! {
        #[test]
        fn no_course_of_failures_and_answers_ends_a_campaign_with_fewer_than_twenty_recipients(
            course in prop::collection::vec((0..19_i64, any::<bool>()), 0..400),
        ) {
            let mut trunks = Trunks::default();
            for (seq, fails) in course {
                if fails {
                    trunks.failed(ID, failure(seq), &mut Tries::default(), now());
                } else {
                    trunks.answered(ID, now());
                }
            }
            prop_assert!(trunks.take_broken().is_empty());
        }
    }
}
