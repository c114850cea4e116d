//! The server: API, pages and, if it may dispatch, the engine.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use engine::Engine;
use jiff::Timestamp;
use server::{App, uploads, webhook::Courier};
use sms::SmppRoute;
use store::{RouteKind, Store, StoreError};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
};
use voice::{Equipment, SipRoute};

use crate::{cli, data, telephony};

/// How often to look again at data that may not dispatch: somebody may adopt it.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long the engine has to account for what was handed over, talks included.
const SHUT_DOWN_WITHIN: Duration = Duration::from_millis(9_300);

pub async fn run(options: cli::Serve) -> anyhow::Result<()> {
    let store = Store::open(&options.data.data)?;
    let first = if store.has_users().await? { None } else { Some(first_admin(&store).await?) };
    let speech = (!options.no_dispatch).then_some(&options.speech);
    let server = start(store, &options.web, speech).await?;
    println!("listening on {}", server.address);
    if let Some(secret) = first {
        // Standard output has only the one line that scripts wait for.
        eprintln!(
            "nobody can sign in yet; make the first account at http://{}/welcome/{secret}",
            server.address
        );
    }
    server.until_asked_to_stop().await
}

/// The secret of the one-time link that makes the first admin.
async fn first_admin(store: &Store) -> store::Result<String> {
    let secret = server::secret::new();
    store.invite(store::Role::Admin, &secret, data::by_command()).await?;
    Ok(secret)
}

/// A server that accepts connections.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    app: App,
    web: JoinHandle<std::io::Result<()>>,
    dispatch: Option<JoinHandle<()>>,
    /// Listened for from the very start: anyone who knows the address may ask it to stop.
    terminate: Signal,
    interrupt: Signal,
}

/// Starts serving `store`, and dispatching if it shall, with calls that say what `dispatch` renders.
pub async fn start(store: Store, web: &cli::Web, dispatch: Option<&cli::Speech>) -> anyhow::Result<Server> {
    let listen = web.listen;
    let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}; choose another with --listen"))?;
    let address = listener.local_addr()?;
    let app = App::with(store, web.config());
    let dispatch = if let Some(speech) = dispatch {
        let equipment = telephony::equipment(&app.store, telephony::engine(speech).await)?;
        let _ = app.prompts.set(equipment.prompts.clone());
        // Data that may dispatch does so before the first request is answered.
        let first = begin(&app, &equipment, address).await;
        if let Err(e) = &first
            && !matches!(e, StoreError::MayNotDispatch(_))
        {
            return Err(e.clone().into());
        }
        Some(tokio::spawn(dispatching(app.clone(), equipment, address, first)))
    } else {
        None
    };
    let web = tokio::spawn(server::serve(listener, app.clone()));
    Ok(Server { address, app, web, dispatch, terminate, interrupt })
}

/// An engine, if this process may dispatch from the data. Others on the same data pass their requests on to it.
async fn begin(app: &App, equipment: &Equipment, address: SocketAddr) -> store::Result<Engine> {
    let equipment = equipment.clone();
    let connect: engine::Connect = Box::new(move |route, reports, opt_outs| match &route.config.kind {
        RouteKind::Smpp(smpp) => Arc::new(SmppRoute::start(route.id, smpp, reports, opt_outs)),
        RouteKind::Sip(trunk) => Arc::new(SipRoute::start(trunk, equipment.clone(), reports, opt_outs)),
    });
    // Claims under any other name belong to a process that has ended.
    let now = Timestamp::now();
    let worker = format!("{}-{}", std::process::id(), now.as_nanosecond());
    let engine = Engine::start(app.store.clone(), worker, connect, now).await?;
    uploads::resume(&app.store).await?;
    app.announce(address)?;
    let _ = app.engine.set(engine.handle());
    Ok(engine)
}

async fn dispatching(app: App, equipment: Equipment, address: SocketAddr, first: store::Result<Engine>) {
    let mut next = first;
    let mut said = String::new();
    loop {
        match next {
            Ok(engine) => return beside(&app, engine.run()).await,
            Err(why) => {
                let why = why.to_string();
                if why != said {
                    tracing::warn!("nothing is sent: {why}");
                    said = why;
                }
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        next = begin(&app, &equipment, address).await;
    }
}

/// Sends webhooks their events for as long as `dispatch` runs: only the process that dispatches does, so that a copy of
/// the data sends none.
async fn beside(app: &App, dispatch: impl Future<Output = ()>) {
    match Courier::new(app) {
        Ok(courier) => {
            // In a task of its own: a failure with webhooks stops no message.
            let courier = tokio::spawn(async move { courier.run().await });
            dispatch.await;
            courier.abort();
        }
        Err(e) => {
            tracing::error!(error = %e, "webhooks are not told");
            dispatch.await;
        }
    }
}

/// Returns when the dispatch has ended; never if there is none.
async fn dispatch_ended(dispatch: &mut Option<tokio::task::JoinHandle<()>>) {
    match dispatch {
        Some(dispatch) => {
            let _ = dispatch.await;
        }
        None => std::future::pending().await,
    }
}

impl Server {
    /// Serves until Ctrl-C or SIGTERM; then lets what was handed over be answered.
    ///
    /// # Errors
    /// If the writer or the engine has ended by itself: a program that cannot store or send must not look alive.
    pub async fn until_asked_to_stop(mut self) -> anyhow::Result<()> {
        tokio::select! {
            ended = self.web => return Ok(ended??),
            () = self.app.store.ended() => anyhow::bail!("the writer of the database has ended; see the log, and start again"),
            () = dispatch_ended(&mut self.dispatch) => anyhow::bail!("the engine has ended; see the log, and start again"),
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        if let (Some(dispatch), Some(engine)) = (self.dispatch, self.app.engine.get()) {
            engine.shut_down();
            let _ = tokio::time::timeout(SHUT_DOWN_WITHIN, dispatch).await;
        }
        Ok(())
    }
}
