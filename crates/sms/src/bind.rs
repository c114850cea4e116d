//! One bind: connects, runs a session to its end, and begins again, even where a fault of ours ended it.

use std::{pin::Pin, sync::Arc, task::Poll, time::Duration};

use engine::RouteState;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    time::{Instant, timeout},
};

use crate::{
    connect::{Failed, Reader, Role, Writer, connect},
    fault,
    session::Session,
    shared::{Fence, Shared},
};

/// The wait before the second attempt; each further one is twice as long.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// A bind that lived this long has lasted: after it the waits begin anew.
const LASTING: Duration = Duration::from_secs(2);
/// How often a session looks for what is overdue.
const TICK: Duration = Duration::from_millis(100);
/// The most commands to take in one go before their answers are written.
const READ_AT_ONCE: usize = 256;
/// How long the last octets of a connection may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why a session ended, whether its bind lasted, and from when to when it was up.
struct Ended {
    why: String,
    lasted: bool,
    up: (Instant, Instant),
}

pub(crate) struct Bind {
    at: usize,
    role: Role,
    shared: Arc<Shared>,
    fences: mpsc::UnboundedReceiver<Fence>,
}

impl Bind {
    pub(crate) fn new(
        at: usize,
        role: Role,
        shared: Arc<Shared>,
        fences: mpsc::UnboundedReceiver<Fence>,
    ) -> Self {
        Self { at, role, shared, fences }
    }

    pub(crate) async fn live(mut self) {
        let mut backoff = FIRST_BACKOFF;
        loop {
            let shared = self.shared.clone();
            // What the binds share is sound after a panic: nothing is left half done under its lock.
            match fault::contained(self.connection()).await {
                Ok(Ok(Ended { why, lasted, up })) => {
                    tracing::warn!(route = %shared.id, bind = self.at, why = why.as_str(), "connection ended");
                    shared.went_down(self.at, RouteState::Connecting, why);
                    if lasted {
                        backoff = FIRST_BACKOFF;
                    }
                    self.idle(tokio::time::sleep(FIRST_BACKOFF)).await;
                    self.make_room(up).await;
                    self.idle(tokio::time::sleep(backoff.saturating_sub(FIRST_BACKOFF))).await;
                }
                Ok(Err((state, why))) => {
                    shared.went_down(self.at, state, why);
                    self.idle(tokio::time::sleep(backoff)).await;
                }
                Err(words) => {
                    tracing::error!(route = %shared.id, bind = self.at, panic = words.as_str(), "a bind panicked");
                    let why = format!("a fault of this program: {words}");
                    shared.went_down(self.at, RouteState::Connecting, why);
                    self.idle(tokio::time::sleep(backoff)).await;
                }
            }
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
        }
    }

    /// Connects, and runs the connection to its end.
    async fn connection(&mut self) -> Result<Ended, Failed> {
        let (shared, role) = (self.shared.clone(), self.role);
        let (reader, writer) = self.idle(connect(&shared.config, role)).await?;
        shared.came_up(self.at);
        Ok(self.run(reader, writer).await)
    }

    /// Stays away for a time where the far end ends one bind for another.
    async fn make_room(&mut self, up: (Instant, Instant)) {
        let Some(rest) = self.shared.rest(self.at, up) else { return };
        let words = format!(
            "the far end ends a connection whenever another one of this route binds: it allows fewer than {}; this one \
             waits {} seconds",
            self.shared.binds(),
            rest.as_secs()
        );
        tracing::warn!(route = %self.shared.id, bind = self.at, rest = rest.as_secs(), "too many binds");
        self.shared.note_trouble(words);
        self.idle(tokio::time::sleep(rest)).await;
    }

    /// Waits for `what`. Fences of a bind without a connection hold at once.
    async fn idle<T>(&mut self, what: impl Future<Output = T>) -> T {
        tokio::pin!(what);
        loop {
            tokio::select! {
                done = &mut what => return done,
                Some(fence) = self.fences.recv() => {
                    let _ = fence.done.send(());
                }
            }
        }
    }

    /// Runs one connection to its end. Everything that it took is reported by then.
    async fn run(&mut self, mut read: Reader, mut write: Writer) -> Ended {
        let (acks, mut stored) = mpsc::unbounded_channel();
        let shared = self.shared.clone();
        let mut s = Session::new(&shared, self.role, acks);
        let mut tick = tokio::time::interval(TICK);
        let began = Instant::now();
        let why = loop {
            s.fill();
            let has_room = s.finds_room();
            let outcome = tokio::select! {
                frame = read.next(), if s.listens() => {
                    let mut outcome = s.hear(frame);
                    for _ in 1..READ_AT_ONCE {
                        if outcome.is_err() || !s.finds_room() || !s.listens() {
                            break;
                        }
                        let Some(frame) = read.next().now_or_never() else { break };
                        outcome = s.hear(frame);
                    }
                    outcome
                }
                room = shared.room(), if !has_room => {
                    s.room = room;
                    Ok(())
                }
                written = write_out(&mut write, &mut s), if s.out.stuck_since().is_some() => match written {
                    Ok(0) => Err("the far end closed the connection".into()),
                    Ok(octets) => {
                        s.out.written(octets);
                        Ok(())
                    }
                    Err(e) => Err(e.to_string()),
                },
                Some(number) = stored.recv() => {
                    s.acknowledge(number);
                    while let Ok(number) = stored.try_recv() {
                        s.acknowledge(number);
                    }
                    Ok(())
                }
                Some(fence) = self.fences.recv() => {
                    s.fence(fence);
                    Ok(())
                }
                () = shared.more.notified(), if s.wants_more() => Ok(()),
                _ = tick.tick() => s.tick(),
            };
            if let Err(why) = outcome {
                break why;
            }
            s.pass_fences();
            shared.uses(self.at, s.unanswered());
            if s.is_unbinding() {
                // Other binds take over what comes now.
                shared.say(self.at, RouteState::Connecting);
                if s.has_unbound() {
                    let _ = timeout(LAST_WORDS, write.write_all(s.out.octets())).await;
                    break "the far end unbound".into();
                }
            }
        };
        let lasted = began.elapsed() >= LASTING || s.was_accepted_from();
        let up = (began, s.unbinding_since().unwrap_or_else(Instant::now));
        // The far end sees the connection close before anyone is told that nothing more will come.
        drop((read, write));
        s.end(&why);
        Ended { why, lasted, up }
    }
}

/// Writes octets to the socket. What has waited for the socket is checked again at that very moment.
async fn write_out(write: &mut Writer, s: &mut Session<'_>) -> std::io::Result<usize> {
    std::future::poll_fn(|context| {
        s.recall(Timestamp::now());
        if s.out.octets().is_empty() {
            // All that waited was called back.
            return Poll::Pending;
        }
        Pin::new(&mut *write).poll_write(context, s.out.octets())
    })
    .await
}
