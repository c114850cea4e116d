//! The UDP ports of calls: an even one for RTP and the next for RTCP, one pair a call, from the route's range. The second is
//! opened with the sound: most calls that ring never have any.
//!
//! Pairs are given round the range, so that what still arrives for a call that ended does not reach the next one.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use socket2::{Domain, SockRef, Socket, Type};

/// What a socket holds until sound is agreed, in bytes: the system makes of it the least that it can, a packet or two. What
/// comes before then is early sound, which nobody hears and which would fill the system's memory while many phones ring.
const LEAST_BYTES: usize = 0;
/// What it holds from then on: over a second of sound.
const USUAL_BYTES: usize = 65_536;
/// As many packets are passed over at the most when sound is agreed: more than `LEAST_BYTES` can hold.
const MOST_EARLY: usize = 64;

/// Why no port can be had, for whoever operates the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortsError {
    /// A range that is none.
    #[error(
        "media_ports: \"{0}\" is no range of ports such as 10000-20000 (1024 to 65535, at least one even port and the next)"
    )]
    Range(String),
    /// All pairs are taken.
    #[error(
        "out of ports: all {pairs} pairs of {from}-{to} are in use: widen media_ports or lower max_calls"
    )]
    Out {
        /// The pairs of the range.
        pairs: usize,
        /// The first port.
        from: u16,
        /// The last port.
        to: u16,
    },
    /// The process may open no more files.
    #[error(
        "out of file descriptors: no socket can be opened for a call's sound: raise the limit (ulimit -n, LimitNOFILE)"
    )]
    Descriptors,
    /// The system refuses for another reason.
    #[error("no socket can be opened on {address}: {error}")]
    Socket {
        /// Where it was tried.
        address: IpAddr,
        /// What the system said.
        error: String,
    },
}

/// A range of ports, shared by all calls of a route.
#[derive(Debug, Clone, Default)]
pub struct Ports {
    from: u16,
    to: u16,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    ports: HashSet<u16>,
    /// The second ports that were free when they were looked at last: what another program holds, it holds for long.
    free: HashSet<SocketAddr>,
    /// The pair that is tried next, counted from the first.
    next: usize,
}

impl FromStr for Ports {
    type Err = PortsError;

    fn from_str(text: &str) -> Result<Self, PortsError> {
        let wrong = || PortsError::Range(text.chars().take(40).collect());
        let (from, to) = text.split_once('-').ok_or_else(wrong)?;
        let port =
            |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port >= 1024).ok_or_else(wrong);
        let ports = Self { from: port(from)?, to: port(to)?, taken: Arc::default() };
        if ports.pairs() == 0 { Err(wrong()) } else { Ok(ports) }
    }
}

impl Ports {
    /// The calls that the range has room for.
    pub fn pairs(&self) -> usize {
        (usize::from(self.to) + 1).saturating_sub(usize::from(self.first())) / 2
    }

    /// Opens the socket for a call's RTP on `address`. The pair is free again once its place is dropped.
    pub fn take(&self, address: IpAddr) -> Result<(UdpSocket, Place), PortsError> {
        for _ in 0..self.pairs() {
            let Some(port) = self.reserve() else { break };
            // Dropped where a socket cannot be opened.
            let place = Place { at: SocketAddr::new(address, port), taken: self.taken.clone() };
            let opened = open(place.at).and_then(|rtp| {
                SockRef::from(&rtp).set_recv_buffer_size(LEAST_BYTES)?;
                let second = place.second();
                if !lock(&self.taken).free.contains(&second) {
                    open(second)?;
                    lock(&self.taken).free.insert(second);
                }
                Ok(rtp)
            });
            match opened {
                Ok(rtp) => return Ok((rtp, place)),
                // Another program has it: the next may be free.
                Err(error) if matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied) => {}
                Err(error) if matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) => {
                    return Err(PortsError::Descriptors);
                }
                Err(error) => return Err(PortsError::Socket { address, error: error.to_string() }),
            }
        }
        Err(PortsError::Out { pairs: self.pairs(), from: self.from, to: self.to })
    }

    fn first(&self) -> u16 {
        self.from.saturating_add(self.from % 2)
    }

    /// Marks the next pair that no call of ours has.
    fn reserve(&self) -> Option<u16> {
        let mut taken = lock(&self.taken);
        let pairs = self.pairs();
        for _ in 0..pairs {
            let port = self.first() + 2 * (taken.next % pairs) as u16;
            taken.next = (taken.next + 1) % pairs;
            if taken.ports.insert(port) {
                return Some(port);
            }
        }
        None
    }
}

