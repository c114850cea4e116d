//! How what comes in for all calls is worked on: by two tasks, one that reads the socket and one that hands on, each with a
//! larger share of the processor than one call's task has, and an end to it.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use rsipstack::{transaction::endpoint::TransportEventInspector, transport::TransportEvent};
use tokio::{
    net::UdpSocket,
    task::{unconstrained, yield_now},
};

/// How many messages are worked on before others have their turn.
const AT_ONCE: u32 = 1_024;

/// What a task that works for all calls has done of its share of the processor.
#[derive(Debug, Default)]
pub(super) struct Share(AtomicU32);

impl Share {
    /// Counts a message; gives others their turn where the share is used up.
    async fn use_up(&self) {
        if self.0.fetch_add(1, Ordering::Relaxed) % AT_ONCE == AT_ONCE - 1 {
            yield_now().await;
        }
    }
}

/// The task that hands on what came in keeps the timers too, which have their turn with the others.
#[async_trait::async_trait]
impl TransportEventInspector for Share {
    async fn handle(&self, event: TransportEvent) -> Option<TransportEvent> {
        self.use_up().await;
        Some(event)
    }
}

/// Our socket as the library reads it. One task reads for all calls, so it reads on as long as there is something: by the
/// runtime's measure it would have to wait after 128 datagrams until each of thousands of calls had its turn, and answers
/// would lie there until their requests were repeated.
pub(super) struct Datagrams {
    socket: UdpSocket,
    share: Share,
}

impl Datagrams {
    pub(super) fn new(socket: UdpSocket) -> Self {
        Self { socket, share: Share::default() }
    }
}

#[async_trait::async_trait]
impl rsipstack::platform::net::UdpSocket for Datagrams {
    async fn recv_from(&self, buffer: &mut [u8]) -> rsipstack::Result<(usize, SocketAddr)> {
        self.share.use_up().await;
        Ok(unconstrained(self.socket.recv_from(buffer)).await?)
    }

    async fn send_to(&self, datagram: &[u8], to: SocketAddr) -> rsipstack::Result<usize> {
        Ok(self.socket.send_to(datagram, to).await?)
    }

    fn local_addr(&self) -> rsipstack::Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin, task::Poll};

    use rsipstack::platform::net::UdpSocket as _;

    use super::*;

    #[tokio::test]
    async fn all_that_has_come_is_read_in_one_turn() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let datagrams = Datagrams::new(socket);
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        // More than a task may read by the runtime's measure.
        for _ in 0..200 {
            sender.send_to(b"SIP", datagrams.local_addr().unwrap()).unwrap();
        }
        datagrams.socket.readable().await.unwrap();
        let reading = async {
            for _ in 0..200 {
                datagrams.recv_from(&mut [0; 8]).await.unwrap();
            }
        };
        assert!(is_done_in_one_turn(reading).await, "it stopped though more had come");
    }

    #[tokio::test]
    async fn after_a_thousand_messages_others_have_their_turn() {
        let share = Share::default();
        for _ in 0..3 {
            let all_but_one = async {
                for _ in 0..AT_ONCE - 1 {
                    share.use_up().await;
                }
            };
            assert!(is_done_in_one_turn(all_but_one).await);
            assert!(!is_done_in_one_turn(share.use_up()).await);
        }
    }

    async fn is_done_in_one_turn(work: impl Future<Output = ()>) -> bool {
        let mut work = pin!(work);
        poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_ready())).await
    }
}
