//! One folder, one master: a request to a process beside the one that dispatches is passed on to that one. It alone
//! knows what is on its way to a carrier, why campaigns wait and how routes are, and checks opt-outs before every byte.
//!
//! Keeps: nothing is changed beside a process that dispatches. Where that process cannot be reached, a change is
//! refused in words, and a read is answered here. Where nobody dispatches, changes are made here, and no process begins
//! to dispatch in the middle of one ([`store::Hold`]). A change that was begun is finished, whether or not the client
//! still listens.
//!
//! The process that dispatches leaves its addresses and a secret in the folder. Addresses may lead elsewhere (another
//! container, a port that was taken since), so whoever answers there must prove that it knows the secret before it is
//! told anything. A request that was passed on is never passed on again.

use std::{
    fs::File,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use campaign::ImportId;
use futures::stream;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::{By, ImportPlan, ImportTarget, Store, StoreError};
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};

use crate::{
    App,
    problem::{Problem, Telling},
    secret, uploads,
};

/// Where a command hands over a file of contacts; other callers are refused there.
const IMPORT: &str = "/import-by-command";
/// How long the process has to accept a connection, and to prove itself.
const REACHED_WITHIN: Duration = Duration::from_secs(2);

/// The largest answer that is read here, in bytes: that of `/health`, or the state of an import.
const LARGEST_ANSWER: usize = 16 * 1024;

/// How much of a file to read at once, in bytes.
const PIECE: usize = 64 * 1024;

/// Headers of the challenge, and of the proof that answers it.
const CHALLENGE: HeaderName = HeaderName::from_static("carillon-challenge");
const PROOF: HeaderName = HeaderName::from_static("carillon-proof");
/// The header that holds the secret of a request that is passed on.
const PASSED_ON: HeaderName = HeaderName::from_static("carillon-passed-on");
/// The header that names the caller of a request that is passed on.
const PEER: HeaderName = HeaderName::from_static("carillon-peer");
/// Headers about one connection alone (RFC 9110 §7.6.1), or answered by this end of it.
const OF_THE_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    header::EXPECT,
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// The address where a command has a file of contacts imported.
#[derive(Serialize, Deserialize)]
pub struct ByCommand {
    /// The list's name; created if there is none.
    pub list: String,
    /// The country of numbers without a country code, such as US.
    pub country: Option<String>,
}

/// How to reach the process that dispatches.
#[derive(Serialize, Deserialize)]
struct Dispatcher {
    /// The addresses, tried in order.
    addresses: Vec<SocketAddr>,
    secret: String,
}

/// Addresses at which others on this machine, or in other containers, may reach a listener on `address`.
fn reached_at(address: SocketAddr) -> Vec<SocketAddr> {
    let here = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from(Ipv6Addr::LOCALHOST),
        _ => return vec![address],
    };
    // Sends nothing: asks which of this machine's addresses is seen from outside (TEST-NET-1, RFC 5737).
    let outside = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        Ok(socket.local_addr()?.ip())
    });
    std::iter::once(here).chain(outside.ok()).map(|ip| SocketAddr::new(ip, address.port())).collect()
}

/// Writes into the folder how to reach this process, which has the right to dispatch.
pub(crate) fn announce(app: &App, listens: SocketAddr) -> store::Result<()> {
    let secret = app.secret.get_or_init(secret::new).clone();
    let dispatcher = Dispatcher { addresses: reached_at(listens), secret };
    let how = serde_json::to_vec(&dispatcher).map_err(|e| StoreError::Database(e.to_string()))?;
    app.store.announce(&how)
}

fn proof(secret: &str, challenge: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(secret);
    hash.update(challenge);
    format!("{:x}", hash.finalize())
}

/// Whether any process may answer for an address: it is about that process, or the same everywhere.
fn is_of_each_process(path: &str) -> bool {
    path == "/health" || path == "/api/v1/openapi.json" || path.starts_with("/assets/")
}

