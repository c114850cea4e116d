//! Phones behind one bare socket, on a thread of their own: they ring, or answer with sound, as they are told. What counts
//! an INVITE here shares no code with what sends it.

use std::{
    collections::HashMap,
    fmt::Write as _,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::Duration,
};

/// Room for a burst of INVITEs, in bytes; the kernel grants what it grants.
const RECEIVE_BUFFER: usize = 4 << 20;
/// How often the thread looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);
/// The longest datagram.
const LONGEST: usize = 65_536;

/// What phones do when they are called.
#[derive(Debug, Clone, Copy)]
pub enum Manner {
    /// They ring and are never answered; each `silent`th says nothing at all, so that its INVITE is repeated.
    Ring {
        /// 0: all ring.
        silent: u64,
    },
    /// They are answered at once: the nth call's sound goes to the first one's port + 2n.
    Answer {
        /// Where the first call's sound goes.
        first: SocketAddr,
    },
}

/// What has come in.
#[derive(Debug, Default)]
pub struct Seen {
    /// INVITEs without a tag in To: those that begin calls, repeats included.
    pub invites: AtomicU64,
    /// Calls.
    pub calls: AtomicU64,
    /// CANCELs.
    pub cancels: AtomicU64,
    ends: AtomicBool,
}

/// The phones. Dropping them closes their socket.
pub struct Phones {
    /// Where they are called, on loopback.
    pub port: u16,
    /// What has come in.
    pub seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

impl Phones {
    /// Plugs them in.
    ///
    /// # Errors
    /// Where no socket can be opened.
    pub fn start(manner: Manner) -> std::io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
        socket.set_read_timeout(Some(LOOK))?;
        let port = socket.local_addr()?.port();
        let seen = Arc::<Seen>::default();
        let theirs = seen.clone();
        let thread = std::thread::Builder::new().name("phones".into()).spawn(move || {
            answer(&socket, manner, &theirs);
        })?;
        Ok(Self { port, seen, thread: Some(thread) })
    }
}

impl Drop for Phones {
    fn drop(&mut self) {
        self.seen.ends.store(true, SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(socket: &UdpSocket, manner: Manner, seen: &Seen) {
    let mut calls: HashMap<String, u64> = HashMap::new();
    let mut datagram = vec![0; LONGEST];
    while !seen.ends.load(SeqCst) {
        let Ok((size, from)) = socket.recv_from(&mut datagram) else { continue };
        let Ok(text) = std::str::from_utf8(&datagram[..size]) else { continue };
        let Some(request) = Request::read(text) else { continue };
        let replies = match (request.method, request.has_tag) {
            ("INVITE", false) => {
                seen.invites.fetch_add(1, SeqCst);
                let next = calls.len() as u64;
                let number = *calls.entry(request.call_id.to_owned()).or_insert(next);
                seen.calls.store(calls.len() as u64, SeqCst);
                match manner {
                    Manner::Ring { silent } if silent > 0 && number % silent == silent - 1 => Vec::new(),
                    Manner::Ring { .. } => vec![request.reply("180 Ringing", None, None)],
                    Manner::Answer { first } => {
                        let (address, port) = (first.ip(), u64::from(first.port()) + 2 * number);
                        let sdp = format!(
                            "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
                             m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n",
                        );
                        vec![request.reply("200 OK", None, Some(&sdp))]
                    }
                }
            }
            ("CANCEL", _) => {
                seen.cancels.fetch_add(1, SeqCst);
                let refused = request.reply("487 Request Terminated", Some("INVITE"), None);
                vec![request.reply("200 OK", None, None), refused]
            }
            ("ACK", _) => Vec::new(),
            _ => vec![request.reply("200 OK", None, None)],
        };
        for reply in replies {
            let _ = socket.send_to(reply.as_bytes(), from);
        }
    }
}

/// A request, as far as a phone reads it.
#[derive(Debug, PartialEq, Eq)]
struct Request<'a> {
    method: &'a str,
    call_id: &'a str,
    has_tag: bool,
    /// What a response repeats.
    headers: Vec<&'a str>,
}

impl<'a> Request<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (head, _) = text.split_once("\r\n\r\n")?;
        let (first, headers) = head.split_once("\r\n")?;
        let (method, _) = first.split_once(' ').filter(|_| first.ends_with(" SIP/2.0"))?;
        let is = |line: &str, name: &str| {
            line.split_once(':').is_some_and(|(is, _)| is.trim().eq_ignore_ascii_case(name))
        };
        let repeated = ["Via", "From", "To", "Call-ID", "CSeq"];
        let headers: Vec<_> =
            headers.split("\r\n").filter(|line| repeated.iter().any(|name| is(line, name))).collect();
        let find = |name| headers.iter().copied().find(|line| is(line, name));
        let (_, call_id) = find("Call-ID")?.split_once(':')?;
        Some(Self { method, call_id: call_id.trim(), has_tag: find("To")?.contains(";tag="), headers })
    }

    /// A response; `to` names the method that it is for, where that is another than the request's own.
    fn reply(&self, status: &str, to: Option<&str>, sdp: Option<&str>) -> String {
        let mut reply = format!("SIP/2.0 {status}\r\n");
        for line in &self.headers {
            let name = line.split(':').next().unwrap_or_default().trim();
            let _ = match (name.to_ascii_lowercase().as_str(), to) {
                ("to", _) if !self.has_tag => write!(reply, "{line};tag=phone\r\n"),
                ("cseq", Some(method)) => {
                    let number = line.split_whitespace().nth(1).unwrap_or_default();
                    write!(reply, "CSeq: {number} {method}\r\n")
                }
                _ => write!(reply, "{line}\r\n"),
            };
        }
        reply.push_str("Contact: <sip:phone@127.0.0.1>\r\n");
        let body = sdp.unwrap_or_default();
        if !body.is_empty() {
            reply.push_str("Content-Type: application/sdp\r\n");
        }
        let _ = write!(reply, "Content-Length: {}\r\n\r\n{body}", body.len());
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:1@x SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5;branch=z\r\nFrom: <sip:a@x>;tag=1\r\n\
                          To: <sip:1@x>\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\nMax-Forwards: 70\r\n\r\n";

    #[test]
    fn a_response_repeats_what_it_must_and_names_the_method_that_it_is_for() {
        let cancel = INVITE.replace("INVITE", "CANCEL");
        let Some(request) = Request::read(&cancel) else { panic!("it is a request") };
        assert_eq!((request.method, request.call_id, request.has_tag), ("CANCEL", "c", false));
        assert_eq!(
            request.reply("487 Request Terminated", Some("INVITE"), None),
            "SIP/2.0 487 Request Terminated\r\nVia: SIP/2.0/UDP 127.0.0.1:5;branch=z\r\nFrom: <sip:a@x>;tag=1\r\n\
             To: <sip:1@x>;tag=phone\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\nContact: <sip:phone@127.0.0.1>\r\n\
             Content-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn an_invite_within_a_call_has_a_tag_and_a_response_is_no_request() {
        let within = INVITE.replace("To: <sip:1@x>", "To: <sip:1@x>;tag=2");
        assert_eq!(Request::read(&within).map(|request| request.has_tag), Some(true));
        assert_eq!(Request::read(&INVITE.replace("INVITE sip:1@x SIP/2.0", "SIP/2.0 200 OK")), None);
        assert_eq!(Request::read(""), None);
    }
}
