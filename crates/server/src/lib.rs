//! The REST API, live events and pages over a store and, where it dispatches, an engine.
//!
//! Keeps: a refusal changes nothing and says what to do ([`problem`]); who may do what is one table
//! ([`auth`]). Leaves every rule of campaigns to `campaign` and `store`.

mod answers;
mod api;
mod auth;
mod body;
pub mod config;
mod connections;
pub mod forward;
mod idempotency;
pub mod import;
mod late;
mod limits;
mod live;
#[expect(clippy::unused_self, reason = "templates call them as methods")]
mod pages;
pub mod permission;
mod place;
mod problem;
pub mod reach;
mod rest;
pub mod secret;
mod shapes;
pub mod sounds;
mod spreadsheet;
mod trial;
mod tries;
pub mod uploads;
mod view;
pub mod webhook;

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use axum::{Router, extract::DefaultBodyLimit, middleware};
use campaign::{CampaignId, Msisdn};
pub use connections::serve;
use engine::{Handle, Phase};
use store::{By, Campaign, Cursor, DeliveryFilter, DeliveryRow, Pace, Place, Store};

use crate::{config::Config, live::Live, problem::Telling, trial::Trials, tries::Tries};

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The data.
    pub store: Store,
    /// The engine of this process, once it dispatches.
    pub engine: Arc<OnceLock<Handle>>,
    config: Arc<Config>,
    live: Arc<Live>,
    /// The identity of this process for others on the same data, once it dispatches.
    secret: Arc<OnceLock<String>>,
    tries: Arc<Tries>,
    trials: Arc<Trials>,
    /// The sounds of scripts, where this process renders them.
    pub prompts: Arc<OnceLock<Arc<voice::Prompts>>>,
}

impl App {
    /// Makes the app over `store`; the engine may come later.
    pub fn new(store: Store) -> Self {
        Self::with(store, Config::default())
    }

    /// Makes the app over `store`, served as `config` says.
    pub fn with(store: Store, config: Config) -> Self {
        Self {
            store,
            engine: Arc::default(),
            config: Arc::new(config),
            live: Arc::default(),
            secret: Arc::default(),
            tries: Arc::default(),
            trials: Arc::default(),
            prompts: Arc::default(),
        }
    }

    /// Tells other processes on the same data to pass their requests on to this one, which dispatches and listens
    /// there.
    ///
    /// # Errors
    /// Where the folder cannot be written to.
    pub fn announce(&self, listens: SocketAddr) -> store::Result<()> {
        forward::announce(self, listens)
    }

    /// The pace of the speech engine, where this process has one.
    pub(crate) fn pace(&self) -> Option<Pace> {
        self.prompts.get()?.pace().map(Pace)
    }

    /// Stops a campaign; returns when the barrier holds. Calls that are up go on, unless they are to be hung up.
    pub(crate) async fn stop(&self, id: CampaignId, hang_up: bool, by: By) -> store::Result<()> {
        match self.engine.get() {
            Some(engine) => {
                engine.stop(id, by).await?;
                if hang_up {
                    engine.hang_up(id);
                }
                Ok(())
            }
            // Where nothing dispatches nothing is handed over, and no process begins to meanwhile.
            None => self.store.stop(id, by).await.map(drop),
        }
    }

    /// Ends the calls of a campaign that are up.
    pub(crate) async fn hang_up(&self, id: CampaignId, by: By) -> store::Result<Campaign> {
        let campaign = self.store.note_hang_up(id, by).await?;
        if let Some(engine) = self.engine.get() {
            engine.hang_up(id);
        }
        Ok(campaign)
    }

    /// A campaign, its calls told apart as far as this process knows.
    pub(crate) fn with_live(&self, mut campaign: Campaign) -> Campaign {
        if let Some(engine) = self.engine.get() {
            let live = engine.live(campaign.id);
            campaign.tell_apart(live.count(Phase::Ringing), live.count(Phase::InProgress));
        }
        campaign
    }

    /// A page of deliveries, calls that are up told apart as far as this process knows. Where the filter asks for calls
    /// of one phase, a page has fewer rows than there was room for.
    pub(crate) async fn deliveries(
        &self,
        id: CampaignId,
        filter: DeliveryFilter,
        limit: usize,
    ) -> store::Result<(Vec<DeliveryRow>, Option<Cursor>)> {
        let asked = filter.outcome;
        let (mut rows, next) = self.store.deliveries(id, filter, limit).await?;
        let is_up = |place| matches!(place, Place::Dialing | Place::Ringing | Place::InProgress);
        if !rows.iter().any(|row| is_up(row.outcome)) {
            return Ok((rows, next));
        }
        let live = self.engine.get().map(|engine| engine.live(id)).unwrap_or_default();
        for row in rows.iter_mut().filter(|row| is_up(row.outcome)) {
            let phase = Msisdn::from_address(&row.number).and_then(|number| live.0.get(&number));
            row.outcome = phase.map_or(Place::Dialing, |phase| (*phase).into());
        }
        rows.retain(|row| asked.is_none_or(|asked| !is_up(asked) || asked == row.outcome));
        Ok((rows, next))
    }

    /// One delivery, as [`App::deliveries`] has it; none where there is no such delivery.
    pub(crate) async fn delivery(&self, id: CampaignId, at: Cursor) -> store::Result<Option<DeliveryRow>> {
        let filter =
            DeliveryFilter { message: Some(at.message), from: Some(at), ..DeliveryFilter::default() };
        let (rows, _) = self.deliveries(id, filter, 1).await?;
        Ok(rows.into_iter().find(|row| row.id == at))
    }

    /// Has the engine connect routes with their present settings.
    pub(crate) fn routes_changed(&self) {
        if let Some(engine) = self.engine.get() {
            engine.routes_changed();
        }
    }
}

/// Everything that is served.
pub fn router(app: App) -> Router {
    let telling = Telling { page: pages::refused };
    let (api, openapi) = api::routes();
    let api = api
        .layer(middleware::from_fn_with_state(app.clone(), idempotency::keyed))
        .layer(DefaultBodyLimit::max(limits::LARGEST_JSON));
    let router = Router::new()
        .merge(api)
        .merge(api::open(openapi))
        .merge(pages::routes().layer(DefaultBodyLimit::max(limits::LARGEST_FORM)))
        .layer(middleware::from_fn_with_state((app.clone(), telling), auth::guard))
        .fallback(api::nothing_here)
        .layer(middleware::from_fn_with_state((app.clone(), telling), forward::one_master))
        .layer(middleware::from_fn(rest::read))
        .with_state(app);
    answers::all(router)
}
