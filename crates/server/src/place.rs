//! How a request came: from where, over TLS or not, to which host. The peer of its connection tells it or, if that is a
//! trusted proxy, what the proxy wrote into `X-Forwarded-For` or `Forwarded` (RFC 7239).
//!
//! Keeps: nobody chooses their own place. Both headers are read from their end, which the trusted proxies wrote, up to
//! the first address that is not one of theirs. A proxy writes one of the headers and passes the other through as it
//! came, so if both are there and disagree, neither is believed.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, HeaderName, header, request::Parts},
};
use ipnet::IpNet;

use crate::App;

/// The place of a request, as attempts are counted: an IPv4 address, or a /64 of IPv6, as one machine has a whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place(IpAddr);

impl From<IpAddr> for Place {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// How a request came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Came {
    /// Where it came from.
    pub(crate) place: Place,
    /// Whether the browser's end of the connection is TLS.
    pub(crate) over_tls: bool,
    /// The hosts that it may have asked for: as typed, and as the proxy passed it on.
    hosts: Vec<String>,
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

impl Came {
    /// How a request with these headers came over a connection from `peer`.
    fn new(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let peer = peer.to_canonical();
        let is_trusted = |address: &IpAddr| trusted.iter().any(|proxy| proxy.contains(address));
        let mut hosts: Vec<String> = entries(headers, &header::HOST).map(bare_host).collect();
        if !is_trusted(&peer) {
            return Self { place: peer.into(), over_tls: false, hosts };
        }
        let nearest = |chain: Vec<Option<IpAddr>>| {
            // Nothing is known beyond an entry that cannot be read.
            let chain = chain.into_iter().rev().map_while(|address| address);
            let mut last = peer;
            for address in chain {
                last = address;
                if !is_trusted(&last) {
                    break;
                }
            }
            last
        };
        let listed: Vec<_> = entries(headers, &FORWARDED_FOR).map(address).collect();
        let forwarded: Vec<_> = entries(headers, &header::FORWARDED).collect();
        let elements: Vec<_> =
            forwarded.iter().map(|e| parameter(e, "for").and_then(|node| address(&node))).collect();
        let caller = match (listed.is_empty(), elements.is_empty()) {
            (true, _) => nearest(elements),
            (_, true) => nearest(listed),
            _ => Some(nearest(listed)).filter(|caller| *caller == nearest(elements)).unwrap_or(peer),
        };
        let first = |name: &HeaderName, of_forwarded: &str| {
            let written = entries(headers, name).next().map(str::to_owned);
            written.or_else(|| parameter(forwarded.first()?, of_forwarded))
        };
        hosts.extend(first(&FORWARDED_HOST, "host").as_deref().map(bare_host));
        let over_tls =
            first(&FORWARDED_PROTO, "proto").is_some_and(|proto| proto.eq_ignore_ascii_case("https"));
        Self { place: caller.into(), over_tls, hosts }
    }

    /// How a request came, by its parts.
    pub(crate) fn of(parts: &Parts, app: &App) -> Self {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        Self::new(peer.unwrap_or(Ipv6Addr::UNSPECIFIED.into()), &parts.headers, &app.config.trusted_proxies)
    }

    /// The address of the pages here, as the client would type it.
    pub(crate) fn base(&self) -> String {
        let scheme = if self.over_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.hosts.last().map_or("", String::as_str))
    }

    /// Whether `origin`, as a browser states it (RFC 6454), is that of the pages here.
    pub(crate) fn is_to(&self, origin: &str) -> bool {
        origin.split_once("://").is_some_and(|(_, host)| self.hosts.contains(&bare_host(host)))
    }
}

impl FromRequestParts<App> for Came {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self::of(parts, app))
    }
}

/// The entries of a list header, over all its lines.
fn entries<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> + use<'h> {
    let lines = headers.get_all(name).into_iter();
    lines.flat_map(|line| line.to_str().unwrap_or("?").split(',')).map(str::trim)
}

