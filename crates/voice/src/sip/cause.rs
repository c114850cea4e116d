//! What a final answer means: from the Q.850 cause in Reason (RFC 3326), the SIP code (RFC 3261 §21), whether the
//! phone rang before, and how long the INVITE was out. Pure, and the only place that decides it.

use std::time::Duration;

/// A refusal within this time of the INVITE was made by a filter, not by a person.
const SCREENED_WITHIN: Duration = Duration::from_secs(2);

/// One of the two ends of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The called side, or the network before it.
    FarEnd,
    /// Ourselves.
    Us,
}

/// Why a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It was answered, and a side hung up.
    Completed {
        /// The side that hung up.
        by: Side,
    },
    /// We withdrew it before an answer.
    Cancelled {
        /// An answer crossed the withdrawal: the phone was picked up, and hung up on at once.
        answered: bool,
    },
    /// The callee is busy.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// The number cannot be reached.
    Unreachable,
    /// The callee, or a filter before it, declined.
    Rejected {
        /// So soon that no person did it: screened or blocked.
        screened: bool,
    },
    /// The network is full.
    Congestion,
    /// Anything else.
    Failed,
}

/// How an INVITE that was not answered came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The far end gave a final answer other than 2xx.
    Refused {
        /// The SIP code.
        code: u16,
        /// The Q.850 cause of its Reason header.
        q850: Option<u8>,
    },
    /// The far end answered something, but nothing final within our ring time.
    RingTimeOver,
    /// The far end answered nothing at all.
    Silent,
    /// The message could not be carried.
    NotCarried,
}

/// What an [`Outcome`] means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// For the recipient.
    pub cause: Cause,
    /// Whether it speaks of the trunk rather than of the number called: such failures are put back, and error a
    /// campaign when many follow each other.
    pub trunk: bool,
}

/// A call's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Why.
    pub cause: Cause,
    /// Whether the trunk rather than the number called is at fault.
    pub trunk: bool,
    /// The final code of the INVITE, where the far end gave one other than 200.
    pub sip_code: Option<u16>,
    /// The Q.850 cause that the far end named, in its answer or its BYE.
    pub q850: Option<u8>,
    /// In words, for people.
    pub words: String,
    /// How long the far end asks to be left alone (Retry-After).
    pub retry_after: Option<Duration>,
    /// Whether the phone rang (any of 180 to 183).
    pub after_18x: bool,
    /// From the first INVITE to the end.
    pub elapsed: Duration,
}

/// Decides what the end of an unanswered INVITE means; `elapsed` is the time since it was first sent.
pub fn judge(outcome: &Outcome, after_18x: bool, elapsed: Duration) -> Verdict {
    let (code, q850) = match outcome {
        Outcome::Refused { code, q850 } => (*code, *q850),
        Outcome::RingTimeOver => return Verdict { cause: Cause::NoAnswer, trunk: false },
        Outcome::Silent | Outcome::NotCarried => return Verdict { cause: Cause::Failed, trunk: true },
    };
    let screened = elapsed < SCREENED_WITHIN;
    let by_q850 = q850.and_then(|q850| by_q850(q850, screened));
    let cause = by_q850.unwrap_or_else(|| by_code(code, after_18x, screened));
    let names_callee = by_q850.is_some_and(|cause| cause != Cause::Congestion);
    let trunk = !names_callee
        && match code {
            403 | 408 => !after_18x,
            401 | 407 => true,
            502 => false,
            code => (500..600).contains(&code),
        };
    Verdict { cause, trunk }
}

fn by_q850(q850: u8, screened: bool) -> Option<Cause> {
    Some(match q850 {
        17 => Cause::Busy,
        18 | 19 => Cause::NoAnswer,
        1..=3 | 20 | 22 | 27 | 28 => Cause::Unreachable,
        21 => Cause::Rejected { screened },
        34 | 38 | 41 | 42 | 44 | 47 => Cause::Congestion,
        _ => return None,
    })
}

fn by_code(code: u16, after_18x: bool, screened: bool) -> Cause {
    match code {
        486 | 600 => Cause::Busy,
        480 => Cause::NoAnswer,
        408 if after_18x => Cause::NoAnswer,
        404 | 410 | 484 | 502 | 604 => Cause::Unreachable,
        603 | 607 | 608 => Cause::Rejected { screened },
        403 if after_18x => Cause::Rejected { screened },
        503 => Cause::Congestion,
        _ => Cause::Failed,
    }
}

/// Reads the Q.850 cause from the values of Reason headers (RFC 3326); other protocols in them are passed over.
pub fn q850<'a>(reasons: impl IntoIterator<Item = &'a str>) -> Option<u8> {
    reasons.into_iter().flat_map(|value| value.split(',')).find_map(|reason| {
        let (protocol, parameters) = reason.split_once(';')?;
        protocol.trim().eq_ignore_ascii_case("q.850").then_some(())?;
        parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("cause").then(|| value.trim().trim_matches('"').parse().ok())?
        })
    })
}

