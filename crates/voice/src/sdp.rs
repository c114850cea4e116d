//! The description of a call's sound (SDP, RFC 8866) and its negotiation (RFC 3264): one stream of audio, one codec,
//! keys as telephone events (RFC 4733). The crate reads and writes; what is offered and taken is decided here.

use std::net::{IpAddr, SocketAddr};

use sdp_types::{Attribute, Connection, Media, MediaType, Origin, RtpMap, Session, Time, TransportProto};

/// The payload number that we give to telephone events in an offer.
const KEYS_PAYLOAD: u8 = 101;
/// The longest description that is read, in bytes.
const LONGEST: usize = 16_384;
/// Room for a description of ours with one stream, in bytes.
const USUAL: usize = 384;
/// The length of a frame, in milliseconds.
const PTIME: u8 = 20;

/// A codec of a phone line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722, 16 kHz.
    G722,
}

impl Codec {
    /// Its static payload number (RFC 3551 §6).
    pub const fn payload(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
        }
    }

    /// Its name in SDP.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
        }
    }
}

/// Which way sound goes, as the describing side sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// It sends and does not listen.
    SendOnly,
    /// It listens and does not send.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The same as the other side says it.
    const fn answered(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            both => both,
        }
    }
}

/// Our side of a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// The session's number, the same for the whole call.
    pub session: u64,
    /// Its version: one more with each change (RFC 3264 §5).
    pub version: u64,
    /// Where we want the sound.
    pub address: SocketAddr,
}

/// What was agreed: where our sound goes, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// Where the far end wants the sound; none where it named no address that can be sent to.
    pub address: Option<SocketAddr>,
    /// The codec.
    pub codec: Codec,
    /// The codec's payload number.
    pub payload: u8,
    /// The payload number of telephone events, where both sides take them.
    pub keys: Option<u8>,
    /// As the far end says it.
    pub direction: Direction,
    /// On hold: the far end does not want our sound (`sendonly`, `inactive`, or the address 0.0.0.0 of RFC 2543).
    pub held: bool,
}

/// Why a description cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is none.
    #[error("the far end sent no description of its sound (SDP)")]
    Missing,
    /// It cannot be read.
    #[error("the far end's description of its sound (SDP) cannot be read: {0}")]
    Malformed(String),
    /// It holds no audio, or refuses it by port 0.
    #[error("the far end takes no audio")]
    NoAudio,
    /// It demands another transport than plain RTP.
    #[error("the far end demands audio over {0}, we speak RTP/AVP")]
    Protocol(String),
    /// No codec of ours is in it.
    #[error("no common codec: the far end offers {0}")]
    NoCommonCodec(String),
}

/// Our offer: the codecs in order of preference, and keys.
pub fn offer(local: &Local, codecs: &[Codec]) -> Vec<u8> {
    let mut formats: Vec<(u8, &str)> = codecs.iter().map(|codec| (codec.payload(), codec.name())).collect();
    formats.push((KEYS_PAYLOAD, "telephone-event"));
    write(local, vec![audio(local, &formats, Direction::SendRecv)])
}

/// Reads the answer to our offer of `codecs`: the far end's first choice holds.
///
/// # Errors
/// Where the call cannot have sound by it.
pub fn read_answer(answer: &[u8], codecs: &[Codec]) -> Result<Sound, Fault> {
    let session = parse(answer)?;
    let media = audio_of(&session)?;
    sound(&session, media, |known| known.iter().find(|(_, codec)| codecs.contains(codec)).copied())
}

/// Answers an offer of the far end, our first choice among its codecs.
///
/// # Errors
/// Where nothing in it can be taken: refuse it with 488.
pub fn answer(offer: &[u8], local: &Local, codecs: &[Codec]) -> Result<(Vec<u8>, Sound), Fault> {
    let session = parse(offer)?;
    let taken = audio_of(&session)?;
    let sound = sound(&session, taken, |known| {
        codecs.iter().find_map(|ours| known.iter().find(|(_, codec)| codec == ours).copied())
    })?;
    let mut formats = vec![(sound.payload, sound.codec.name())];
    formats.extend(sound.keys.map(|payload| (payload, "telephone-event")));
    // Every stream of an offer has its place in the answer; those not taken get port 0 (RFC 3264 §6).
    let streams = session.medias.iter().map(|media| {
        if std::ptr::eq(media, taken) {
            audio(local, &formats, sound.direction.answered())
        } else {
            Media {
                port: 0,
                attributes: Vec::new(),
                connections: Vec::new(),
                bandwidths: Vec::new(),
                ..media.clone()
            }
        }
    });
    Ok((write(local, streams.collect()), sound))
}

fn parse(sdp: &[u8]) -> Result<Session, Fault> {
    if sdp.iter().all(u8::is_ascii_whitespace) {
        return Err(Fault::Missing);
    }
    if sdp.len() > LONGEST {
        return Err(Fault::Malformed(format!("it is longer than {LONGEST} bytes")));
    }
    Session::parse(sdp).map_err(|e| Fault::Malformed(e.to_string()))
}

