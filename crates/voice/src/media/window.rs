//! Puts packets back in order: one that is early waits up to 60 ms for those before it, duplicates and late ones go.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a packet waits for one before it.
pub(crate) const WAIT: Duration = Duration::from_millis(60);
/// The most packets that wait: more than 60 ms hold at 5 ms each.
const MOST: usize = 16;
/// A step in the sequence that is a new stream and no loss (RFC 3550 appendix A.1, `MAX_DROPOUT`).
const NEW_STREAM: i64 = 3_000;

/// What one packet carries on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece<Payload = Vec<u8>> {
    pub(crate) kind: u8,
    pub(crate) marker: bool,
    pub(crate) ticks: u32,
    pub(crate) payload: Payload,
}

impl Piece<&[u8]> {
    pub(crate) fn kept(self) -> Piece {
        let Self { kind, marker, ticks, payload } = self;
        Piece { kind, marker, ticks, payload: payload.to_vec() }
    }
}

impl Piece {
    pub(crate) fn as_ref(&self) -> Piece<&[u8]> {
        let Self { kind, marker, ticks, payload } = self;
        Piece { kind: *kind, marker: *marker, ticks: *ticks, payload }
    }
}

/// The window of one source.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// The extended sequence number that comes next.
    next: Option<i64>,
    waiting: BTreeMap<i64, (Instant, Piece)>,
}

impl Window {
    /// Whether this packet comes next and none waits; then it has come.
    pub(crate) fn is_next(&mut self, sequence: u16) -> bool {
        let next = self.next.unwrap_or_else(|| i64::from(sequence));
        let is_next = sequence == next as u16 && self.waiting.is_empty();
        if is_next {
            self.next = Some(next + 1);
        }
        is_next
    }

    /// Takes a packet; whatever is in order now goes to `out`.
    pub(crate) fn push(&mut self, now: Instant, sequence: u16, piece: Piece, out: &mut Vec<Piece>) {
        let next = self.next.unwrap_or_else(|| i64::from(sequence));
        let step = i64::from(sequence.wrapping_sub(next as u16) as i16);
        if step.abs() > NEW_STREAM {
            self.flush(out);
            self.next = Some(i64::from(sequence) + 1);
            out.push(piece);
            return;
        }
        if step == 0 {
            self.next = Some(next + 1);
            out.push(piece);
        } else if step > 0 {
            self.next = Some(next);
            self.waiting.entry(next + step).or_insert((now, piece));
        }
        self.drain(now, out);
    }

    /// Lets go on what has waited long enough.
    pub(crate) fn drain(&mut self, now: Instant, out: &mut Vec<Piece>) {
        while let Some(entry) = self.waiting.first_entry() {
            let in_turn = Some(*entry.key()) == self.next;
            // The packet that has waited longest may stand behind others: they go with it.
            if !in_turn && self.longest(now) < WAIT && self.waiting.len() <= MOST {
                break;
            }
            if let Some((sequence, (_, piece))) = self.waiting.pop_first() {
                self.next = Some(sequence + 1);
                out.push(piece);
            }
        }
    }

    /// Gives everything that waits, in order, and begins anew.
    pub(crate) fn flush(&mut self, out: &mut Vec<Piece>) {
        out.extend(std::mem::take(&mut self.waiting).into_values().map(|(_, piece)| piece));
        self.next = None;
    }

    fn longest(&self, now: Instant) -> Duration {
        self.waiting
            .values()
            .map(|(since, _)| now.saturating_duration_since(*since))
            .max()
            .unwrap_or_default()
    }
}
