//! What is left of a body when its request has been answered: read to its end, within bounds, so that a client that is
//! still sending reads the answer instead of a broken connection. A body that is too large is answered before it is read.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, BodyDataStream, Bytes, HttpBody as _},
    extract::Request,
    http::header,
    middleware::Next,
    response::Response,
};
use futures::{Stream, StreamExt as _};

use crate::limits::{REST, REST_WITHIN};

/// A body whose rest is read when nobody wants it any more.
struct Rest(Option<BodyDataStream>);

impl Stream for Rest {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let next = body.poll_next_unpin(cx);
        if !matches!(next, Poll::Pending | Poll::Ready(Some(Ok(_)))) {
            self.0 = None;
        }
        next
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        if let (Some(mut body), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(REST_WITHIN, async move {
                let mut left = REST;
                while let Some(Ok(part)) = body.next().await
                    && part.len() <= left
                {
                    left -= part.len();
                }
            }));
        }
    }
}

/// Reads what a request leaves of its body.
pub(crate) async fn read(request: Request, next: Next) -> Response {
    // Whoever waits to be told to go on sends nothing that is in the way.
    if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return next.run(request).await;
    }
    next.run(request.map(|body| Body::from_stream(Rest(Some(body.into_data_stream()))))).await
}
