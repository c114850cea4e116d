//! One leg of a call: a dialog with its sound. What its far end does to the sound (answer, hold, another address or
//! codec) is carried out here; what is left to decide is told.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use campaign::Msisdn;
use tokio::time::Instant;

use crate::{
    media::{self, Media, MediaError, Options, Ports},
    sdp::{self, Codec, Local},
    sip::{self, Agent, Callee, Cause, End, Transfer},
};

/// What the legs of a call are made with: the trunk's agent, and sessions on the route's ports.
pub struct Legs<'a> {
    /// The agent of the trunk.
    pub agent: &'a Agent,
    /// The threads that play and hear.
    pub media: &'a Media,
    /// The route's ports.
    pub ports: &'a Ports,
    /// Our address as far ends see it, where it is another than that of the agent's socket.
    pub public_address: Option<IpAddr>,
    /// A number in the trunk's form.
    pub dialed: &'a (dyn Fn(Msisdn) -> String + Sync),
}

/// Why a leg could not begin. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotBegun {
    /// There is no sound for it.
    #[error(transparent)]
    Sound(#[from] MediaError),
    /// It cannot be signalled.
    #[error(transparent)]
    Signal(#[from] sip::Fault),
}

/// A leg to begin.
pub(super) struct Begin {
    pub(super) callee: Callee,
    pub(super) caller_id: String,
    pub(super) ring_time: Duration,
    /// The codecs to offer, the best first.
    pub(super) codecs: Vec<Codec>,
    /// Whether its messages are kept.
    pub(super) trace: bool,
}

impl Legs<'_> {
    /// Opens a leg's sound and sends its INVITE.
    pub(super) fn begin(&self, begin: Begin) -> Result<Leg, NotBegun> {
        let Begin { callee, caller_id, ring_time, codecs, trace } = begin;
        let address = self.agent.local_address().ip();
        let session = self.media.open(self.ports, Options { address, ..Options::default() })?;
        let address = SocketAddr::new(self.public_address.unwrap_or(address), session.port());
        // Told apart from that of any other leg, before and after a restart (RFC 8866 §5.2).
        let local = Local { session: rand::random::<u32>().into(), version: 1, address };
        let dialog = self.agent.invite(sip::Invite {
            callee,
            caller_id,
            offer: sdp::offer(&local, &codecs),
            ring_time,
            headers: Vec::new(),
            trace,
        })?;
        Ok(Leg { dialog, session, local, codecs, codec: None, keys_as_events: false, began: Instant::now() })
    }

    /// Who is at an address of a script: a number is called in the trunk's form.
    pub(super) fn callee(&self, address: &str) -> Callee {
        let Some(number) = address.strip_prefix("tel:") else { return Callee::Address(address.to_owned()) };
        // Parameters and visual separators are for people (RFC 3966 §3).
        let number = number.split(';').next().unwrap_or_default();
        let number: String = number.chars().filter(|c| !"-.()".contains(*c)).collect();
        // A number without its country, an extension perhaps, means something to the trunk alone.
        let global = number.starts_with('+').then(|| Msisdn::parse(&number, None).ok()).flatten();
        Callee::User(global.map_or(number, self.dialed))
    }
}

/// A leg of a call. Dropped, it is hung up.
pub(super) struct Leg {
    pub(super) dialog: sip::Call,
    pub(super) session: media::Session,
    local: Local,
    codecs: Vec<Codec>,
    /// What was agreed; none before the answer.
    codec: Option<Codec>,
    /// Whether keys come with the sound: those by INFO are the same once more.
    keys_as_events: bool,
    began: Instant,
}

/// What happened on a leg.
pub(super) enum Happened {
    /// The phone rings.
    Rang,
    /// It was answered, and its sound is agreed.
    Answered,
    /// A key was pressed.
    Key(char),
    /// What was played under this mark was heard.
    Played(u64),
    /// How a transfer by the trunk goes.
    Transfer(Transfer),
    /// The leg cannot go on, in words.
    Broken(String),
    /// The end: nothing follows.
    Ended(End),
}

impl Leg {
    /// The codec that was agreed.
    pub(super) const fn codec(&self) -> Option<Codec> {
        self.codec
    }

    /// Ends the leg: its sound at once, its dialog by CANCEL or BYE. Its end is told.
    pub(super) fn hang_up(&mut self) {
        self.dialog.hang_up();
        self.session.close();
    }

    /// What happens next. Can be cancelled without loss.
    pub(super) async fn next(&mut self) -> Happened {
        loop {
            let happened = tokio::select! {
                event = self.dialog.next() => match event {
                    Some(event) => self.signalled(event),
                    // The agent ends before its calls only where the process does.
                    None => Some(Happened::Ended(lost(self.began.elapsed()))),
                },
                Some(event) = self.session.event() => Some(self.heard(&event)),
            };
            if let Some(happened) = happened {
                return happened;
            }
        }
    }

    fn signalled(&mut self, event: sip::Event) -> Option<Happened> {
        match event {
            sip::Event::Ringing => Some(Happened::Rang),
            sip::Event::Answered { sdp } => Some(match sdp::read_answer(&sdp, &self.codecs) {
                Ok(sound) => self.agree(sound).unwrap_or(Happened::Answered),
                Err(fault) => Happened::Broken(fault.to_string()),
            }),
            sip::Event::Reoffered { sdp, answer } => {
                self.local.version += 1;
                let Ok((ours, sound)) = sdp::answer(&sdp, &self.local, &self.codecs) else {
                    answer.refuse();
                    return None;
                };
                answer.accept(ours);
                self.agree(sound)
            }
            sip::Event::Described(sdp) => {
                sdp::read_answer(&sdp, &self.codecs).ok().and_then(|sound| self.agree(sound))
            }
            sip::Event::Key(c) => (!self.keys_as_events).then_some(Happened::Key(c)),
            sip::Event::Transfer(transfer) => Some(Happened::Transfer(transfer)),
            sip::Event::Ended(end) => Some(Happened::Ended(end)),
            // Early sound is the network's, and no answer.
            sip::Event::Trying | sip::Event::EarlyMedia(_) => None,
        }
    }

    /// Lets sound flow as agreed. Returns what is wrong where it cannot.
    fn agree(&mut self, sound: sdp::Sound) -> Option<Happened> {
        self.codec = Some(sound.codec);
        self.session.agree(sound).err().map(|fault| Happened::Broken(fault.to_string()))
    }

    fn heard(&mut self, event: &media::Event) -> Happened {
        match event {
            media::Event::Key(c) => {
                self.keys_as_events = true;
                Happened::Key(*c)
            }
            media::Event::Played(mark) => Happened::Played(*mark),
            media::Event::TimedOut { heard: true } => {
                Happened::Broken("the far end's sound stopped".to_owned())
            }
            media::Event::TimedOut { heard: false } => {
                Happened::Broken("no sound ever came from the far end".to_owned())
            }
        }
    }
}

/// The end of a leg whose end nobody told.
fn lost(elapsed: Duration) -> End {
    End {
        cause: Cause::Failed,
        trunk: true,
        sip_code: None,
        q850: None,
        words: "the call was lost".to_owned(),
        retry_after: None,
        after_18x: false,
        elapsed,
    }
}
