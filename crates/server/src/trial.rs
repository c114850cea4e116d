//! Tests: one message or call to a phone of one's own, outside all campaigns and totals. Opt-outs hold for it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use campaign::{
    Msisdn, RouteId, SendAs, Sender,
    text::{RenderError, Text},
};
use engine::{CallRow, TestCall};
use store::{Definition, StoreError};

use crate::{
    App,
    auth::Caller,
    problem::{Answer, Problem},
};

/// The names of a contact's fields, and their values in the same order.
pub(crate) type Fields = (Arc<[String]>, Vec<Option<String>>);

/// The most tests of one person within an hour.
const MOST: usize = 10;
const AN_HOUR: Duration = Duration::from_secs(3_600);
/// The most people whose tests are remembered; of more, those of the last hour alone are kept.
const REMEMBERED: usize = 10_000;
/// How long to wait for what is wrong with a call before it is left to itself.
const SOON: Duration = Duration::from_secs(2);

/// When each person last made tests.
#[derive(Default)]
pub(crate) struct Trials(Mutex<HashMap<String, VecDeque<Instant>>>);

impl Trials {
    /// Counts a test of `person` at `now`; returns whether there may be one.
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

/// Reads the number of a phone.
pub(crate) fn number(field: &str, text: &str) -> Answer<Msisdn> {
    Msisdn::parse(text, None).map_err(|e| Problem::field(field, e))
}

/// As whom a campaign sends or calls: of a pool, its first.
pub(crate) async fn sender(app: &App, d: &Definition, field: &'static str) -> Answer<Arc<Sender>> {
    let sender = match d.content.send_as() {
        Some(SendAs::One(sender)) => Some(sender.clone()),
        Some(SendAs::Pool(id)) => {
            app.store.pool(*id).await?.config.senders.into_iter().next().map(|one| one.sender)
        }
        None => None,
    };
    let missing = if field == "caller_id" { "choose the number that phones show" } else { "choose a sender" };
    sender.map(Arc::new).ok_or_else(|| Problem::field(field, missing))
}

impl App {
    /// The fields of a contact, named by its number; none: nobody's.
    pub(crate) async fn fields_of(&self, contact: Option<&str>) -> Answer<Fields> {
        let fields = match contact {
            Some(contact) => self.store.contact(number("as", contact)?).await?.fields,
            None => Vec::new(),
        };
        let (names, values): (Vec<_>, Vec<_>) =
            fields.into_iter().map(|(name, value)| (name, Some(value))).unzip();
        Ok((names.into(), values))
    }

    /// Sends one text to a phone, rendered as for a contact.
    ///
    /// # Errors
    /// Names the field `to`, `as`, `message`, `route_id` or `sender`; 429 where the person has made many tests.
    pub(crate) async fn try_message(
        &self,
        caller: &Caller,
        d: &Definition,
        text: &Text,
        to: Msisdn,
        contact: Option<&str>,
    ) -> Answer<()> {
        let route =
            d.route_id.ok_or_else(|| Problem::field("route_id", "choose the route that carries it"))?;
        let sender = sender(self, d, "sender").await?;
        let (names, values) = self.fields_of(contact).await?;
        let text = text.render(&names, values).map_err(|why| match why {
            RenderError::MissingField => {
                Problem::field("as", "choose a contact who has the fields that the text needs")
            }
            RenderError::Broken(why) => Problem::field("message", why),
        })?;
        if !self.trials.begin(&caller.name, Instant::now()) {
            return Err(Problem::too_many(format!("{MOST} tests an hour are enough: wait a while")));
        }
        let sent = self.store.test_send(route, (*sender).clone(), to, text.to_string(), caller.by()).await;
        sent.map_err(|e| match e {
            StoreError::Invalid(problems) => {
                let beside = |p: store::Problem| match p.field.as_str() {
                    "number" => store::Problem { field: "to".to_owned(), ..p },
                    "text" => store::Problem { field: "message".to_owned(), ..p },
                    _ => p,
                };
                StoreError::Invalid(problems.into_iter().map(beside).collect())
            }
            other => other,
        })?;
        if let Some(engine) = self.engine.get() {
            engine.look();
        }
        Ok(())
    }

    fn trial(&self, person: &str, route: RouteId) -> Answer<Arc<dyn engine::Route>> {
        let known = self.engine.get().and_then(|engine| engine.route(route));
        let known = known.ok_or_else(|| Problem::conflict("the route is disabled, or not started yet"))?;
        if self.trials.begin(person, Instant::now()) {
            Ok(known)
        } else {
            Err(Problem::too_many(format!("{MOST} tests an hour are enough: wait a while")))
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