/// Lets the process that dispatches answer, if that is another process.
pub(crate) async fn one_master(
    State((app, telling)): State<(App, Telling)>,
    mut request: Request,
    next: Next,
) -> Response {
    let in_words = telling.at(request.uri().path());
    let passed_on = take_mark(&app, &mut request);
    let challenge = request.headers_mut().remove(CHALLENGE);
    if is_of_each_process(request.uri().path()) {
        let mut answer = next.run(request).await;
        if let (Some(challenge), Some(secret)) = (challenge, app.secret.get())
            && let Ok(proof) = HeaderValue::try_from(proof(secret, challenge.as_bytes()))
        {
            answer.headers_mut().insert(PROOF, proof);
        }
        return answer;
    }
    let hold = match app.store.hold() {
        Ok(hold) => hold,
        Err(e) => return in_words(e.into()),
    };
    if request.method().is_safe() {
        return match hold {
            Some(_) => next.run(request).await,
            None if passed_on => in_words(just_changed()),
            None => read(&app, request, next).await,
        };
    }
    // The client may hang up: a change that was begun is finished.
    let done = tokio::spawn(async move {
        match hold {
            // What the previous process left, imports and claims, is still being taken up.
            Some(hold) if hold.is_alone() && app.engine.get().is_none() => Err(just_changed()),
            Some(_hold) if passed_on && request.uri().path() == IMPORT => {
                import_by_command(&app.store, request).await
            }
            Some(_hold) => Ok(next.run(request).await),
            None if passed_on => Err(just_changed()),
            None => change(&app, request).await,
        }
    });
    match done.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(problem)) => in_words(problem),
        Err(e) => in_words(Problem::broken(e)),
    }
}

/// Takes in a file that a command on this machine hands over, and begins to import it.
async fn import_by_command(store: &Store, request: Request) -> Result<Response, Problem> {
    let ByCommand { list, country } = serde_html_form::from_str(request.uri().query().unwrap_or_default())
        .map_err(|e| Problem::field("query", e))?;
    let by = By::new("command line", Timestamp::now());
    let plan = ImportPlan { country, by: by.actor.clone(), ..ImportPlan::default() };
    let list = store.list_named(list, by.clone()).await?;
    let state = uploads::take_in(store, ImportTarget::List(list), plan, by, request).await?;
    Ok((StatusCode::ACCEPTED, Json(state)).into_response())
}

fn just_changed() -> Problem {
    Problem::elsewhere("the process that dispatches has just changed: nothing was done. Try again")
}

/// Reads in the process that dispatches if it can be reached, otherwise here.
async fn read(app: &App, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let again = Request::from_parts(parts.clone(), Body::empty());
    let Some((mut connection, secret)) = connect(&app.store).await else { return next.run(again).await };
    match connection.send_request(to_pass_on(parts, body, &secret)).await {
        Ok(answer) => passed_back(answer),
        Err(_) => next.run(again).await,
    }
}

/// Has the process that dispatches change something.
async fn change(app: &App, request: Request) -> Result<Response, Problem> {
    ask(&app.store, request).await.map(passed_back).map_err(Problem::elsewhere)
}

/// The answer of the process that dispatches, or why there is none.
async fn ask(store: &Store, request: Request) -> Result<hyper::Response<hyper::body::Incoming>, String> {
    let Some((mut connection, secret)) = connect(store).await else {
        return Err(
            "another carillon dispatches from this data folder and cannot be reached from here: nothing was \
                    done. Try again, or ask that one"
                .into(),
        );
    };
    let (parts, body) = request.into_parts();
    connection.send_request(to_pass_on(parts, body, &secret)).await.map_err(|e| {
        format!(
            "this was passed on to the carillon that dispatches from this data folder, which did not answer ({e}): it \
             may have been done or not. Look before you try again"
        )
    })
}