/// What a Q.850 cause is called.
pub(super) fn q850_words(q850: u8) -> &'static str {
    match q850 {
        1 => "unallocated number",
        2 => "no route to the network",
        3 => "no route to the destination",
        16 => "normal clearing",
        17 => "user busy",
        18 => "no user responding",
        19 => "no answer",
        20 => "subscriber absent",
        21 => "call rejected",
        22 => "number changed",
        27 => "destination out of order",
        28 => "invalid number format",
        31 => "normal, unspecified",
        34 => "no circuit available",
        38 => "network out of order",
        41 => "temporary failure",
        42 => "switching equipment congestion",
        44 => "requested circuit not available",
        47 => "resource unavailable",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(300);
    const LATE: Duration = Duration::from_secs(9);

    fn refused(code: u16, q850: Option<u8>) -> Outcome {
        Outcome::Refused { code, q850 }
    }

    #[test]
    fn every_row_of_the_table_is_judged_as_it_says() {
        use Cause::{Busy, Congestion, Failed, NoAnswer, Rejected, Unreachable};
        const DECLINED: Cause = Rejected { screened: false };
        const SCREENED: Cause = Rejected { screened: true };
        // code, Q.850, rang, elapsed, cause, the trunk's fault
        let rows = [
            (486, None, true, LATE, Busy, false),
            (600, None, false, SOON, Busy, false),
            (480, None, false, LATE, NoAnswer, false),
            (408, None, true, LATE, NoAnswer, false),
            (408, None, false, LATE, Failed, true),
            (404, None, false, SOON, Unreachable, false),
            (410, None, false, SOON, Unreachable, false),
            (484, None, false, SOON, Unreachable, false),
            (502, None, false, SOON, Unreachable, false),
            (604, None, false, SOON, Unreachable, false),
            (603, None, true, LATE, DECLINED, false),
            (603, None, false, SOON, SCREENED, false),
            (607, None, false, LATE, DECLINED, false),
            (608, None, false, SOON, SCREENED, false),
            (403, None, true, LATE, DECLINED, false),
            (403, None, false, SOON, Failed, true),
            (503, None, false, SOON, Congestion, true),
            (500, None, false, SOON, Failed, true),
            (504, None, true, LATE, Failed, true),
            (580, None, false, SOON, Failed, true),
            (401, None, false, SOON, Failed, true),
            (407, None, false, SOON, Failed, true),
            (302, None, false, SOON, Failed, false),
            (420, None, false, SOON, Failed, false),
            (421, None, false, SOON, Failed, false),
            (487, None, true, LATE, Failed, false),
            (488, None, false, SOON, Failed, false),
            (606, None, false, SOON, Failed, false),
            (699, None, false, SOON, Failed, false),
            // The Reason header comes first.
            (480, Some(17), true, LATE, Busy, false),
            (503, Some(17), false, SOON, Busy, false),
            (500, Some(1), false, SOON, Unreachable, false),
            (403, Some(21), false, SOON, SCREENED, false),
            (403, Some(21), false, LATE, DECLINED, false),
            (408, Some(18), false, LATE, NoAnswer, false),
            (408, Some(19), false, LATE, NoAnswer, false),
            (486, Some(34), false, SOON, Congestion, false),
            (500, Some(41), false, SOON, Congestion, true),
            (403, Some(38), false, SOON, Congestion, true),
            // Causes that say nothing leave it to the code.
            (486, Some(16), false, SOON, Busy, false),
            (503, Some(31), false, SOON, Congestion, true),
            (403, Some(127), false, SOON, Failed, true),
        ];
        for (code, q850, rang, elapsed, cause, trunk) in rows {
            let verdict = judge(&refused(code, q850), rang, elapsed);
            assert_eq!(verdict, Verdict { cause, trunk }, "{code} {q850:?} rang {rang} after {elapsed:?}");
        }
    }

    #[test]
    fn each_q850_cause_of_the_table_names_its_outcome() {
        for (q850, cause) in [
            (17, Cause::Busy),
            (18, Cause::NoAnswer),
            (19, Cause::NoAnswer),
            (1, Cause::Unreachable),
            (2, Cause::Unreachable),
            (3, Cause::Unreachable),
            (20, Cause::Unreachable),
            (22, Cause::Unreachable),
            (27, Cause::Unreachable),
            (28, Cause::Unreachable),
            (21, Cause::Rejected { screened: false }),
            (34, Cause::Congestion),
            (38, Cause::Congestion),
            (41, Cause::Congestion),
            (42, Cause::Congestion),
            (44, Cause::Congestion),
            (47, Cause::Congestion),
        ] {
            assert_eq!(judge(&refused(699, Some(q850)), false, LATE).cause, cause, "{q850}");
        }
    }

    #[test]
    fn silence_is_the_trunks_and_a_phone_that_rings_out_is_nobodys_fault() {
        for (outcome, cause, trunk) in [
            (Outcome::RingTimeOver, Cause::NoAnswer, false),
            (Outcome::Silent, Cause::Failed, true),
            (Outcome::NotCarried, Cause::Failed, true),
        ] {
            assert_eq!(judge(&outcome, false, LATE), Verdict { cause, trunk });
        }
    }

    #[test]
    fn the_reason_header_is_read_in_all_its_forms() {
        let rows: [(&[&str], Option<u8>); 8] = [
            (&["Q.850;cause=17;text=\"User busy\""], Some(17)),
            (&["q.850 ; text=\"x\" ; CAUSE = 21"], Some(21)),
            (&["SIP;cause=200;text=\"Call completed elsewhere\", Q.850;cause=19"], Some(19)),
            (&["SIP;cause=486", "Q.850;cause=34"], Some(34)),
            (&["SIP;cause=486"], None),
            (&["Q.850"], None),
            (&["Q.850;cause=seventeen"], None),
            (&["Q.850;cause=1700"], None),
        ];
        for (values, expected) in rows {
            assert_eq!(q850(values.iter().copied()), expected, "{values:?}");
        }
    }
}
