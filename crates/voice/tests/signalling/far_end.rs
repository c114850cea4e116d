//! A far end that does what the test says: SIP as text over a UDP socket.

use std::{net::SocketAddr, time::Duration};

use tokio::{net::UdpSocket, time::timeout};

use super::{ANSWER, LONG};

/// A message that came.
#[derive(Debug, Clone)]
pub struct Heard {
    pub text: String,
    pub from: SocketAddr,
}

impl Heard {
    /// The method of a request, the code of a response.
    pub fn what(&self) -> &str {
        let line = self.text.lines().next().unwrap();
        let word = usize::from(line.starts_with("SIP/2.0"));
        line.split(' ').nth(word).unwrap()
    }

    pub fn uri(&self) -> &str {
        self.text.lines().next().unwrap().split(' ').nth(1).unwrap()
    }

    pub fn find(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap();
        head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn header(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("no {name} in\n{}", self.text))
    }

    pub fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

pub struct FarEnd {
    socket: UdpSocket,
}

impl FarEnd {
    pub async fn new() -> Self {
        Self { socket: UdpSocket::bind("127.0.0.1:0").await.unwrap() }
    }

    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// The next message.
    pub async fn hear(&self) -> Heard {
        timeout(LONG, self.hear_any()).await.expect("nothing came")
    }

    async fn hear_any(&self) -> Heard {
        let mut buffer = vec![0; 65_535];
        let (length, from) = self.socket.recv_from(&mut buffer).await.unwrap();
        Heard { text: String::from_utf8(buffer[..length].to_vec()).unwrap(), from }
    }

    /// The next message of this method or code; repeats of others are passed over.
    pub async fn expect(&self, what: &str) -> Heard {
        let heard = async {
            loop {
                let heard = self.hear_any().await;
                if heard.what() == what {
                    return heard;
                }
            }
        };
        timeout(LONG, heard).await.unwrap_or_else(|_| panic!("no {what} came"))
    }

    /// What comes within this time.
    pub async fn hear_for(&self, time: Duration) -> Vec<String> {
        let mut all = Vec::new();
        let _ = timeout(time, async {
            loop {
                all.push(self.hear_any().await.what().to_owned());
            }
        })
        .await;
        all
    }

    pub async fn send(&self, text: &[u8], to: SocketAddr) {
        self.socket.send_to(text, to).await.unwrap();
    }

    /// Answers a request: `status` as `486 Busy Here`, further headers each with its line end.
    pub async fn answer(&self, request: &Heard, status: &str, more: &str, body: &str) {
        self.answer_as("far", request, status, more, body).await;
    }

    /// Answers as one of several branches of a fork, told apart by their tags.
    pub async fn answer_as(&self, tag: &str, request: &Heard, status: &str, more: &str, body: &str) {
        let to = request.header("To");
        let to = if to.contains(";tag=") { to.to_owned() } else { format!("{to};tag={tag}") };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             {more}{kind}Content-Length: {}\r\n\r\n{body}",
            request.header("Via"),
            request.header("From"),
            request.header("Call-ID"),
            request.header("CSeq"),
            body.len(),
        );
        self.send(text.as_bytes(), request.from).await;
    }

    /// Our Contact as a header line.
    pub fn contact(&self) -> String {
        format!("Contact: <sip:far@{}>\r\n", self.address())
    }

    /// Picks up.
    pub async fn pick_up(&self, invite: &Heard) {
        self.answer(invite, "200 OK", &self.contact(), ANSWER).await;
    }

    /// Picks up, and sees that it is acknowledged.
    pub async fn talk(&self, more: &str) -> Heard {
        let invite = self.expect("INVITE").await;
        let more = format!("{}{more}", self.contact());
        self.answer(&invite, "200 OK", &more, ANSWER).await;
        self.expect("ACK").await;
        invite
    }

    /// A request in the dialog of an answered INVITE.
    pub async fn ask(&self, invite: &Heard, method: &str, seq: u32, more: &str, body: &str) {
        let contact = invite.header("Contact").split(['<', '>']).nth(1).unwrap().to_owned();
        let text = format!(
            "{method} {contact} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{method}{seq}{}\r\nMax-Forwards: 70\r\n\
             From: {};tag=far\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {seq} {method}\r\n{}{more}Content-Length: {}\r\n\r\n{body}",
            self.address(),
            invite.header("Call-ID").split('@').next().unwrap(),
            invite.header("To"),
            invite.header("From"),
            invite.header("Call-ID"),
            self.contact(),
            body.len(),
        );
        self.send(text.as_bytes(), invite.from).await;
    }
}
