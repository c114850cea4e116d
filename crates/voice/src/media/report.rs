//! RTCP (RFC 3550 §6): what was received is counted, reports go out about every five seconds, a BYE at the end.

use std::time::{Duration, Instant};

use rtcp_types::{
    Bye, Compound, Packet, ReceiverReport, ReportBlock, RtcpPacketWriter, RtcpPacketWriterExt, Sdes,
    SdesChunk, SdesItem, SenderReport,
};

use crate::media::packet::Stream;

/// The mean time between reports; each is 0.5 to 1.5 times as long (RFC 3550 §6.3.1).
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);

/// What a receiver counts of one source (RFC 3550 appendix A.3, A.8).
#[derive(Debug, Default)]
pub(crate) struct Reception {
    ssrc: u32,
    first: u32,
    highest: u32,
    received: u32,
    /// Expected and received when the last report went out.
    before: (u32, u32),
    transit: Option<i32>,
    /// Sixteen times the jitter, in ticks.
    jitter: u32,
    /// The middle bits of the last sender report's time, and when it came.
    sender_report: Option<(u32, Instant)>,
}

impl Reception {
    /// Counts a packet that arrived `ticks_now` on our clock.
    pub(crate) fn count(&mut self, ssrc: u32, sequence: u16, ticks: u32, ticks_now: u32) {
        if self.received == 0 || ssrc != self.ssrc {
            *self = Self {
                ssrc,
                first: u32::from(sequence),
                highest: u32::from(sequence),
                received: 1,
                ..Self::default()
            };
            return;
        }
        let ahead = sequence.wrapping_sub(self.highest as u16) as i16;
        if ahead > 0 {
            self.highest = self.highest.wrapping_add(ahead as u32);
        }
        self.received = self.received.wrapping_add(1);
        let transit = ticks_now.wrapping_sub(ticks) as i32;
        if let Some(before) = self.transit.replace(transit) {
            let difference = transit.wrapping_sub(before).unsigned_abs().min(80_000);
            self.jitter = self.jitter + difference - ((self.jitter + 8) >> 4);
        }
    }

    /// Reads a compound packet of the far end: the time of its sender report goes back in our next one.
    pub(crate) fn read(&mut self, now: Instant, packet: &[u8]) {
        let Ok(compound) = Compound::parse(packet) else { return };
        for packet in compound.flatten() {
            if let Packet::Sr(report) = packet {
                self.sender_report = Some(((report.ntp_timestamp() >> 16) as u32, now));
            }
        }
    }

    fn block(&mut self, now: Instant) -> Option<rtcp_types::ReportBlockBuilder> {
        if self.received == 0 {
            return None;
        }
        let expected = self.highest.wrapping_sub(self.first).wrapping_add(1);
        let lost = expected.saturating_sub(self.received).min(0x7f_ffff);
        let (expected_now, received_now) =
            (expected.wrapping_sub(self.before.0), self.received.wrapping_sub(self.before.1));
        self.before = (expected, self.received);
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction = (lost_now * 256).checked_div(expected_now).unwrap_or(0).min(255);
        let block = ReportBlock::builder(self.ssrc)
            .fraction_lost(fraction as u8)
            .cumulative_lost(lost)
            .extended_sequence_number(self.highest)
            .interarrival_jitter(self.jitter >> 4);
        Some(match self.sender_report {
            Some((time, came)) => block
                .last_sender_report_timestamp(time)
                // In units of 1/65,536 s.
                .delay_since_last_sender_report_timestamp(
                    (now.saturating_duration_since(came).as_secs_f64() * 65_536.0) as u32,
                ),
            None => block,
        })
    }
}

/// Writes a report: a sender's where something was sent, else a receiver's; with BYE at the end of a call.
pub(crate) fn write(
    stream: &Stream,
    reception: &mut Reception,
    now: Instant,
    ntp: u64,
    name: &str,
    bye: bool,
    buffer: &mut Vec<u8>,
) {
    let names = Sdes::builder()
        .add_chunk(SdesChunk::builder(stream.ssrc).add_item(SdesItem::builder(SdesItem::CNAME, name)));
    let compound = Compound::builder();
    let block = reception.block(now);
    let compound = if stream.packets > 0 {
        let report = SenderReport::builder(stream.ssrc)
            .ntp_timestamp(ntp)
            .rtp_timestamp(stream.ticks)
            .packet_count(stream.packets)
            .octet_count(stream.bytes);
        compound.add_packet(match block {
            Some(block) => report.add_report_block(block),
            None => report,
        })
    } else {
        let report = ReceiverReport::builder(stream.ssrc);
        compound.add_packet(match block {
            Some(block) => report.add_report_block(block),
            None => report,
        })
    };
    let compound = compound.add_packet(names);
    let compound = if bye { compound.add_packet(Bye::builder().add_source(stream.ssrc)) } else { compound };
    buffer.clear();
    let Ok(size) = compound.calculate_size() else { return };
    buffer.resize(size, 0);
    if compound.write_into(buffer).is_err() {
        buffer.clear();
    }
}
