//! Connections: how many there are at a time, and how long each may take to send and to read.
//!
//! Keeps: clients that are slow, silent or many take up no more than their connections; nobody holds one for ever
//! without sending or reading something.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_io_timeout::TimeoutStream;
use tower_http::timeout::TimeoutBody;
use tower_service::Service as _;

use crate::{
    App,
    config::Config,
    late::Late,
    limits::{LARGEST_HEAD, MOST_HEADERS},
    router,
};

/// How long to accept nothing when the system has run out of something, such as file handles.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Serves for as long as this is awaited.
///
/// # Errors
/// None caused by a single connection.
pub async fn serve(listener: TcpListener, app: App) -> io::Result<()> {
    let config = app.config.clone();
    let room = Arc::new(Semaphore::new(config.connections));
    let router = router(app);
    loop {
        // Clients beyond these wait in the system's own queue.
        let room = room.clone().acquire_owned().await.map_err(io::Error::other)?;
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (router, config) = (router.clone(), config.clone());
                tokio::spawn(async move {
                    let _room = room;
                    if let Err(e) = connection(stream, peer, router, &config).await {
                        tracing::debug!(%peer, error = %e, "a connection broke off");
                    }
                });
            }
            // An error of this client alone: it went before it was accepted.
            Err(e)
                if matches!(e.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) => {}
            Err(e) => {
                tracing::error!(error = %e, "no connection can be accepted at this moment");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    config: &Config,
) -> hyper::Result<()> {
    let _ = stream.set_nodelay(true);
    // The head and the body bound how long reading takes: between them, a listener to events is silent for hours.
    let mut stream = TimeoutStream::new(Late::from(stream));
    stream.set_write_timeout(Some(config.pause));
    let pause = config.pause;
    let answer = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(|body| Body::new(TimeoutBody::new(pause, body)));
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().call(request)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(config.head_within)
        .max_buf_size(LARGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(Box::pin(stream)), answer)
        .await
}
