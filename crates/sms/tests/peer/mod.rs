//! An SMSC of raw octets, as odd as a test wants it: it says and shows what `smpp34` does not.

#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

pub const ANSWER: u32 = 0x8000_0000;
pub const NACK: u32 = 0x8000_0000;
pub const BIND_RX: u32 = 1;
pub const BIND_TX: u32 = 2;
pub const SUBMIT: u32 = 4;
pub const DELIVER: u32 = 5;
pub const UNBIND: u32 = 6;
pub const BIND_TRX: u32 = 9;
pub const OUTBIND: u32 = 0xB;
pub const ENQUIRE: u32 = 0x15;
pub const DATA_SM: u32 = 0x103;

#[derive(Debug, Clone)]
pub struct Pdu {
    /// Which connection the PDU came on, from 0.
    pub connection: usize,
    pub at: Instant,
    pub id: u32,
    pub status: u32,
    pub number: u32,
    pub body: Vec<u8>,
}

/// A `submit_sm` as it lies on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submit {
    pub service_type: String,
    pub source: (u8, u8, String),
    pub destination: (u8, u8, String),
    pub esm_class: u8,
    pub registered: u8,
    pub coding: u8,
    pub message: Vec<u8>,
    pub tlvs: Vec<(u16, Vec<u8>)>,
}

fn text(rest: &mut &[u8]) -> String {
    let end = rest.iter().position(|b| *b == 0).unwrap();
    let text = String::from_utf8_lossy(&rest[..end]).into_owned();
    *rest = &rest[end + 1..];
    text
}

fn octet(rest: &mut &[u8]) -> u8 {
    let (first, behind) = rest.split_first().unwrap();
    *rest = behind;
    *first
}

impl Pdu {
    pub fn submit(&self) -> Submit {
        let rest = &mut self.body.as_slice();
        let service_type = text(rest);
        let source = (octet(rest), octet(rest), text(rest));
        let destination = (octet(rest), octet(rest), text(rest));
        let esm_class = octet(rest);
        *rest = &rest[2..];
        let (_, _) = (text(rest), text(rest));
        let registered = octet(rest);
        octet(rest);
        let coding = octet(rest);
        octet(rest);
        let length = usize::from(octet(rest));
        let message = rest[..length].to_vec();
        *rest = &rest[length..];
        let mut tlvs = Vec::new();
        while let [a, b, c, d, behind @ ..] = rest {
            let (tag, length) = (u16::from_be_bytes([*a, *b]), usize::from(u16::from_be_bytes([*c, *d])));
            tlvs.push((tag, behind[..length].to_vec()));
            *rest = &behind[length..];
        }
        Submit { service_type, source, destination, esm_class, registered, coding, message, tlvs }
    }

    /// The fields of a bind: system id, password, system type, version, TON, NPI, range.
    pub fn bind(&self) -> (String, String, String, [u8; 3], String) {
        let rest = &mut self.body.as_slice();
        let (id, password, kind) = (text(rest), text(rest), text(rest));
        (id, password, kind, [octet(rest), octet(rest), octet(rest)], text(rest))
    }
}

/// One connection to the ESME.
#[derive(Clone)]
pub struct Line {
    pub connection: usize,
    out: mpsc::UnboundedSender<Vec<u8>>,
    numbers: Arc<AtomicUsize>,
}

impl Line {
    pub fn octets(&self, octets: Vec<u8>) {
        let _ = self.out.send(octets);
    }

    pub fn say(&self, id: u32, status: u32, number: u32, body: &[u8]) {
        let header = [16 + body.len() as u32, id, status, number].into_iter().flat_map(u32::to_be_bytes);
        self.octets(header.chain(body.iter().copied()).collect());
    }

    /// Sends a request, under a number of its own.
    pub fn ask(&self, id: u32, body: &[u8]) -> u32 {
        let number = self.numbers.fetch_add(1, Ordering::SeqCst) as u32 + 1_000;
        self.say(id, 0, number, body);
        number
    }

    pub fn accept(&self, pdu: &Pdu, id: &str) {
        self.say(SUBMIT | ANSWER, 0, pdu.number, &[id.as_bytes(), &[0]].concat());
    }

    /// Answers all but `submit_sm`, as an SMSC without oddities does.
    pub fn behave(&self, pdu: &Pdu) {
        match pdu.id {
            BIND_RX | BIND_TX | BIND_TRX => self.say(pdu.id | ANSWER, 0, pdu.number, b"smsc\0"),
            ENQUIRE | UNBIND => self.say(pdu.id | ANSWER, 0, pdu.number, b""),
            _ => {}
        }
    }

