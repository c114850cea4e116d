//! PDUs as they lie in the stream: each as long as its `command_length` says (SMPP 3.4 §3.2), whatever it holds.
//!
//! Keeps: each PDU is looked for where the one before it ends. An impossible length means that the place is lost, and
//! only then does the connection end.

use tokio_util::{
    bytes::{Buf, BytesMut},
    codec::Decoder,
};

/// Length, id, status and sequence number (SMPP 3.4 §3.2).
const HEADER: usize = 16;
/// Room for a full `message_payload` and as much again: longer PDUs are passed over unread.
const LONGEST_READ: usize = 128 * 1024;
/// The longest PDU that is believed: a longer one means that this is no longer SMPP.
const LONGEST: usize = 1024 * 1024;

/// One PDU.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// `command_id`.
    pub(crate) id: u32,
    /// `command_status`.
    pub(crate) status: u32,
    /// `sequence_number`.
    pub(crate) number: u32,
    /// What follows the header; none where it is too long to be read.
    pub(crate) body: Option<BytesMut>,
}

/// Reads frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// Octets still to come of a PDU that is passed over.
    to_skip: usize,
}

impl Decoder for Frames {
    type Item = Frame;
    type Error = std::io::Error;

    fn decode(&mut self, octets: &mut BytesMut) -> Result<Option<Frame>, std::io::Error> {
        let skipped = self.to_skip.min(octets.len());
        octets.advance(skipped);
        self.to_skip -= skipped;
        if octets.len() < HEADER {
            return Ok(None);
        }
        let mut header = &octets[..HEADER];
        let length = header.get_u32() as usize;
        let (id, status, number) = (header.get_u32(), header.get_u32(), header.get_u32());
        if !(HEADER..=LONGEST).contains(&length) {
            return Err(std::io::Error::other(format!(
                "the far end speaks no SMPP: a PDU of {length} octets"
            )));
        }
        if length > LONGEST_READ {
            octets.advance(HEADER);
            self.to_skip = length - HEADER;
            return Ok(Some(Frame { id, status, number, body: None }));
        }
        if octets.len() < length {
            octets.reserve(length - octets.len());
            return Ok(None);
        }
        let mut body = octets.split_to(length);
        body.advance(HEADER);
        Ok(Some(Frame { id, status, number, body: Some(body) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pdu(length: usize, number: u32) -> Vec<u8> {
        let header = [length as u32, 5, 0, number].into_iter().flat_map(u32::to_be_bytes);
        header.chain(std::iter::repeat_n(7, length.saturating_sub(HEADER))).collect()
    }

    #[test]
    fn each_pdu_is_read_where_the_one_before_ends() {
        let mut octets = BytesMut::new();
        let mut frames = Frames::default();
        let stream = [pdu(16, 1), pdu(20, 2), pdu(LONGEST_READ + 5, 3), pdu(17, 4)].concat();
        let mut read = Vec::new();
        // In pieces, as a network cuts it.
        for piece in stream.chunks(1000) {
            octets.extend_from_slice(piece);
            while let Some(frame) = frames.decode(&mut octets).unwrap() {
                read.push((frame.number, frame.body.map(|body| body.len())));
            }
        }
        assert_eq!(read, [(1, Some(0)), (2, Some(4)), (3, None), (4, Some(1))]);
    }

    #[test]
    fn what_cannot_be_a_length_is_no_smpp() {
        for octets in [&b"HTTP/1.1 400 Bad"[..], &[0xFF; 16], &pdu(15, 1), &[0; 16]] {
            assert!(Frames::default().decode(&mut BytesMut::from(octets)).is_err());
        }
    }
}
