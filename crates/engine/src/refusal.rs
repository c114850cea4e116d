//! Refusals judged by evidence: what a carrier's refusal is blamed on where its status does not tell.
//!
//! A status that blames the recipient ends its message at once; one that blames our speed slows us down. The rest
//! ([`Refusal::Route`]: blamed on the sender, on the route, or in no table) is judged by what else happens:
//!
//! - Where others are accepted, the recipient is to blame. The recipient is tried three times, well apart, and then has
//!   failed. A further try counts only where others were accepted meanwhile, or where no others are left to try.
//! - While nothing is accepted, a refusal counts for nobody. After 20 different recipients in a row, or when one is
//!   refused again, that sender's part of the campaign waits; once a minute one message is tried, first to those who
//!   were never refused. One that is accepted ends the wait. A recipient who was refused for a day in which nothing was
//!   accepted has failed.
//!
//! Evidence is kept by campaign and sender, because carriers refuse texts and senders. For a status that no table
//! lists, what the route accepted from others counts too: the recipient is to blame until evidence says otherwise.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use campaign::{CampaignId, RouteId, Sender};
use jiff::{SignedDuration, Timestamp};
use store::Tries;

/// After this many different recipients refused in a row, the sender's part of the campaign waits.
const REFUSED_IN_A_ROW: usize = 20;
/// How often a waiting stream tries a message.
pub(crate) const PROBE_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// The waits between the three tries of a recipient.
const ASK_AGAIN_AFTER: [SignedDuration; 2] = [SignedDuration::from_secs(5), SignedDuration::from_secs(15)];
/// A recipient who is refused for this long while nothing is accepted has failed.
const NOTHING_ACCEPTED: SignedDuration = SignedDuration::from_hours(24);

/// The messages of one sender in one campaign.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Stream {
    pub(crate) campaign: CampaignId,
    pub(crate) sender: Arc<Sender>,
}

/// The wait of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wait {
    /// What the carrier says.
    pub(crate) words: String,
    /// When the next message is tried.
    pub(crate) probe_at: Timestamp,
    /// Whether one message may be handed over though the stream waits: the probe that was chosen.
    pub(crate) probing: bool,
}

/// What a refusal means for its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The recipient is to blame: the message has failed.
    Failed,
    /// The refusal counts against the recipient, who is tried again at this time.
    AskAgain(Timestamp),
    /// The refusal counts for nobody: the message is tried again at this time, before the stream waits.
    Later(Timestamp),
    /// The refusal counts for nobody, and the stream waits.
    Parked,
}

/// A message that was refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused<'a> {
    pub(crate) route: RouteId,
    pub(crate) seq: i64,
    /// Whether a table says what the status is blamed on.
    pub(crate) listed: bool,
    pub(crate) words: &'a str,
    /// Whether the campaign has other recipients who can be tried now and have not been.
    pub(crate) others_left: bool,
}

#[derive(Debug, Default)]
struct Evidence {
    /// Recipients refused since a message was last accepted; no more than make the stream wait.
    in_a_row: HashSet<i64>,
    /// When a message was last accepted.
    accepted: Option<Timestamp>,
    wait: Option<Wait>,
}

/// What carriers have refused and accepted lately.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    streams: HashMap<Stream, Evidence>,
    /// Routes that have accepted anything, and when they last did.
    accepted: HashMap<RouteId, Timestamp>,
    /// What was accepted last, where nothing has changed since: most of a turn's messages are accepted alike.
    latest: Option<(Stream, RouteId, Timestamp)>,
}

impl Refusals {
    /// The wait of a stream, if it is waiting.
    pub(crate) fn wait(&self, stream: &Stream) -> Option<&Wait> {
        self.streams.get(stream)?.wait.as_ref()
    }

    /// A message of a stream was accepted: it waits no longer.
    pub(crate) fn accepted(&mut self, stream: &Stream, route: RouteId, now: Timestamp) {
        let alike = |(of, by, at): &(Stream, RouteId, Timestamp)| of == stream && *by == route && *at == now;
        if self.latest.as_ref().is_some_and(alike) {
            return;
        }
        self.latest = Some((stream.clone(), route, now));
        self.accepted.insert(route, now);
        match self.streams.get_mut(stream) {
            Some(known) => {
                known.accepted = Some(now);
                known.in_a_row.clear();
                known.wait = None;
            }
            None => {
                self.streams.insert(stream.clone(), Evidence { accepted: Some(now), ..Evidence::default() });
            }
        }
    }

