//! Test calls: one call to a phone of one's own, outside all campaigns and totals. Opt-outs hold for it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use campaign::RouteId;
use engine::{CallRow, TestCall};

use crate::{
    App,
    problem::{Answer, Problem},
};

/// The most test calls of one person within an hour.
const MOST: usize = 10;
const AN_HOUR: Duration = Duration::from_secs(3_600);
/// The most people whose test calls are remembered; of more, those of the last hour alone are kept.
const REMEMBERED: usize = 10_000;
/// How long to wait for what is wrong with a call before it is left to itself.
const SOON: Duration = Duration::from_secs(2);

/// When each person last made test calls.
#[derive(Default)]
pub(crate) struct Trials(Mutex<HashMap<String, VecDeque<Instant>>>);

impl Trials {
    /// Counts a test call of `person` at `now`; returns whether there may be one.
    fn begin(&self, person: &str, now: Instant) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = |at: &Instant| now.duration_since(*at) < AN_HOUR;
        if all.len() >= REMEMBERED {
            all.retain(|_, made| made.back().is_some_and(lately));
        }
        let made = all.entry(person.to_owned()).or_default();
        made.retain(lately);
        let may = made.len() < MOST;
        if may {
            made.push_back(now);
        }
        may
    }
}

impl App {
    fn trial(&self, person: &str, route: RouteId) -> Answer<Arc<dyn engine::Route>> {
        let known = self.engine.get().and_then(|engine| engine.route(route));
        let known = known.ok_or_else(|| Problem::conflict("the route is disabled, or not started yet"))?;
        if self.trials.begin(person, Instant::now()) {
            Ok(known)
        } else {
            Err(Problem::too_many(format!("{MOST} test calls an hour are enough: wait a while")))
        }
    }

    /// Makes a test call for `person`, and returns what became of it.
    pub(crate) async fn try_call(&self, person: &str, route: RouteId, call: TestCall) -> Answer<CallRow> {
        self.trial(person, route)?.try_call(call).await.map_err(|why| Problem::field("number", why))
    }

    /// Begins a test call for `person`, which goes on by itself.
    pub(crate) async fn begin_call(&self, person: &str, route: RouteId, call: TestCall) -> Answer<()> {
        let route = self.trial(person, route)?;
        let call = tokio::spawn(async move { route.try_call(call).await });
        match tokio::time::timeout(SOON, call).await {
            Ok(ended) => ended.map_err(Problem::broken)?.map(drop).map_err(|why| Problem::field("to", why)),
            Err(_goes_on) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_ten_an_hour_and_others_have_theirs() {
        let (trials, now) = (Trials::default(), Instant::now());
        assert_eq!((0..20).filter(|_| trials.begin("ana", now)).count(), 10);
        assert!(trials.begin("ben", now));
        assert!(!trials.begin("ana", now + Duration::from_secs(3_599)));
        assert_eq!((0..20).filter(|_| trials.begin("ana", now + AN_HOUR)).count(), 10);
    }
}
