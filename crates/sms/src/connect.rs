//! Connecting and binding: tries an account's hosts in order until one accepts the bind.
//!
//! Only the PDU that answers the bind counts as its answer (SMPP 3.4 §4.1).

use std::time::Duration;

use engine::{RouteState, SmppConfig};
use futures::StreamExt;
use rusmpp::{
    Command, CommandId, CommandStatus, Pdu, pdus::BindTransceiver, tokio_codec::CommandCodec,
    types::COctetString, values::InterfaceVersion,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
    time::timeout,
};
use tokio_util::{
    bytes::BytesMut,
    codec::{Encoder, FramedRead},
};

use crate::{frame::Frames, status, tls};

/// The sequence number of a bind.
const BIND: u32 = 1;

pub(crate) trait Line: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

pub(crate) type Reader = FramedRead<ReadHalf<Box<dyn Line>>, Frames>;
pub(crate) type Writer = WriteHalf<Box<dyn Line>>;

/// What a bind is for (SMPP 3.4 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Sends, and receives receipts and replies.
    Transceiver,
    /// Sends.
    Transmitter,
    /// Receives receipts and replies.
    Receiver,
}

impl Role {
    pub(crate) const fn sends(self) -> bool {
        !matches!(self, Self::Receiver)
    }

    const fn command(self) -> CommandId {
        match self {
            Self::Transceiver => CommandId::BindTransceiver,
            Self::Transmitter => CommandId::BindTransmitter,
            Self::Receiver => CommandId::BindReceiver,
        }
    }
}

/// Why a bind failed: the route's new state, and the reason in words.
pub(crate) type Failed = (RouteState, String);

fn refused(words: String) -> Failed {
    (RouteState::Refused(words.clone()), words)
}

fn down(words: String) -> Failed {
    (RouteState::Connecting, words)
}

/// Connects and binds, at the first host that accepts the bind.
pub(crate) async fn connect(config: &SmppConfig, role: Role) -> Result<(Reader, Writer), Failed> {
    let within = Duration::try_from(config.bind_timeout).unwrap_or_default();
    let places = config.hosts();
    let mut failures = Vec::new();
    for (host, port) in &places {
        let failed = match timeout(within, bind_at(config, role, (host, *port))).await {
            Ok(Ok(line)) => return Ok(line),
            Ok(Err(failed)) => failed,
            Err(_) => down(format!("no answer within {} seconds", within.as_secs())),
        };
        failures.push(failed);
    }
    if let [only] = failures.as_mut_slice() {
        return Err(std::mem::replace(only, down(String::new())));
    }
    let each = places.iter().zip(&failures).map(|((host, port), (_, why))| format!("{host}:{port}: {why}"));
    let words = each.collect::<Vec<_>>().join("; ");
    let is_refused = failures.iter().any(|(state, _)| matches!(state, RouteState::Refused(_)));
    Err(if is_refused { refused(words) } else { down(words) })
}

async fn bind_at(
    config: &SmppConfig,
    role: Role,
    (host, port): (&str, u16),
) -> Result<(Reader, Writer), Failed> {
    let gone = |e: std::io::Error| down(format!("cannot connect: {e}"));
    let stream = TcpStream::connect((host, port)).await.map_err(gone)?;
    stream.set_nodelay(true).map_err(gone)?;
    let line: Box<dyn Line> = if config.tls {
        let (connector, name) = tls::connector(config, host).map_err(refused)?;
        let secured = connector.connect(name, stream).await;
        Box::new(secured.map_err(|e| refused(format!("no secure connection: {e}")))?)
    } else {
        Box::new(stream)
    };
    let (read, mut write) = tokio::io::split(line);
    let mut read = FramedRead::new(read, Frames::default());
    write.write_all(&bind(config, role)?).await.map_err(gone)?;
    let answer = u32::from(role.command().matching_response());
    loop {
        let frame = match read.next().await {
            Some(Ok(frame)) => frame,
            Some(Err(e)) => return Err(down(e.to_string())),
            None => return Err(down("the far end closed the connection instead of an answer".into())),
        };
        if frame.id == answer && frame.status == 0 {
            return Ok((read, write));
        }
        if frame.id == answer || frame.id == u32::from(CommandId::GenericNack) {
            return Err(refused(status::of_bind(frame.status, &config.refusals)));
        }
        // All else that it says waits for the bind; its enquiries are answered.
        if frame.id == u32::from(CommandId::EnquireLink) {
            let mut out = BytesMut::new();
            put(Command::new(CommandStatus::EsmeRok, frame.number, Pdu::EnquireLinkResp), &mut out);
            write.write_all(&out).await.map_err(gone)?;
        }
    }
}

fn put(command: Command, out: &mut BytesMut) {
    // Encoding into memory does not fail.
    let _ = CommandCodec::new().encode(command, out);
}

/// The octets of a bind PDU.
fn bind(config: &SmppConfig, role: Role) -> Result<Vec<u8>, Failed> {
    let pdu = BindTransceiver::builder()
        .system_id(text("system id", &config.system_id)?)
        .system_type(text("system type", &config.system_type)?)
        .interface_version(InterfaceVersion::Smpp3_4)
        .address_range(text("address range", &config.address_range)?)
        .build();
    let mut out = BytesMut::new();
    put(Command::new(CommandStatus::EsmeRok, BIND, pdu), &mut out);
    let mut out = out.to_vec();
    // The three binds differ in their id alone, and no type allows a password as long as some carriers want.
    let password = config.password.expose().as_bytes();
    let at = 16 + config.system_id.len() + 1;
    out.splice(at..at, password.iter().copied());
    let length = (out.len() as u32).to_be_bytes();
    out.splice(..4, length);
    out.splice(4..8, u32::from(role.command()).to_be_bytes());
    Ok(out)
}

fn text<const MOST: usize>(what: &str, value: &str) -> Result<COctetString<1, MOST>, Failed> {
    COctetString::from_vec([value.as_bytes(), &[0]].concat())
        .map_err(|_| refused(format!("the {what} has more than {} characters", MOST - 1)))
}
