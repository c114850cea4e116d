//! Attempts to sign in: a number of wrong ones for one address from one place, and for all addresses from one place,
//! then one every few seconds.
//!
//! Keeps: only failures count, and only where they come from, so that knowing an address is not enough to lock its
//! owner out. An attempt counts as failed until it succeeds: neither many at once nor hanging up is free.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{limits::TRIES_KNOWN, place::Place};

/// How many failures are allowed at a time, each for how long.
struct Allowance {
    most: u32,
    forgotten_after: Duration,
}

/// For one address from one place: five, then five a minute.
const OF_PAIR: Allowance = Allowance { most: 5, forgotten_after: Duration::from_secs(12) };
/// For any addresses from one place, which may be a whole office: thirty, then thirty a minute.
const OF_PLACE: Allowance = Allowance { most: 30, forgotten_after: Duration::from_secs(2) };
/// The longest address that an account may have, in bytes (RFC 5321 §4.5.3.1): all longer ones count as one.
const LONGEST_EMAIL: usize = 254;

/// Recent failures.
#[derive(Default)]
pub(crate) struct Tries {
    /// When the failures of an address from a place, or of all addresses from it, will all be forgotten.
    failed: Mutex<HashMap<(Option<String>, Place), Instant>>,
}

impl Tries {
    /// Whether `email` may be tried from `place` at `now`; it counts as failed until it is [forgiven](Self::forgive).
    pub(crate) fn begin(&self, email: &str, place: Place, now: Instant) -> bool {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= TRIES_KNOWN {
            failed.retain(|_, clear| *clear > now);
            // Each failure costs a hash, so this many never come together.
            if failed.len() >= TRIES_KNOWN {
                return false;
            }
        }
        let keys = [(key(email, place), OF_PAIR), ((None, place), OF_PLACE)];
        let clear = |key: &_| failed.get(key).copied().unwrap_or(now).max(now);
        let next = keys.map(|(key, allowed)| (clear(&key) + allowed.forgotten_after, key, allowed));
        if next.iter().any(|(clear, _, allowed)| *clear > now + allowed.forgotten_after * allowed.most) {
            return false;
        }
        failed.extend(next.map(|(clear, key, _)| (key, clear)));
        true
    }

    /// Forgets the failures of `email` from `place`, and this attempt from the place: they have the password.
    pub(crate) fn forgive(&self, email: &str, place: Place) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.remove(&key(email, place));
        if let Some(clear) = failed.get_mut(&(None, place)) {
            *clear = clear.checked_sub(OF_PLACE.forgotten_after).unwrap_or(*clear);
        }
    }
}

/// Addresses are compared like those of accounts.
fn key(email: &str, place: Place) -> (Option<String>, Place) {
    let email = Some(email.trim()).filter(|email| email.len() <= LONGEST_EMAIL).unwrap_or_default();
    (Some(email.to_lowercase()), place)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    impl From<std::net::Ipv4Addr> for Place {
        fn from(address: std::net::Ipv4Addr) -> Self {
            IpAddr::V4(address).into()
        }
    }

    fn place(text: &str) -> Place {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn failures_of_an_address_from_a_place_stop_that_pair_alone_and_are_forgotten() {
        let (tries, now) = (Tries::default(), Instant::now());
        let (here, there) = (place("192.0.2.1"), place("192.0.2.2"));
        let allowed = |now| (0..20).filter(|_| tries.begin("ana@clinic.example", here, now)).count();
        assert_eq!(allowed(now), 5);
        assert!(!tries.begin(" Ana@Clinic.example ", here, now), "however it is spelt");
        assert!(tries.begin("ana@clinic.example", there, now), "its owner, elsewhere");
        assert!(tries.begin("ben@clinic.example", here, now), "others, here");
        assert_eq!(allowed(now + OF_PAIR.forgotten_after), 1);
        assert_eq!(allowed(now + OF_PAIR.forgotten_after * 20), 5);
    }

    #[test]
    fn what_goes_well_counts_nothing_and_forgives_what_failed() {
        let (tries, now, here) = (Tries::default(), Instant::now(), place("2001:db8::1"));
        for _ in 0..100 {
            assert!(tries.begin("ana@clinic.example", here, now));
            tries.forgive("ana@clinic.example", here);
        }
        assert_eq!(
            (0..20).filter(|_| tries.begin("ana@clinic.example", place("2001:db8::2"), now)).count(),
            5
        );
        tries.forgive("ana@clinic.example", here);
        assert!(tries.begin("ana@clinic.example", here, now));
    }

    #[test]
    fn one_place_cannot_try_address_after_address() {
        let (tries, now, here) = (Tries::default(), Instant::now(), place("192.0.2.1"));
        let allowed = (0..100).filter(|i| tries.begin(&format!("{i}@clinic.example"), here, now)).count();
        assert_eq!(allowed, 30);
        assert!(tries.begin("100@clinic.example", place("192.0.2.2"), now));
        assert!(tries.begin("100@clinic.example", here, now + OF_PLACE.forgotten_after));
    }

    #[test]
    fn what_is_known_of_failures_has_a_bound_whatever_is_typed_and_wherever() {
        let (tries, now) = (Tries::default(), Instant::now());
        let long = "x".repeat(1_000_000);
        let place = |i: u32| std::net::Ipv4Addr::from(i).into();
        let refused = (0..u32::MAX).find(|i| !tries.begin(&long, place(*i), now)).unwrap();
        let later = now + OF_PAIR.forgotten_after * 2;
        assert!(tries.begin(&long, place(refused), later), "what is forgotten makes room");
        assert!(tries.failed.lock().unwrap().len() < 10);
        (0..u32::MAX).find(|i| !tries.begin(&long, place(*i), later)).unwrap();
        let failed = tries.failed.lock().unwrap();
        assert!(failed.len() <= TRIES_KNOWN + 1);
        assert!(failed.keys().all(|(email, _)| email.as_ref().is_none_or(String::is_empty)));
    }
}
