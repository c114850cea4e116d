//! What the far end asks of us: requests in a call go to its dialog, OPTIONS is answered, all else is refused. We are
//! called by nobody.

use std::{sync::Arc, time::Duration};

use rsipstack::{
    dialog::dialog_layer::DialogLayer,
    sip::{Header, HeadersExt, Method, StatusCode},
    transaction::{TransactionReceiver, transaction::Transaction},
};
use tokio::sync::Semaphore;

use super::inspect::{self, Calls};

/// The methods that we take.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, NOTIFY";
/// The most requests that are worked on at once; what comes beyond is not answered, and comes again.
const MOST_AT_ONCE: usize = 4_096;
/// A request that overtakes the end of its call's set-up (a BYE right behind the 200) is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(25);
/// As often as that.
const LOOKS: usize = 40;

/// Answers until the endpoint is gone.
pub(super) async fn hear(mut incoming: TransactionReceiver, layer: Arc<DialogLayer>, calls: Arc<Calls>) {
    let room = Arc::new(Semaphore::new(MOST_AT_ONCE));
    while let Some(request) = incoming.recv().await {
        let Ok(permit) = room.clone().try_acquire_owned() else { continue };
        let (layer, calls) = (layer.clone(), calls.clone());
        tokio::spawn(async move {
            if let Err(e) = answer(request, &layer, &calls).await {
                tracing::debug!(error = %e, "a request could not be answered");
            }
            drop(permit);
        });
    }
}

async fn answer(mut request: Transaction, layer: &DialogLayer, calls: &Calls) -> rsipstack::Result<()> {
    let allow = || vec![Header::Allow(ALLOW.into())];
    if inspect::is_strange_version(&request.original) {
        return request.reply(StatusCode::VersionNotSupported).await;
    }
    let in_dialog = request.original.to_header()?.tag()?.is_some();
    match (in_dialog, request.original.method) {
        (true, _) => in_call(&mut request, layer, calls).await,
        (false, Method::Options) => request.reply_with(StatusCode::OK, allow(), None).await,
        (false, _) => request.reply_with(StatusCode::MethodNotAllowed, allow(), None).await,
    }
}

async fn in_call(request: &mut Transaction, layer: &DialogLayer, calls: &Calls) -> rsipstack::Result<()> {
    let id = request.original.call_id_header()?.value().to_owned();
    let mut dialog = layer.match_dialog(request);
    for _ in 0..LOOKS {
        let Some(call) = calls.get(&id).filter(|_| dialog.is_none()) else { break };
        if call.last_final().is_none() {
            return before_the_answer(request).await;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        dialog = layer.match_dialog(request);
    }
    let Some(mut dialog) = dialog else {
        return request.reply(StatusCode::CallTransactionDoesNotExist).await;
    };
    let handled = dialog.handle(request).await;
    if request.last_response.is_none() {
        // The dialog was over when it came: a BYE that crossed ours wants its answer nevertheless.
        let code = match request.original.method {
            Method::Bye => StatusCode::OK,
            _ if handled.is_err() => StatusCode::BadRequest,
            _ => StatusCode::CallTransactionDoesNotExist,
        };
        return request.reply(code).await;
    }
    handled
}

/// A request in a call that is not answered yet, whose dialog the library does not know by the far end's tag. Refused
/// as unknown, the far end would give the call up. A new offer has to wait while ours is open (RFC 3311 §5.2).
async fn before_the_answer(request: &mut Transaction) -> rsipstack::Result<()> {
    let code = match request.original.method {
        Method::Update | Method::Info | Method::Options if request.original.body.is_empty() => StatusCode::OK,
        Method::Update => StatusCode::RequestPending,
        Method::Info => StatusCode::UnsupportedMediaType,
        _ => StatusCode::CallTransactionDoesNotExist,
    };
    // The Request-URI is our Contact: that is how the far end found us.
    let contact = Header::Contact(format!("<{}>", request.original.uri).into());
    request.reply_with(code, vec![Header::Allow(ALLOW.into()), contact], None).await
}