    /// A message was refused, which may be due to the recipient or to the route; `tries` is brought up to date.
    pub(crate) fn refused(
        &mut self,
        stream: &Stream,
        refused: Refused<'_>,
        tries: &mut Tries,
        now: Timestamp,
    ) -> Verdict {
        self.latest = None;
        let of_others = if refused.listed { None } else { self.accepted.get(&refused.route).copied() };
        let known = self.streams.entry(stream.clone()).or_default();
        let accepted = known.accepted.max(of_others);
        let before = tries.refused_at.replace(tries.refused_at.unwrap_or(now));
        // A recipient who was refused while others were accepted says nothing new about the others.
        if tries.refusals == 0 && known.in_a_row.len() < REFUSED_IN_A_ROW {
            known.in_a_row.insert(refused.seq);
        }
        let many = known.in_a_row.len() >= REFUSED_IN_A_ROW;
        let later = |wait| now.saturating_add(wait).unwrap_or(now);
        if let Some(accepted) = accepted
            && !many
            && known.wait.is_none()
        {
            let meanwhile = before.is_none_or(|first| accepted >= first) || !refused.others_left;
            if !meanwhile {
                return Verdict::Later(later(PROBE_EVERY));
            }
            tries.refusals += 1;
            return match ASK_AGAIN_AFTER.get(tries.refusals as usize - 1) {
                Some(wait) => Verdict::AskAgain(later(*wait)),
                None => Verdict::Failed,
            };
        }
        if before.is_some_and(|first| accepted.is_some_and(|accepted| accepted >= first)) {
            // Others have been accepted since: the day begins anew.
            tries.refused_at = Some(now);
        } else if before.is_some_and(|first| now.duration_since(first) >= NOTHING_ACCEPTED) {
            return Verdict::Failed;
        }
        if many || before.is_some() || known.wait.is_some() {
            let probe_at = later(PROBE_EVERY);
            let wait = known.wait.get_or_insert(Wait { words: String::new(), probe_at, probing: false });
            refused.words.clone_into(&mut wait.words);
            return Verdict::Parked;
        }
        Verdict::Later(later(PROBE_EVERY))
    }

    /// The probe of a waiting stream was chosen; the next is due a minute later.
    pub(crate) fn probe(&mut self, stream: &Stream, now: Timestamp) {
        if let Some(wait) = self.streams.get_mut(stream).and_then(|known| known.wait.as_mut()) {
            wait.probing = true;
            wait.probe_at = now.saturating_add(PROBE_EVERY).unwrap_or(now);
        }
    }

    /// Whether a message of a stream may be handed over; a waiting stream has one probe.
    pub(crate) fn may_go(&mut self, stream: &Stream) -> Result<(), String> {
        match self.streams.get_mut(stream).and_then(|known| known.wait.as_mut()) {
            Some(wait) if wait.probing => {
                wait.probing = false;
                Ok(())
            }
            Some(wait) => Err(wait.words.clone()),
            None => Ok(()),
        }
    }

    /// The clock was set: waits keep their lengths.
    pub(crate) fn shift(&mut self, by: SignedDuration) {
        self.latest = None;
        let shifted = |at: Timestamp| at.saturating_add(by).unwrap_or(at);
        for known in self.streams.values_mut() {
            known.accepted = known.accepted.map(shifted);
            if let Some(wait) = &mut known.wait {
                wait.probe_at = shifted(wait.probe_at);
            }
        }
        self.accepted.values_mut().for_each(|at| *at = shifted(*at));
    }