/// The first stream of audio that is not refused.
fn audio_of(session: &Session) -> Result<&Media, Fault> {
    let is_audio = |media: &&Media| media.media.eq_ignore_ascii_case("audio") && media.port != 0;
    let mut streams = session.medias.iter().filter(is_audio).peekable();
    let first = *streams.peek().ok_or(Fault::NoAudio)?;
    streams
        .find(|media| media.parse_transport_proto() == TransportProto::RtpAvp)
        .ok_or_else(|| Fault::Protocol(first.proto.clone()))
}

fn sound(
    session: &Session,
    media: &Media,
    choose: impl Fn(&[(u8, Codec)]) -> Option<(u8, Codec)>,
) -> Result<Sound, Fault> {
    let maps: Vec<RtpMap> = media.attributes_typed::<RtpMap>().filter_map(Result::ok).collect();
    let map = |payload: u8| maps.iter().find(|map| map.payload_type == payload);
    let payloads: Vec<u8> = media.fmt.split_ascii_whitespace().filter_map(|f| f.parse().ok()).collect();
    let codec = |payload: u8| {
        let all = [Codec::Pcmu, Codec::Pcma, Codec::G722];
        all.into_iter().find(|codec| match map(payload) {
            Some(map) => map.clock_rate == 8_000 && map.encoding_name.eq_ignore_ascii_case(codec.name()),
            None => payload == codec.payload(),
        })
    };
    let known: Vec<(u8, Codec)> =
        payloads.iter().filter_map(|p| codec(*p).map(|codec| (*p, codec))).collect();
    let (payload, codec) = choose(&known).ok_or_else(|| {
        let names =
            payloads.iter().map(|p| map(*p).map_or_else(|| p.to_string(), |m| m.encoding_name.clone()));
        Fault::NoCommonCodec(names.take(16).collect::<Vec<_>>().join(", "))
    })?;
    let is_keys = |payload: &u8| {
        let keys = |map: &RtpMap| map.encoding_name.eq_ignore_ascii_case("telephone-event");
        map(*payload).is_some_and(|map| map.clock_rate == 8_000 && keys(map))
    };
    let direction = direction(&media.attributes)
        .or_else(|| direction(&session.attributes))
        .unwrap_or(Direction::SendRecv);
    let connection = media.connections.first().or(session.connection.as_ref());
    let ip = connection.and_then(|c| c.connection_address.split('/').next()?.parse::<IpAddr>().ok());
    let nowhere = ip.is_some_and(|ip| ip.is_unspecified());
    Ok(Sound {
        address: ip.filter(|_| !nowhere).map(|ip| SocketAddr::new(ip, media.port)),
        codec,
        payload,
        keys: payloads.iter().copied().find(is_keys),
        direction,
        held: nowhere || matches!(direction, Direction::SendOnly | Direction::Inactive),
    })
}

fn direction(attributes: &[Attribute]) -> Option<Direction> {
    let all = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
    attributes.iter().find_map(|attribute| all.into_iter().find(|d| attribute.attribute == d.name()))
}

fn audio(local: &Local, formats: &[(u8, &str)], direction: Direction) -> Media {
    let numbers: Vec<String> = formats.iter().map(|(payload, _)| payload.to_string()).collect();
    let mut media =
        Media::new(MediaType::Audio, local.address.port(), TransportProto::RtpAvp, numbers.join(" "));
    for (payload, name) in formats {
        media.add_attribute(RtpMap::new(*payload, name, 8_000));
        if *name == "telephone-event" {
            media.add_attribute_with_value("fmtp", format!("{payload} 0-16"));
        }
    }
    media.add_attribute_with_value("ptime", PTIME);
    media.add_attribute_from_str(direction.name());
    media
}

