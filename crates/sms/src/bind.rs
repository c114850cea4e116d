//! One bind: connects, binds, runs a session to its end, and again.

use std::{sync::Arc, time::Duration};

use campaign::CampaignId;
use engine::RouteState;
use futures::{FutureExt, StreamExt};
use rusmpp::{
    Command, CommandStatus, pdus::BindTransceiver, tokio_codec::CommandCodec, types::COctetString,
    values::InterfaceVersion,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::{
    bytes::BytesMut,
    codec::{Encoder, FramedRead},
};

use crate::{route::Shared, session::Session, status, tls};

/// How long connecting and binding may take.
const BIND_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// How often a session looks at what is overdue.
const TICK: Duration = Duration::from_millis(100);
/// Commands taken in one go before what they call for is written.
const READ_AT_ONCE: usize = 256;

/// Asks a bind to write nothing more of a campaign, and to say when the far end has read what was.
pub(crate) struct Fence {
    pub(crate) campaign: CampaignId,
    pub(crate) done: oneshot::Sender<()>,
}

pub(crate) trait Line: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

type Reader = FramedRead<ReadHalf<Box<dyn Line>>, CommandCodec>;
type Writer = WriteHalf<Box<dyn Line>>;

pub(crate) struct Bind {
    at: usize,
    shared: Arc<Shared>,
    fences: mpsc::UnboundedReceiver<Fence>,
}

impl Bind {
    pub(crate) fn new(at: usize, shared: Arc<Shared>, fences: mpsc::UnboundedReceiver<Fence>) -> Self {
        Self { at, shared, fences }
    }

    pub(crate) async fn live(mut self) {
        let mut backoff = FIRST_BACKOFF;
        loop {
            let shared = self.shared.clone();
            match self.idle(timeout(BIND_TIMEOUT, connect(&shared))).await {
                Ok(Ok((reader, writer))) => {
                    backoff = FIRST_BACKOFF;
                    self.shared.say(self.at, RouteState::Connected);
                    let why = self.run(reader, writer).await;
                    tracing::warn!(route = %shared.id, bind = self.at, why = why.as_str(), "connection ended");
                    self.shared.uses(self.at, 0);
                    self.shared.note_trouble(why);
                    self.shared.say(self.at, RouteState::Connecting);
                }
                Ok(Err((state, why))) => {
                    self.shared.note_trouble(why);
                    self.shared.say(self.at, state);
                }
                Err(_) => {
                    self.shared.note_trouble(format!("no answer within {} seconds", BIND_TIMEOUT.as_secs()));
                    self.shared.say(self.at, RouteState::Connecting);
                }
            }
            self.idle(tokio::time::sleep(backoff)).await;
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
        }
    }

    /// Waits for `what`. Fences of a bind without a line hold at once.
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

    /// Runs one connection to its end; says why it ended. Everything it took is reported by then.
    async fn run(&mut self, mut read: Reader, mut write: Writer) -> String {
        let (acks, mut stored) = mpsc::unbounded_channel();
        let shared = self.shared.clone();
        let mut s = Session::new(&shared, acks);
        let mut tick = tokio::time::interval(TICK);
        let why = loop {
            s.fill();
            let outcome = tokio::select! {
                command = read.next() => {
                    let mut outcome = s.read(command);
                    for _ in 1..READ_AT_ONCE {
                        if outcome.is_err() {
                            break;
                        }
                        let Some(command) = read.next().now_or_never() else { break };
                        outcome = s.read(command);
                    }
                    outcome
                }
                written = write.write_buf(&mut s.out), if !s.out.is_empty() => match written {
                    Ok(0) => Err("the far end closed the connection".into()),
                    Ok(_) => Ok(()),
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
            self.shared.uses(self.at, s.unanswered());
        };
        // The far end sees the end of the line before anyone is told that nothing more will come.
        drop((read, write));
        s.end(&why);
        why
    }
}

/// Why a bind cannot be had: the route's new state, and the reason in words.
type Failed = (RouteState, String);

fn refused(words: String) -> Failed {
    (RouteState::Refused(words.clone()), words)
}

/// Connects and binds.
async fn connect(shared: &Shared) -> Result<(Reader, Writer), Failed> {
    let config = &shared.config;
    let down = |e: std::io::Error| (RouteState::Connecting, format!("cannot connect: {e}"));
    let stream = TcpStream::connect((config.host.as_str(), config.port)).await.map_err(down)?;
    stream.set_nodelay(true).map_err(down)?;
    let line: Box<dyn Line> = if config.tls {
        let (connector, name) = tls::connector(config).map_err(refused)?;
        let secured = connector.connect(name, stream).await;
        Box::new(secured.map_err(|e| refused(format!("no secure connection: {e}")))?)
    } else {
        Box::new(stream)
    };
    let (read, mut write) = tokio::io::split(line);
    let mut read = FramedRead::new(read, CommandCodec::new());
    let bind = BindTransceiver::builder()
        .system_id(text("system id", &config.system_id)?)
        .password(text("password", &config.password)?)
        .interface_version(InterfaceVersion::Smpp3_4)
        .build();
    let mut out = BytesMut::new();
    // Encoding into memory does not fail.
    let _ = CommandCodec::new().encode(Command::new(CommandStatus::EsmeRok, 1, bind), &mut out);
    write.write_all(&out).await.map_err(down)?;
    match read.next().await {
        Some(Ok(answer)) if answer.status() == CommandStatus::EsmeRok => Ok((read, write)),
        Some(Ok(answer)) => Err(refused(status::of(u32::from(answer.status()), &config.refusals).1)),
        _ => Err((RouteState::Connecting, "the far end closed the connection instead of an answer".into())),
    }
}

fn text<const MOST: usize>(what: &str, value: &str) -> Result<COctetString<1, MOST>, Failed> {
    COctetString::from_vec([value.as_bytes(), &[0]].concat())
        .map_err(|_| refused(format!("the {what} has more than {} characters", MOST - 1)))
}
