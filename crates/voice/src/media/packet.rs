//! RTP packets as they go out: sequence, timestamp and counts of one stream (RFC 3550 §5.1).

use rtp_types::RtpPacketBuilder;

/// The stream that we send.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) ssrc: u32,
    sequence: u16,
    /// The timestamp of the frame that goes out next.
    pub(crate) ticks: u32,
    /// Packets and bytes of payload since the beginning.
    pub(crate) packets: u32,
    pub(crate) bytes: u32,
}

impl Stream {
    pub(crate) fn new(ssrc: u32, sequence: u16, ticks: u32) -> Self {
        Self { ssrc, sequence, ticks, packets: 0, bytes: 0 }
    }

    /// Writes the next packet into `buffer`, `age` ticks back in time (an event's packets name its beginning).
    pub(crate) fn write(&mut self, kind: u8, marker: bool, age: u32, payload: &[u8], buffer: &mut Vec<u8>) {
        buffer.clear();
        let packet = RtpPacketBuilder::<&[u8], &[u8]>::new()
            .payload_type(kind)
            .marker_bit(marker)
            .sequence_number(self.sequence)
            .timestamp(self.ticks.wrapping_sub(age))
            .ssrc(self.ssrc)
            .payload(payload);
        // Fails for no packet of ours: the payload type was checked when it was agreed.
        if packet.write_into_vec(buffer).is_err() {
            buffer.clear();
            return;
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(payload.len() as u32);
    }
}
