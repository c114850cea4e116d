//! Live events: changes as server-sent events. The changes of a quarter of a second are sent together, so that a
//! campaign at full speed costs a page four updates a second.
//!
//! Keeps: one reader serves all listeners, reads each change once and exists only while somebody listens; nobody
//! listens longer than they may ([`Grant`]); listeners, and the events that wait for them, are bounded.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, stream};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use store::{ActorId, Change, Grant, Role};
use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        oneshot,
    },
    time::MissedTickBehavior,
};

use crate::{
    App,
    auth::Caller,
    limits::EVENTS_BEHIND,
    problem::{Answer, Problem},
    view::{CampaignView, RouteView},
};

/// How soon a page that lost its connection tries again.
const RETRY: Duration = Duration::from_millis(500);
/// How long changes are gathered.
const GATHER: Duration = Duration::from_millis(250);
/// How often to look at routes, whose traffic is no change in the store, and at whether all listeners still may listen.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// An event as all listeners get it.
#[derive(Debug, Clone)]
struct Told {
    name: &'static str,
    data: Arc<str>,
}

impl Told {
    fn new(name: &'static str, data: &impl Serialize) -> Option<Self> {
        let data = serde_json::to_string(data).ok()?;
        Some(Self { name, data: data.into() })
    }

    fn event(&self) -> Event {
        Event::default().event(self.name).data(&self.data)
    }
}

/// The listeners.
#[derive(Debug)]
pub(crate) struct Live {
    told: broadcast::Sender<Told>,
    who: Mutex<Who>,
}

#[derive(Debug, Default)]
struct Who {
    next: u64,
    listeners: HashMap<u64, Listener>,
    /// Whether changes are being read for them.
    is_read: bool,
}

#[derive(Debug)]
struct Listener {
    id: ActorId,
    grant: Grant,
    role: Role,
    /// Dropping this ends the stream.
    _ends: oneshot::Sender<Infallible>,
}

impl Default for Live {
    fn default() -> Self {
        Self { told: broadcast::Sender::new(EVENTS_BEHIND), who: Mutex::default() }
    }
}

impl Live {
    fn who(&self) -> MutexGuard<'_, Who> {
        self.who.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the streams whose permission has changed since they began.
    async fn look_at_grants(&self, app: &App) {
        let (ids, asked): (Vec<u64>, Vec<(Grant, Role)>) =
            self.who().listeners.iter().map(|(id, l)| (*id, (l.grant.clone(), l.role))).unzip();
        let grants = asked.iter().map(|(grant, _)| grant.clone()).collect();
        // They are looked at again in a moment.
        let Ok(roles) = app.store.granted(grants, Timestamp::now()).await else { return };
        let mut who = self.who();
        for ((id, (_, before)), now) in ids.iter().zip(asked).zip(roles) {
            if now != Some(before) {
                who.listeners.remove(id);
            }
        }
    }
}

/// While this exists, changes are read for the listeners. If it goes without having rested, it ends their streams: they
/// return, and another one begins.
struct Reader {
    app: App,
    rests: bool,
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.rests {
            let mut who = self.app.live.who();
            who.is_read = false;
            who.listeners.clear();
        }
    }
}

impl Reader {
    /// Sends changes until nobody listens.
    async fn run(mut self, mut changes: broadcast::Receiver<Change>) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut routes = None;
        while !self.may_rest() {
            let first = tokio::select! {
                change = changes.recv() => change,
                _ = look.tick() => {
                    self.app.live.look_at_grants(&self.app).await;
                    self.look_at_routes(&mut routes).await;
                    continue;
                }
            };
            let mut gathered = BTreeSet::new();
            let mut missed = false;
            match first {
                Ok(change) => drop(gathered.insert(change)),
                Err(RecvError::Lagged(_)) => missed = true,
                Err(RecvError::Closed) => return,
            }
            tokio::time::sleep(GATHER).await;
            while !changes.is_empty() {
                match changes.try_recv() {
                    Ok(change) => drop(gathered.insert(change)),
                    Err(_) => missed = true,
                }
            }
            if missed {
                // Too much has changed to say what: the page reloads what it shows.
                self.tell(Told::new("reload", &self.app.store.change_count()));
            }
            for change in gathered {
                self.tell(self.event(change).await);
            }
        }
    }

    /// Whether nobody listens; the next listener begins another reader.
    fn may_rest(&mut self) -> bool {
        let mut who = self.app.live.who();
        self.rests = who.listeners.is_empty();
        who.is_read = !self.rests;
        self.rests
    }

    fn tell(&self, told: Option<Told>) {
        // Nobody may listen any more.
        let _ = told.map(|told| self.app.live.told.send(told));
    }

    async fn event(&self, change: Change) -> Option<Told> {
        match change {
            Change::Campaign(id) => {
                // A campaign that cannot be read at this moment is read with its next change.
                let view = CampaignView::of(&self.app, self.app.store.campaign(id).await.ok()?);
                Told::new("campaign", &view)
            }
            Change::Import(id) => Told::new("import", &json!({"id": id})),
            Change::Webhook(id) => Told::new("webhook", &json!({"id": id})),
        }
    }

    /// Sends the routes if they have changed.
    async fn look_at_routes(&self, before: &mut Option<String>) {
        let Ok(routes) = self.app.store.routes().await else { return };
        let now: Vec<RouteView> = routes.into_iter().map(|route| RouteView::of(&self.app, route)).collect();
        let now = serde_json::to_string(&now).ok();
        if before.is_some() && now != *before {
            self.tell(Told::new("routes", &json!({})));
        }
        *before = now;
    }
}

