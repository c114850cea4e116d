//! What a phone does with a call: decided by the seed and the number alone.

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use rsipstack::sip::StatusCode;
use voice::audio::Pcm;

use super::{MACHINE_RECORDS, sounds};

/// How phones behave. Shares are of all numbers and are taken in this order; the rest picks up.
#[derive(Debug, Clone)]
pub struct PhoneProfile {
    /// Decides, with the number, what each phone does.
    pub seed: u64,
    /// The longest time that a phone rings before it is picked up.
    pub answer_within: Duration,
    /// The share that is busy.
    pub busy: f64,
    /// The share that nobody picks up.
    pub no_answer: f64,
    /// The share that declines.
    pub rejected: f64,
    /// The share of numbers that do not exist.
    pub unreachable: f64,
    /// The share of calls that the trunk fails with 503.
    pub failed: f64,
    /// The keys that a person may press, one after the other; empty: none.
    pub keys: String,
    /// The share of those who pick up that press keys.
    pub presses: f64,
    /// The share of those who pick up that hang up by themselves, within ten seconds.
    pub hangs_up: f64,
    /// How long an agent talks before hanging up. Whoever is called by a name and not by a number is an agent: none of
    /// the shares is theirs, each picks up.
    pub agent_talks: Duration,
    /// The share of those who pick up that say a word, as people do.
    pub speaks: f64,
    /// The share of those who pick up that are machines: a greeting, a beep, and silence until they hang up.
    pub machines: f64,
    /// The share of those who pick up that send no sound.
    pub one_way: f64,
    /// The calls that the trunk takes in a second; of more, each is answered 503 with Retry-After.
    pub rate_per_second: Option<u32>,
    /// After how many calls the trunk is gone, in the middle of everything; none: never.
    pub dies_after: Option<u64>,
    /// Whether the trunk refuses us: 403 to all that is asked.
    pub refuses: bool,
    /// How much of what each phone hears is kept; none: nothing.
    pub record: Option<Duration>,
    /// The UDP ports of sound.
    pub media_ports: String,
}

impl Default for PhoneProfile {
    fn default() -> Self {
        Self {
            seed: 1,
            answer_within: Duration::from_millis(200),
            busy: 0.0,
            no_answer: 0.0,
            rejected: 0.0,
            unreachable: 0.0,
            failed: 0.0,
            keys: String::new(),
            presses: 0.0,
            hangs_up: 0.0,
            agent_talks: Duration::from_secs(20),
            speaks: 0.0,
            machines: 0.0,
            one_way: 0.0,
            rate_per_second: None,
            dies_after: None,
            refuses: false,
            record: None,
            media_ports: "30000-40000".to_owned(),
        }
    }
}

/// What one phone does with a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Behaviour {
    Refuses(StatusCode),
    RingsOut,
    Answers(Answers),
}

/// What happens once a phone is picked up.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Answers {
    /// How long it rings.
    pub(super) after: Duration,
    /// The keys that are pressed.
    pub(super) keys: String,
    /// When it is hung up by itself.
    pub(super) hangs_up_after: Option<Duration>,
    /// What is said first, one behind the other.
    pub(super) says: Option<Vec<Pcm>>,
    /// Whether no sound comes from it.
    pub(super) one_way: bool,
}

impl PhoneProfile {
    pub(super) fn behaviour(&self, number: &str) -> Behaviour {
        let digits =
            number.bytes().fold(self.seed, |seed, c| seed.wrapping_mul(1_099_511_628_211) ^ u64::from(c));
        let mut rng = StdRng::seed_from_u64(digits);
        if number.contains(char::is_alphabetic) {
            let after = self.answer_within.mul_f64(rng.random());
            let hangs_up_after = Some(self.agent_talks);
            return Behaviour::Answers(Answers { after, hangs_up_after, ..Answers::default() });
        }
        let mut chance: f64 = rng.random();
        let mut falls = |share: f64| {
            let falls = chance < share;
            chance -= share;
            falls
        };
        if falls(self.busy) {
            return Behaviour::Refuses(StatusCode::BusyHere);
        }
        if falls(self.no_answer) {
            return Behaviour::RingsOut;
        }
        if falls(self.rejected) {
            return Behaviour::Refuses(StatusCode::Decline);
        }
        if falls(self.unreachable) {
            return Behaviour::Refuses(StatusCode::NotFound);
        }
        if falls(self.failed) {
            return Behaviour::Refuses(StatusCode::ServiceUnavailable);
        }
        let after = self.answer_within.mul_f64(rng.random());
        let mut is = |share: f64| rng.random_bool(share.clamp(0.0, 1.0));
        let (presses, hangs_up, machine) = (is(self.presses), is(self.hangs_up), is(self.machines));
        let (speaks, one_way) = (is(self.speaks), is(self.one_way));
        let leaves_after = Duration::from_secs(10).mul_f64(rng.random());
        Behaviour::Answers(if machine {
            let says = vec![sounds::greeting(&mut rng), sounds::beep()];
            let ends = says.iter().map(Pcm::length).sum::<Duration>() + MACHINE_RECORDS;
            Answers { after, hangs_up_after: Some(ends), says: Some(says), one_way, ..Answers::default() }
        } else {
            Answers {
                after,
                keys: if presses { self.keys.clone() } else { String::new() },
                hangs_up_after: hangs_up.then_some(leaves_after),
                says: speaks.then(|| vec![sounds::word(&mut rng)]),
                one_way,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_and_the_number_decide_and_the_shares_hold() {
        let profile = PhoneProfile {
            busy: 0.1,
            no_answer: 0.2,
            rejected: 0.05,
            unreachable: 0.05,
            ..PhoneProfile::default()
        };
        let all: Vec<Behaviour> =
            (0..10_000).map(|n| profile.behaviour(&format!("+1202555{n:04}"))).collect();
        let agent = profile.behaviour("agents");
        assert!(
            matches!(&agent, Behaviour::Answers(answers) if answers.hangs_up_after == Some(profile.agent_talks))
        );
        assert!((0..100).all(|n| all[n] == profile.behaviour(&format!("+1202555{n:04}"))));
        for (behaviour, share) in [
            (Behaviour::Refuses(StatusCode::BusyHere), 0.1),
            (Behaviour::RingsOut, 0.2),
            (Behaviour::Refuses(StatusCode::Decline), 0.05),
            (Behaviour::Refuses(StatusCode::NotFound), 0.05),
        ] {
            let count = all.iter().filter(|one| **one == behaviour).count() as f64 / all.len() as f64;
            assert!((count - share).abs() < 0.02, "{behaviour:?}: {count}");
        }
    }
}
