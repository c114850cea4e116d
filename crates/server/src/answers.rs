//! Headers of every answer, whatever made it: a page, the API, a file, a refusal by the router or by axum itself, a
//! handler that panicked.

use std::any::Any;

use axum::{
    Router,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use tower_http::{catch_panic::CatchPanicLayer, set_header::SetResponseHeaderLayer};

use crate::problem::Problem;

/// Tells a browser to take an answer for what it says it is, never for what its bytes look like.
const AS_DECLARED: HeaderValue = HeaderValue::from_static("nosniff");

/// `router` with the headers that all its answers have.
pub(crate) fn all(router: Router) -> Router {
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(SetResponseHeaderLayer::overriding(header::X_CONTENT_TYPE_OPTIONS, AS_DECLARED))
}

#[expect(clippy::needless_pass_by_value, reason = "as the layer calls it")]
fn panicked(payload: Box<dyn Any + Send>) -> Response {
    let words = payload.downcast_ref::<String>().map(String::as_str);
    let words = words.or_else(|| payload.downcast_ref::<&str>().copied());
    Problem::broken(format_args!("a handler panicked: {}", words.unwrap_or("without words"))).into_response()
}

#[cfg(test)]
mod tests {
    use axum::{body::to_bytes, routing::get};

    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_in_words_that_tell_nothing_of_it() {
        async fn panics() {
            panic!("SELECT password FROM /var/lib/carillon");
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = format!("http://{}/", listener.local_addr().unwrap());
        let app = all(Router::new().route("/", get(panics)));
        tokio::spawn(async { axum::serve(listener, app).await });
        let answer = reqwest::get(at).await.unwrap();
        assert_eq!(answer.status(), 500);
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let body = answer.text().await.unwrap();
        assert!(
            body.contains("see the server's log") && !body.contains("SELECT") && !body.contains("/var"),
            "{body}"
        );
        let silent = to_bytes(panicked(Box::new(7)).into_body(), 10_000).await.unwrap();
        assert!(!silent.is_empty());
    }
}