/// A stream of events.
struct Listening {
    app: App,
    number: u64,
    told: broadcast::Receiver<Told>,
    ends: oneshot::Receiver<Infallible>,
    /// The first event.
    ready: VecDeque<Event>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.app.live.who().listeners.remove(&self.number);
    }
}

impl Listening {
    /// Begins to listen, if there is room.
    fn begin(app: App, caller: &Caller) -> Answer<Self> {
        let (ends, ended) = oneshot::channel();
        let live = app.live.clone();
        let mut who = live.who();
        if who.listeners.values().filter(|l| l.id == caller.id).count() >= app.config.listeners_of_one {
            let most = app.config.listeners_of_one;
            return Err(Problem::too_many(format!(
                "{} has {most} streams of events open, which is the most; close one first",
                caller.name
            )));
        }
        if who.listeners.len() >= app.config.listeners {
            return Err(Problem::busy("as many listen to events as this server takes; try again later"));
        }
        let number = who.next;
        who.next += 1;
        let listener =
            Listener { id: caller.id, grant: caller.grant.clone(), role: caller.role, _ends: ends };
        who.listeners.insert(number, listener);
        let told = live.told.subscribe();
        if !std::mem::replace(&mut who.is_read, true) {
            // Subscribes before the count of changes is sent, so that none is missed.
            let changes = app.store.changes();
            tokio::spawn(Reader { app: app.clone(), rests: false }.run(changes));
        }
        drop(who);
        // Sent at once, so that a page that connects learns what it missed since it was loaded; routes are no change.
        let reload = reload(&app).retry(RETRY);
        let routes = Event::default().event("routes").data("{}");
        Ok(Self { app, number, told, ends: ended, ready: [reload, routes].into() })
    }

    /// The next event; none once the stream is over.
    async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.ready.pop_front() {
            return Some(event);
        }
        tokio::select! {
            biased;
            _ = &mut self.ends => None,
            told = self.told.recv() => match told {
                Ok(told) => Some(told.event()),
                Err(RecvError::Lagged(_)) => Some(reload(&self.app)),
                Err(RecvError::Closed) => None,
            }
        }
    }
}

fn reload(app: &App) -> Event {
    Event::default().event("reload").data(app.store.change_count().to_string())
}

/// What changes: `event: campaign` with the campaign as its data; `import` and `webhook` with the id; `routes`;
/// `reload`, at first and when so much changed that some was missed. Ends when the caller's permission ends or changes.
#[utoipa::path(get, path = "/events", responses((status = 200, content_type = "text/event-stream", body = String), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn events(
    State(app): State<App>,
    caller: Caller,
) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let listening = Listening::begin(app, &caller)?;
    let events = stream::unfold(listening, |mut listening| async {
        listening.next().await.map(|event| (Ok(event), listening))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

#[cfg(test)]
mod tests {
    use store::{By, Store};

    use super::*;

    async fn app() -> (tempfile::TempDir, App, Caller) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store
            .add_token("crm".into(), Role::Admin, "secret", By::new("test", Timestamp::now()))
            .await
            .unwrap();
        let token = store.token("secret").await.unwrap().unwrap();
        let (id, grant) = (ActorId::Token(token.id), Grant::Token(token.id));
        (folder, App::new(store), Caller { id, grant, name: token.name, role: token.role })
    }

    #[tokio::test]
    async fn a_change_is_read_once_for_all_who_listen_and_by_nobody_when_they_have_gone() {
        let (_folder, app, caller) = app().await;
        let mut all: Vec<_> = (0..5).map(|_| Listening::begin(app.clone(), &caller).unwrap()).collect();
        assert!(app.live.who().is_read);
        app.store.create_list("Others".into(), By::new("test", Timestamp::now())).await.unwrap();
        let definition = serde_json::from_value(json!({"channel": "sms", "name": "Storm"})).unwrap();
        app.store.create_campaign(definition, By::new("test", Timestamp::now())).await.unwrap();
        let mut told = Vec::new();
        for listening in &mut all {
            told.push(loop {
                let told = listening.told.recv().await.unwrap();
                if told.name == "campaign" {
                    break told.data;
                }
            });
        }
        assert!(told.iter().all(|data| Arc::ptr_eq(data, &told[0])), "made once");
        drop(all);
        // The reader rests the next time it looks.
        while app.live.who().is_read {
            tokio::task::yield_now().await;
        }
        Listening::begin(app.clone(), &caller).unwrap();
        assert!(app.live.who().is_read, "whoever comes then is read for");
    }

    #[tokio::test]
    async fn whoever_does_not_read_is_told_to_load_anew_and_nothing_is_kept_for_them() {
        let (_folder, app, caller) = app().await;
        let mut slow = Listening::begin(app.clone(), &caller).unwrap();
        slow.ready.clear();
        for n in 0..10 * EVENTS_BEHIND {
            app.live.told.send(Told::new("import", &n).unwrap()).unwrap();
        }
        assert!(slow.told.len() > EVENTS_BEHIND && app.live.told.len() <= EVENTS_BEHIND);
        let next = format!("{:?}", slow.next().await.unwrap());
        assert!(next.contains("reload"), "{next}");
        let mut left = 0;
        while !slow.told.is_empty() {
            drop(slow.next().await.unwrap());
            left += 1;
        }
        assert_eq!(left, EVENTS_BEHIND);
    }
}