/// Has the process that dispatches import a file of contacts, for a command. The import goes on there.
///
/// # Errors
/// Why the import was not begun, in words.
pub async fn hand_over_import(store: &Store, into: &ByCommand, file: File) -> Result<ImportId, String> {
    let query = serde_html_form::to_string(into).map_err(|e| e.to_string())?;
    let body = stream::try_unfold(tokio::fs::File::from_std(file), |mut file| async {
        let mut piece = vec![0; PIECE];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        Ok::<_, io::Error>((read > 0).then_some((piece, file)))
    });
    let request = Request::post(format!("{IMPORT}?{query}")).header(header::HOST, "localhost");
    let request = request.body(Body::from_stream(body)).map_err(|e| e.to_string())?;
    let answer = ask(store, request).await?;
    let begun = answer.status().is_success();
    let bytes = to_bytes(Body::new(answer.into_body()), LARGEST_ANSWER).await.map_err(|e| e.to_string())?;
    let answer: serde_json::Value = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
    let word = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    if begun {
        word("id").parse().map_err(|_| "the answer names no import".to_owned())
    } else {
        Err(word("detail"))
    }
}

fn passed_back(answer: hyper::Response<hyper::body::Incoming>) -> Response {
    let (mut parts, body) = answer.into_parts();
    strip(&mut parts.headers);
    Response::from_parts(parts, Body::new(body))
}

/// Removes the marks of a request that was passed on, and returns whether it was: by a process of this folder, as it
/// knows the secret. Only such a process is believed about the real caller.
fn take_mark(app: &App, request: &mut Request) -> bool {
    let (peer, mark) = (request.headers_mut().remove(PEER), request.headers_mut().remove(PASSED_ON));
    let known = app.secret.get().zip(mark).is_some_and(|(secret, mark)| mark.as_bytes() == secret.as_bytes());
    if known && let Some(peer) = peer.and_then(|peer| peer.to_str().ok()?.parse::<SocketAddr>().ok()) {
        request.extensions_mut().insert(ConnectInfo(peer));
    }
    known
}

/// A connection to the process that dispatches, which has proven its identity, and its secret.
async fn connect(store: &Store) -> Option<(SendRequest<Body>, String)> {
    let Dispatcher { addresses, secret } = serde_json::from_slice(&store.announced().ok()?).ok()?;
    for address in addresses {
        match timeout(REACHED_WITHIN, proven(address, &secret)).await {
            Ok(Ok(connection)) => return Some((connection, secret)),
            Ok(Err(e)) => tracing::warn!("the carillon that dispatches is not reached at {address}: {e}"),
            Err(_) => tracing::warn!("the carillon that dispatches does not answer at {address}"),
        }
    }
    None
}

async fn proven(
    address: SocketAddr,
    secret: &str,
) -> Result<SendRequest<Body>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
    // The task ends with the connection.
    tokio::spawn(driver);
    let challenge = secret::new();
    let asked = Request::get("/health")
        .header(header::HOST, address.to_string())
        .header(CHALLENGE, &challenge)
        .body(Body::empty())?;
    let answer = connection.send_request(asked).await?;
    let proven = answer
        .headers()
        .get(PROOF)
        .is_some_and(|p| p.as_bytes() == proof(secret, challenge.as_bytes()).as_bytes());
    if !proven {
        return Err("something else answers there".into());
    }
    // The next request waits until this answer is read.
    to_bytes(Body::new(answer.into_body()), LARGEST_ANSWER).await?;
    connection.ready().await?;
    Ok(connection)
}

/// The request to pass on: to the same address, by the same caller, with the same body, streamed.
fn to_pass_on(mut parts: Parts, body: Body, secret: &str) -> Request {
    strip(&mut parts.headers);
    if let Some(host) = parts.uri.authority()
        && let Ok(host) = HeaderValue::from_str(host.as_str())
    {
        parts.headers.insert(header::HOST, host);
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = path.parse().unwrap_or_default();
    parts.version = Version::HTTP_11;
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.to_string());
    for (name, value) in [(PASSED_ON, Some(secret.to_owned())), (PEER, peer)] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            parts.headers.insert(name, value);
        }
    }
    Request::from_parts(parts, body)
}

/// Removes the headers about one connection alone.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&OF_THE_CONNECTION) {
        headers.remove(name);
    }
}
