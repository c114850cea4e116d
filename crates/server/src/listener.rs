//! Connections whose end is told a moment late: a client that hangs up right behind its request asked for it all the same.
//!
//! Why: hyper reads on while it takes a request in, and drops one whose connection it finds at its end, before anybody heard
//! of it. Told one poll later, the end comes when the request is begun, which then ends in peace (see
//! [`crate::forward`]).

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    extract::{ConnectInfo, Request, connect_info::Connected},
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// Accepts [`Connection`]s.
pub(crate) struct Late(pub(crate) TcpListener);

impl Listener for Late {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.0).await;
        (Connection { stream, at_end: false }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A connection that tells its end when it is asked a second time.
pub(crate) struct Connection {
    stream: TcpStream,
    at_end: bool,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        if into.filled().len() == before && !std::mem::replace(&mut self.at_end, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The far end of a connection.
#[derive(Clone)]
pub(crate) struct Peer(SocketAddr);

impl Connected<IncomingStream<'_, Late>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Late>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// Says where a request comes from as it is said of any listener.
pub(crate) async fn with_peer(mut request: Request) -> Request {
    if let Some(ConnectInfo(Peer(peer))) = request.extensions_mut().remove() {
        request.extensions_mut().insert(ConnectInfo(peer));
    }
    request
}