    /// Forgets campaigns that are not at work.
    pub(crate) fn retain(&mut self, at_work: impl Fn(CampaignId) -> bool) {
        self.streams.retain(|stream, _| at_work(stream.campaign));
        self.latest.take_if(|(stream, ..)| !at_work(stream.campaign));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: RouteId = RouteId(1);

    struct World {
        refusals: Refusals,
        stream: Stream,
        now: Timestamp,
    }

    impl World {
        fn new() -> Self {
            let sender = Arc::new(Sender::Alphanumeric("CLINIC".into()));
            Self {
                refusals: Refusals::default(),
                stream: Stream { campaign: CampaignId(1), sender },
                now: "2026-11-24T15:00:00Z".parse().unwrap(),
            }
        }

        fn accept(&mut self) {
            self.refusals.accepted(&self.stream.clone(), ROUTE, self.now);
        }

        fn refuse(&mut self, seq: i64, tries: &mut Tries, listed: bool) -> Verdict {
            let refused = Refused { route: ROUTE, seq, listed, words: "no", others_left: true };
            self.refusals.refused(&self.stream.clone(), refused, tries, self.now)
        }

        fn after(&self, seconds: i64) -> Timestamp {
            self.now + SignedDuration::from_secs(seconds)
        }

        fn waits(&self) -> bool {
            self.refusals.wait(&self.stream).is_some()
        }
    }

    #[test]
    fn where_others_are_accepted_one_is_asked_three_times_and_holds_nobody_up() {
        for listed in [true, false] {
            let (mut w, mut tries) = (World::new(), Tries::default());
            w.accept();
            for wait in [5, 15] {
                assert_eq!(w.refuse(7, &mut tries, listed), Verdict::AskAgain(w.after(wait)));
                w.now = w.after(wait);
                w.accept();
            }
            assert_eq!(w.refuse(7, &mut tries, listed), Verdict::Failed);
            assert!(!w.waits());
        }
    }

    #[test]
    fn being_asked_again_counts_where_others_were_accepted_meanwhile_or_none_are_left() {
        for others_left in [true, false] {
            let (mut w, mut tries) = (World::new(), Tries::default());
            w.accept();
            w.now = w.after(1);
            assert_eq!(w.refuse(7, &mut tries, true), Verdict::AskAgain(w.after(5)));
            w.now = w.after(5);
            let refused = Refused { route: ROUTE, seq: 7, listed: true, words: "no", others_left };
            let verdict = w.refusals.refused(&w.stream.clone(), refused, &mut tries, w.now);
            let expected =
                if others_left { Verdict::Later(w.after(60)) } else { Verdict::AskAgain(w.after(15)) };
            assert_eq!((verdict, tries.refusals), (expected, if others_left { 1 } else { 2 }));
        }
    }

    #[test]
    fn twenty_in_a_row_are_counted_by_recipient_and_never_by_retry() {
        let mut w = World::new();
        w.accept();
        let mut one = Tries::default();
        for seq in 0..19 {
            let mut tries = Tries::default();
            w.refuse(seq, if seq == 0 { &mut one } else { &mut tries }, true);
        }
        // The first is asked again: it says nothing new.
        assert!(matches!(w.refuse(0, &mut one, true), Verdict::AskAgain(_)));
        assert!(!w.waits());
        assert_eq!(w.refuse(19, &mut Tries::default(), true), Verdict::Parked);
        assert!(w.waits());
        // A message that was under way counts for nobody.
        let mut on_its_way = Tries::default();
        assert_eq!(w.refuse(20, &mut on_its_way, true), Verdict::Parked);
        assert_eq!(on_its_way.refusals, 0);
        w.accept();
        assert!(!w.waits());
    }

    #[test]
    fn while_nothing_is_accepted_it_counts_for_nobody_and_after_a_day_it_has_failed() {
        let (mut w, mut tries) = (World::new(), Tries::default());
        assert_eq!(w.refuse(1, &mut tries, true), Verdict::Later(w.after(60)));
        w.now = w.after(60);
        assert_eq!(w.refuse(1, &mut tries, true), Verdict::Parked);
        assert_eq!(tries.refusals, 0);
        w.now = w.after(24 * 3600 - 61);
        assert_eq!(w.refuse(1, &mut tries, true), Verdict::Parked);
        w.now = w.after(1);
        assert_eq!(w.refuse(1, &mut tries, true), Verdict::Failed);
    }

    #[test]
    fn an_unlisted_status_is_the_recipients_where_the_route_accepts_others() {
        let mut w = World::new();
        let other = Stream { campaign: CampaignId(2), ..w.stream.clone() };
        w.refusals.accepted(&other, ROUTE, w.now);
        assert!(matches!(w.refuse(1, &mut Tries::default(), false), Verdict::AskAgain(_)));
        // A wrong sender concerns this campaign alone, whatever the route accepts from others.
        let mut w = World::new();
        w.refusals.accepted(&other, ROUTE, w.now);
        assert!(matches!(w.refuse(1, &mut Tries::default(), true), Verdict::Later(_)));
    }

    #[test]
    fn a_waiting_stream_hands_over_its_probe_and_nothing_else() {
        let (mut w, mut tries) = (World::new(), Tries::default());
        w.refuse(1, &mut tries, true);
        w.refuse(1, &mut tries, true);
        let stream = w.stream.clone();
        assert_eq!(w.refusals.may_go(&stream), Err("no".into()));
        w.refusals.probe(&stream, w.now);
        assert_eq!(w.refusals.wait(&stream).unwrap().probe_at, w.after(60));
        assert_eq!(w.refusals.may_go(&stream), Ok(()));
        assert_eq!(w.refusals.may_go(&stream), Err("no".into()));
    }
}
