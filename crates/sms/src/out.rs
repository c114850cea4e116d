//! What waits for the socket, PDU by PDU, so that a message of which no octet is written can still be called back.

use std::collections::{HashMap, HashSet, VecDeque};

use rusmpp::{Command, CommandStatus, Pdu, tokio_codec::CommandCodec};
use tokio::time::Instant;
use tokio_util::{
    bytes::{Buf, BytesMut},
    codec::Encoder,
};

/// One PDU that waits.
struct Piece {
    octets: usize,
    /// The message that it is a part of; none for a PDU other than `submit_sm`.
    message: Option<u64>,
}

/// What waits for the socket.
pub(crate) struct Out {
    octets: BytesMut,
    pieces: VecDeque<Piece>,
    /// Octets of the first piece that have been written.
    begun: usize,
    /// Whether some of it was encoded before the last attempt to write.
    stale: bool,
    written_at: Instant,
    codec: CommandCodec,
}

impl Out {
    pub(crate) fn new() -> Self {
        Self {
            octets: BytesMut::new(),
            pieces: VecDeque::new(),
            begun: 0,
            stale: false,
            written_at: Instant::now(),
            codec: CommandCodec::new(),
        }
    }

    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Since when the socket has taken nothing; none where nothing waits.
    pub(crate) fn stuck_since(&self) -> Option<Instant> {
        (!self.octets.is_empty()).then_some(self.written_at)
    }

    /// Adds a PDU; `message` is the message that it is a part of.
    pub(crate) fn put(
        &mut self,
        status: CommandStatus,
        number: u32,
        pdu: impl Into<Pdu>,
        message: Option<u64>,
    ) {
        if self.octets.is_empty() {
            self.written_at = Instant::now();
            self.stale = false;
        }
        let before = self.octets.len();
        // Encoding into memory does not fail.
        let _ = self.codec.encode(Command::new(status, number, pdu), &mut self.octets);
        self.pieces.push_back(Piece { octets: self.octets.len() - before, message });
    }

    /// The socket took this many octets.
    pub(crate) fn written(&mut self, octets: usize) {
        self.written_at = Instant::now();
        self.octets.advance(octets);
        self.begun += octets;
        while let Some(first) = self.pieces.front()
            && first.octets <= self.begun
        {
            self.begun -= first.octets;
            self.pieces.pop_front();
        }
    }

    /// The messages that wait, each with the number of its parts of which no octet is written; empty at the first
    /// attempt to write what was just encoded, as it was checked then.
    pub(crate) fn unwritten(&mut self) -> HashMap<u64, usize> {
        let mut unwritten = HashMap::new();
        if std::mem::replace(&mut self.stale, true) {
            let whole = self.pieces.iter().skip(usize::from(self.begun > 0));
            for message in whole.filter_map(|piece| piece.message) {
                *unwritten.entry(message).or_default() += 1;
            }
        }
        unwritten
    }

    /// Takes out every part of these messages.
    pub(crate) fn call_back(&mut self, messages: &HashSet<u64>) {
        let mut rest = self.octets.split();
        let mut begun = self.begun;
        let mut kept = BytesMut::with_capacity(rest.len());
        self.pieces.retain(|piece| {
            let octets = rest.split_to(piece.octets - std::mem::take(&mut begun));
            let stays = piece.message.is_none_or(|message| !messages.contains(&message));
            if stays {
                kept.extend_from_slice(&octets);
            }
            stays
        });
        self.octets = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_begun_can_be_called_back_and_the_rest_goes_on_where_it_was() {
        let mut out = Out::new();
        for (number, message) in [(1, Some(10)), (2, None), (3, Some(11)), (4, Some(11)), (5, Some(12))] {
            out.put(CommandStatus::EsmeRok, number, Pdu::EnquireLink, message);
        }
        assert_eq!(out.octets().len(), 80);
        // Just encoded: it was checked then.
        assert!(out.unwritten().is_empty());
        out.written(7);
        assert_eq!(out.unwritten(), HashMap::from([(11, 2), (12, 1)]));
        out.call_back(&HashSet::from([11]));
        assert_eq!(out.octets().len(), 48 - 7);
        // The sequence numbers of what is left.
        let numbers = |octets: &[u8]| octets.chunks(16).map(|pdu| pdu[15]).collect::<Vec<_>>();
        out.written(9);
        assert_eq!(numbers(out.octets()), [2, 5]);
        out.written(32);
        assert!(out.stuck_since().is_none());
    }
}
