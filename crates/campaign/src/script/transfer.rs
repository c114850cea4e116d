//! A step that hands a call to somebody else.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Branch, Command, Event, Kind, Move, Phase, Span, StepId};

/// How long whoever a call is handed to may ring.
pub const AGENT_RINGS: SignedDuration = SignedDuration::from_secs(30);

/// Hands the call to somebody else. When that talk is over, so is the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// To whom, and how.
    pub transfer: Transferring,
    /// The step that follows where nobody takes the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<StepId>,
}

/// Where a call is handed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transferring {
    /// A SIP or telephone address: `sip:agents@pbx.example`, `tel:+12025550100`.
    pub to: String,
    /// How.
    #[serde(default)]
    pub mode: Mode,
}

/// How a call is handed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The trunk connects both (REFER, RFC 3515) and this end leaves.
    #[default]
    Refer,
    /// This end calls the other and passes the sound on, until one of them hangs up or it is [`super::LONGEST_TALK`].
    Bridge,
}

/// The longest address that this end calls itself, in characters.
const LONGEST: usize = 255;

/// Whether this end can call an address by itself, given what follows its scheme: 1 to 255 visible characters of ASCII, and
/// no headers and no escapes among them.
pub fn is_plain_address(rest: &str) -> bool {
    let fits = |c: char| c.is_ascii_graphic() && !"<>\"?,%".contains(c);
    (1..=LONGEST).contains(&rest.len()) && rest.chars().all(fits)
}

impl Kind for Transfer {
    fn branches(&self) -> Vec<Branch<'_>> {
        vec![Branch::alone("failed", self.failed.as_ref())]
    }

    fn misshapen(&self) -> Vec<(String, String)> {
        let Transferring { to, mode } = &self.transfer;
        let address = ["sip:", "sips:", "tel:"].iter().find_map(|scheme| to.strip_prefix(scheme));
        let message = match address.filter(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace)) {
            None => {
                format!("'{to}' is no address: use one such as sip:agents@pbx.example or tel:+12025550100")
            }
            Some(rest) if *mode == Mode::Bridge && !is_plain_address(rest) => format!(
                "'{to}' cannot be called from here: use at most {LONGEST} characters, none of them < > \" ? , %"
            ),
            Some(_) => return Vec::new(),
        };
        vec![("transfer.to".to_owned(), message)]
    }

    fn stays(&self, _branch: &str, _prompts: SignedDuration) -> Span {
        Span::up_to(AGENT_RINGS)
    }

    fn ends(&self) -> Option<Span> {
        // How long they talk is for them to say.
        Some(Span::up_to(SignedDuration::MAX))
    }

    fn enter(&self, _phase: &mut Phase) -> Move {
        Move::stay(Command::Transfer(self.transfer.clone()))
    }

    fn on(&self, phase: &mut Phase, event: &Event) -> Move {
        match event {
            Event::TakenOver => {
                phase.taken_over();
                Move::none()
            }
            Event::NotTakenOver => Move::go("failed", self.failed.as_ref()),
            Event::Left => Move::hang_up(),
            _ => Move::none(),
        }
    }
}