/// A parameter of an element of `Forwarded`, without its quotes.
fn parameter(element: &str, name: &str) -> Option<String> {
    element.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// An address with or without a port, as proxies write them.
fn address(text: impl AsRef<str>) -> Option<IpAddr> {
    let text = text.as_ref();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// A host in the form that is compared: a browser omits the default port, a proxy may write it.
fn bare_host(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    host.strip_suffix(":443").or(host.strip_suffix(":80")).map(str::to_owned).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn trusted() -> Vec<IpNet> {
        ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"].map(|n| n.parse().unwrap()).into()
    }

    #[test]
    fn only_trusted_proxies_say_where_a_request_comes_from() {
        const XFF: &str = "x-forwarded-for";
        const RFC: &str = "forwarded";
        for (peer, lines, expected) in [
            ("203.0.113.9", &[][..], "203.0.113.9"),
            // Not from a proxy of ours: what it states is its own claim.
            ("203.0.113.9", &[(XFF, "198.51.100.1")], "203.0.113.9"),
            ("203.0.113.9", &[(RFC, "for=198.51.100.1")], "203.0.113.9"),
            ("10.0.0.1", &[(XFF, "198.51.100.1")], "198.51.100.1"),
            ("::ffff:10.0.0.1", &[(XFF, "198.51.100.1")], "198.51.100.1"),
            ("fd00::1", &[(XFF, "2001:db8::7")], "2001:db8::7"),
            ("10.0.0.1", &[(RFC, "for=198.51.100.1;proto=https;by=10.0.0.1")], "198.51.100.1"),
            ("10.0.0.1", &[(RFC, "proto=https; For=\"[2001:db8::7]:4711\"")], "2001:db8::7"),
            // Entries that a client put in front are not believed.
            ("10.0.0.1", &[(XFF, "1.1.1.1, 198.51.100.1")], "198.51.100.1"),
            ("10.0.0.1", &[(XFF, "1.1.1.1"), (XFF, "198.51.100.1")], "198.51.100.1"),
            ("10.0.0.1", &[(XFF, "1.1.1.1, 198.51.100.1, 10.2.3.4")], "198.51.100.1"),
            ("10.0.0.1", &[(RFC, "for=1.1.1.1, for=198.51.100.1, for=10.2.3.4")], "198.51.100.1"),
            ("10.0.0.1", &[(XFF, "10.9.9.9")], "10.9.9.9"),
            // The header that the proxy passed through as it came.
            ("10.0.0.1", &[(XFF, "198.51.100.1"), (RFC, "for=1.1.1.1")], "10.0.0.1"),
            ("10.0.0.1", &[(RFC, "for=198.51.100.1"), (XFF, "1.1.1.1")], "10.0.0.1"),
            ("10.0.0.1", &[(RFC, "for=198.51.100.1"), (XFF, "198.51.100.1")], "198.51.100.1"),
            // Forms that proxies write.
            ("127.0.0.1", &[(XFF, "198.51.100.1:4711")], "198.51.100.1"),
            ("127.0.0.1", &[(XFF, "[2001:db8::7]:4711")], "2001:db8::7"),
            ("127.0.0.1", &[(XFF, "[2001:db8::7]")], "2001:db8::7"),
            ("127.0.0.1", &[(XFF, "::ffff:198.51.100.1")], "198.51.100.1"),
            // Entries that cannot be read.
            ("127.0.0.1", &[(XFF, "unknown")], "127.0.0.1"),
            ("127.0.0.1", &[(XFF, "198.51.100.1, unknown")], "127.0.0.1"),
            ("127.0.0.1", &[(XFF, "unknown, 198.51.100.1")], "198.51.100.1"),
            ("127.0.0.1", &[(XFF, "")], "127.0.0.1"),
            ("127.0.0.1", &[(RFC, "for=_hidden")], "127.0.0.1"),
            ("127.0.0.1", &[(RFC, "proto=https")], "127.0.0.1"),
        ] {
            let (peer, headers): (IpAddr, _) = (peer.parse().unwrap(), headers(lines));
            let expected = Place::from(expected.parse::<IpAddr>().unwrap());
            assert_eq!(Came::new(peer, &headers, &trusted()).place, expected, "{peer} {lines:?}");
            assert_eq!(Came::new(peer, &headers, &[]).place, Place::from(peer), "{peer} {lines:?}");
        }
    }

    #[test]
    fn only_trusted_proxies_say_how_a_request_came_and_what_for() {
        let (proxy, stranger): (IpAddr, IpAddr) =
            ("10.0.0.1".parse().unwrap(), "203.0.113.9".parse().unwrap());
        for (lines, over_tls, hosts) in [
            (&[("host", "inside:8080")][..], false, &["inside:8080"][..]),
            (&[("x-forwarded-proto", "https")], true, &[]),
            (&[("x-forwarded-proto", "HTTPS, http")], true, &[]),
            (&[("x-forwarded-proto", "http")], false, &[]),
            (&[("forwarded", "for=198.51.100.1;proto=https;host=a.example")], true, &["a.example"]),
            (
                &[("host", "inside:8080"), ("x-forwarded-host", "A.example:443")],
                false,
                &["inside:8080", "a.example"],
            ),
        ] {
            let headers = headers(lines);
            let came = Came::new(proxy, &headers, &trusted());
            assert_eq!(
                (came.over_tls, came.hosts),
                (over_tls, hosts.iter().map(|&h| h.to_owned()).collect())
            );
            let came = Came::new(stranger, &headers, &trusted());
            assert!(!came.over_tls && came.hosts.iter().all(|host| host == "inside:8080"), "{lines:?}");
        }
        let came = Came::new(
            proxy,
            &headers(&[("host", "inside:8080"), ("x-forwarded-host", "a.example")]),
            &trusted(),
        );
        for (origin, here) in [
            ("https://a.example", true),
            ("https://A.example:443", true),
            ("http://inside:8080", true),
            ("http://inside", false),
            ("https://b.a.example", false),
            ("null", false),
            ("a.example", false),
            ("https://a.example.elsewhere.example", false),
        ] {
            assert_eq!(came.is_to(origin), here, "{origin}");
        }
    }

    #[test]
    fn a_place_is_an_address_or_a_network_that_one_machine_has() {
        let place = |text: &str| Place::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(place("2001:db8:1:2::1"), place("2001:db8:1:2:ffff::9"));
        assert_ne!(place("2001:db8:1:2::1"), place("2001:db8:1:3::1"));
        assert_eq!(place("::ffff:192.0.2.1"), place("192.0.2.1"));
        assert_ne!(place("192.0.2.1"), place("192.0.2.2"));
    }
}