    /// Hangs up.
    pub fn cut(&self) {
        self.octets(Vec::new());
    }
}

/// What a peer does with each PDU.
type Take = dyn Fn(&Line, &Pdu) + Send + Sync;

pub struct Peer {
    pub port: u16,
    log: Arc<Mutex<Vec<Pdu>>>,
    lines: Arc<Mutex<Vec<Line>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    pub async fn start(take: impl Fn(&Line, &Pdu) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let log: Arc<Mutex<Vec<Pdu>>> = Arc::default();
        let lines: Arc<Mutex<Vec<Line>>> = Arc::default();
        let (take, numbers): (Arc<Take>, _) = (Arc::new(take), Arc::new(AtomicUsize::new(0)));
        let (theirs, their_lines) = (log.clone(), lines.clone());
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (mut read, mut write) = stream.into_split();
                let (out, mut octets) = mpsc::unbounded_channel::<Vec<u8>>();
                let line = Line { connection, out, numbers: numbers.clone() };
                their_lines.lock().unwrap().push(line.clone());
                let (log, take) = (theirs.clone(), take.clone());
                connections.spawn(async move {
                    while let Some(octets) = octets.recv().await {
                        if octets.is_empty() || write.write_all(&octets).await.is_err() {
                            return;
                        }
                    }
                });
                connections.spawn(async move {
                    while let Ok(length) = read.read_u32().await {
                        let mut rest = vec![0; length as usize - 4];
                        if read.read_exact(&mut rest).await.is_err() {
                            return;
                        }
                        let word = |at: usize| u32::from_be_bytes(rest[at..at + 4].try_into().unwrap());
                        let (id, status, number) = (word(0), word(4), word(8));
                        let (at, body) = (Instant::now(), rest[12..].to_vec());
                        let pdu = Pdu { connection, at, id, status, number, body };
                        log.lock().unwrap().push(pdu.clone());
                        take(&line, &pdu);
                    }
                    line.cut();
                });
            }
        });
        Self { port, log, lines, task }
    }

    /// A peer that accepts each `submit_sm`, with its place as the id.
    pub async fn plain() -> Self {
        Self::each(|line, pdu, n| line.accept(pdu, &format!("m{n}"))).await
    }

    /// A peer whose `submit` handles each `submit_sm` with its place, from 1; all else behaves.
    pub async fn each(submit: impl Fn(&Line, &Pdu, usize) + Send + Sync + 'static) -> Self {
        let count = AtomicUsize::new(0);
        Self::start(move |line, pdu| match pdu.id {
            SUBMIT => submit(line, pdu, count.fetch_add(1, Ordering::SeqCst) + 1),
            _ => line.behave(pdu),
        })
        .await
    }

    pub fn log(&self) -> Vec<Pdu> {
        self.log.lock().unwrap().clone()
    }

    /// Every PDU with this id.
    pub fn got(&self, id: u32) -> Vec<Pdu> {
        self.log().into_iter().filter(|pdu| pdu.id == id).collect()
    }

    pub fn connections(&self) -> usize {
        self.lines.lock().unwrap().len()
    }

    /// One connection, by its place.
    pub fn line_of(&self, connection: usize) -> Line {
        self.lines.lock().unwrap()[connection].clone()
    }
}

/// The mandatory body of a `deliver_sm`.
pub fn deliver(
    source: &str,
    destination: &str,
    esm_class: u8,
    coding: u8,
    text: &[u8],
    tlvs: &[u8],
) -> Vec<u8> {
    let length = [text.len() as u8];
    [
        &b"\0\x01\x01"[..],
        source.as_bytes(),
        b"\0\x01\x01",
        destination.as_bytes(),
        &[0, esm_class, 0, 0, 0, 0, 0, 0, coding, 0],
        &length,
        text,
        tlvs,
    ]
    .concat()
}

pub fn tlv(tag: u16, value: &[u8]) -> Vec<u8> {
    [&tag.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
}

/// A receipt as SMPP 3.4 Appendix B has it.
pub fn receipt(id: &str, stat: &str) -> Vec<u8> {
    format!(
        "id:{id} sub:001 dlvrd:001 submit date:2611241500 done date:2611241501 stat:{stat} err:000 text:Hi"
    )
    .into()
}