/// Opens a socket that does not block.
fn open(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking(), None)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Sound is agreed: what came before is passed over, and from now on there is room for what comes. Returns the socket for
/// RTCP; none where another program has taken its port meanwhile, or there is no descriptor: sound goes without reports, and
/// the pair is looked at again before it is given to another call.
pub(crate) fn open_wide(rtp: &UdpSocket, place: &Place) -> Option<UdpSocket> {
    for _ in 0..MOST_EARLY {
        if rtp.recv(&mut []).is_err() {
            break;
        }
    }
    // Where the system refuses, sound is heard as long as it is read in time.
    let _ = SockRef::from(rtp).set_recv_buffer_size(USUAL_BYTES);
    let second = place.second();
    match open(second) {
        Ok(opened) => Some(opened),
        Err(error) => {
            tracing::debug!(%error, %second, "a call's sound has no reports (RTCP)");
            lock(&place.taken).free.remove(&second);
            None
        }
    }
}

/// Too many open files: in this process, in the system.
const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();
const ENFILE: i32 = rustix::io::Errno::NFILE.raw_os_error();

/// A pair's place in its range, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    /// The address of RTP.
    at: SocketAddr,
    taken: Arc<Mutex<Taken>>,
}

impl Place {
    /// The port of RTP.
    pub const fn port(&self) -> u16 {
        self.at.port()
    }

    /// Whether it is that of no address in particular.
    pub(crate) const fn is_any(&self) -> bool {
        self.at.ip().is_unspecified()
    }

    /// The address of RTCP.
    const fn second(&self) -> SocketAddr {
        SocketAddr::new(self.at.ip(), self.at.port() + 1)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.taken).ports.remove(&self.port());
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_range_has_room_for_its_even_ports_with_the_next() {
        let table = [
            ("10000-20000", 5_000),
            ("10000-10001", 1),
            ("10001-10003", 1),
            ("10001-10004", 1),
            (" 30000 - 30009 ", 5),
            ("65000-65535", 268),
        ];
        for (text, pairs) in table {
            assert_eq!(text.parse::<Ports>().map(|ports| ports.pairs()), Ok(pairs), "{text}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused_in_words() {
        for text in [
            "",
            "-",
            "10000",
            "20000-10000",
            "10000-10000",
            "10001-10002",
            "80-90",
            "1-70000",
            "a-b",
            "65535-65535",
            "10000-20000-30000",
        ] {
            let error = text.parse::<Ports>().unwrap_err();
            assert_eq!(error, PortsError::Range(text.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_port_that_another_program_has_is_passed_over_and_none_is_given_again_at_once() {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let _others = UdpSocket::bind((address, 23_003)).unwrap();
        let ports: Ports = "23000-23007".parse().unwrap();
        let take = || ports.take(address).map(|(_, place)| place);
        let first = take().unwrap();
        assert_eq!(first.port(), 23_000);
        drop(first);
        let second = take().unwrap();
        assert_eq!(second.port(), 23_004);
        let all = [take().unwrap(), take().unwrap()];
        assert_eq!(all.each_ref().map(Place::port), [23_006, 23_000]);
        assert!(matches!(take(), Err(PortsError::Out { pairs: 4, from: 23_000, to: 23_007 })));
        drop(all);
        assert_eq!(take().unwrap().port(), 23_006);
    }

    #[test]
    fn the_second_port_is_opened_with_the_sound_if_it_is_still_free() {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ports: Ports = "23010-23011".parse().unwrap();
        let (first, place) = ports.take(address).unwrap();
        let second = open_wide(&first, &place).unwrap();
        assert_eq!(second.local_addr().unwrap().port(), 23_011);
        drop((first, second, place));
        let _others = UdpSocket::bind((address, 23_011)).unwrap();
        let (first, place) = ports.take(address).unwrap();
        assert!(open_wide(&first, &place).is_none());
        drop((first, place));
        assert!(
            matches!(ports.take(address), Err(PortsError::Out { .. })),
            "a pair is given that is not free"
        );
    }
}
