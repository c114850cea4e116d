//! A fault of this program: it ends what it happened in, and nothing else.

use std::{any::Any, panic::AssertUnwindSafe};

use futures::FutureExt;

/// Runs `what` to its end, or to a panic in it, which is returned in words. What `what` shares with others must be sound
/// after a panic anywhere in it.
pub(crate) async fn contained<T>(what: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(what).catch_unwind().await.map_err(|panic| words(&*panic))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_what_it_happens_in_and_is_told_in_words() {
        let place = 7;
        assert_eq!(contained(async { place }).await, Ok(7));
        let after_a_wait = contained(async {
            tokio::task::yield_now().await;
            assert_eq!(place, 8, "the {place}th");
        });
        assert!(after_a_wait.await.unwrap_err().contains("the 7th"));
        assert_eq!(contained(async { panic!("plain") }).await.map(|()| 0), Err("plain".to_owned()));
        let odd = contained(async { std::panic::panic_any(5) }).await.map(|()| 0);
        assert_eq!(odd, Err("a panic without words".to_owned()));
    }
}