fn write(local: &Local, medias: Vec<Media>) -> Vec<u8> {
    let ip = local.address.ip();
    let mut session = Session::new(Origin::with_ip_addr(local.session, local.version, ip), "-");
    session.set_connection(Connection::from_ip_addr(ip));
    session.add_time(Time::new(0, 0));
    session.add_medias(medias);
    let mut written = Vec::with_capacity(USUAL);
    // Writing to memory does not fail.
    let _ = session.write(&mut written);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Local = Local {
        session: 7,
        version: 1,
        address: SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 40_000),
    };
    const BOTH: &[Codec] = &[Codec::Pcmu, Codec::Pcma];

    fn described(lines: &str) -> Vec<u8> {
        format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n{lines}").into_bytes()
    }

    #[test]
    fn the_offer_names_codecs_keys_and_address() {
        let written = String::from_utf8(offer(&LOCAL, BOTH)).unwrap();
        assert_eq!(
            written,
            "v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
        );
    }

    #[test]
    fn the_far_ends_first_choice_among_ours_holds() {
        for (formats, maps, codec, payload, keys) in [
            ("0", "", Codec::Pcmu, 0, None),
            ("8 0 101", "a=rtpmap:101 telephone-event/8000\r\n", Codec::Pcma, 8, Some(101)),
            ("9 0", "", Codec::Pcmu, 0, None),
            (
                "97 96",
                "a=rtpmap:96 telephone-event/8000\r\na=rtpmap:97 pcma/8000\r\n",
                Codec::Pcma,
                97,
                Some(96),
            ),
            ("0 101", "a=rtpmap:101 telephone-event/48000\r\n", Codec::Pcmu, 0, None),
        ] {
            let lines = format!("c=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 5004 RTP/AVP {formats}\r\n{maps}");
            let read = read_answer(&described(&lines), BOTH).unwrap();
            assert_eq!((read.codec, read.payload, read.keys), (codec, payload, keys), "{formats}");
            assert_eq!(read.address, Some("192.0.2.9:5004".parse().unwrap()));
            assert!(!read.held);
        }
    }

    #[test]
    fn hold_is_known_in_all_its_forms() {
        for (session, stream, held, direction) in [
            ("c=IN IP4 192.0.2.9\r\nt=0 0\r\n", "", false, Direction::SendRecv),
            ("c=IN IP4 192.0.2.9\r\nt=0 0\r\n", "a=sendonly\r\n", true, Direction::SendOnly),
            ("c=IN IP4 192.0.2.9\r\nt=0 0\r\n", "a=inactive\r\n", true, Direction::Inactive),
            ("c=IN IP4 192.0.2.9\r\nt=0 0\r\n", "a=recvonly\r\n", false, Direction::RecvOnly),
            ("c=IN IP4 192.0.2.9\r\nt=0 0\r\na=sendonly\r\n", "", true, Direction::SendOnly),
            ("c=IN IP4 192.0.2.9\r\nt=0 0\r\na=sendonly\r\n", "a=sendrecv\r\n", false, Direction::SendRecv),
            ("c=IN IP4 0.0.0.0\r\nt=0 0\r\n", "", true, Direction::SendRecv),
            ("t=0 0\r\n", "c=IN IP4 0.0.0.0\r\n", true, Direction::SendRecv),
        ] {
            let lines = format!("{session}m=audio 5004 RTP/AVP 0\r\n{stream}");
            let read = read_answer(&described(&lines), BOTH).unwrap();
            assert_eq!((read.held, read.direction), (held, direction), "{lines}");
            assert_eq!(read.address.is_none(), lines.contains("0.0.0.0"));
        }
    }

    #[test]
    fn what_gives_no_sound_is_refused_with_its_reason() {
        let unreadable = read_answer(b"hello", BOTH);
        assert!(matches!(unreadable, Err(Fault::Malformed(_))), "{unreadable:?}");
        assert!(matches!(read_answer(&vec![b'x'; LONGEST + 1], BOTH), Err(Fault::Malformed(_))));
        for (sdp, fault) in [
            (Vec::new(), Fault::Missing),
            (b" \r\n".to_vec(), Fault::Missing),
            (described("t=0 0\r\n"), Fault::NoAudio),
            (described("t=0 0\r\nm=video 5004 RTP/AVP 0\r\n"), Fault::NoAudio),
            (described("t=0 0\r\nm=audio 0 RTP/AVP 0\r\n"), Fault::NoAudio),
            (described("t=0 0\r\nm=audio 5004 RTP/SAVP 0\r\n"), Fault::Protocol("RTP/SAVP".to_owned())),
            (
                described("t=0 0\r\nm=audio 5004 RTP/AVP 18 96\r\na=rtpmap:96 opus/48000/2\r\n"),
                Fault::NoCommonCodec("18, opus".to_owned()),
            ),
        ] {
            assert_eq!(read_answer(&sdp, BOTH), Err(fault));
        }
    }

    #[test]
    fn an_offer_is_answered_stream_by_stream() {
        let lines = "c=IN IP4 192.0.2.9\r\nt=0 0\r\nm=video 6000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
                     m=audio 5004 RTP/AVP 8 0 100\r\na=rtpmap:100 telephone-event/8000\r\na=sendonly\r\n";
        let (written, sound) = answer(&described(lines), &Local { version: 2, ..LOCAL }, BOTH).unwrap();
        assert_eq!((sound.codec, sound.keys, sound.held), (Codec::Pcmu, Some(100), true));
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "v=0\r\no=- 7 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=video 0 RTP/AVP 96\r\n\
             m=audio 40000 RTP/AVP 0 100\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:100 telephone-event/8000\r\n\
             a=fmtp:100 0-16\r\na=ptime:20\r\na=recvonly\r\n"
        );
    }

    #[test]
    fn what_we_write_we_read() {
        let sound = read_answer(&offer(&LOCAL, &[Codec::G722, Codec::Pcma]), &[Codec::G722]).unwrap();
        assert_eq!((sound.codec, sound.payload, sound.keys), (Codec::G722, 9, Some(101)));
        assert_eq!(sound.address, Some(LOCAL.address));
    }
}
