//! Where webhooks may lead. An inside address (this machine, the networks around it, the metadata services of clouds)
//! would let anyone who sets a webhook look at what only this machine may reach, so it is refused unless it is allowed.
//!
//! Names are checked when they are resolved for a connection, not before: what is connected to is what was checked.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    time::Duration,
};

use ipnet::IpNet;
use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use tokio::net::lookup_host;

/// How long to look up the name of a new webhook.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(5);

/// Where webhooks may lead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reach {
    /// Only to addresses of the public internet.
    #[default]
    Outside,
    /// Also to these networks.
    Also(Vec<IpNet>),
    /// Anywhere, including this machine.
    Anywhere,
}

/// Why an address is refused.
pub(crate) const REFUSED: &str = "this address leads inside: to this machine, a private network or a metadata service. Whoever runs the server may allow \
     it by the setting webhooks_inside";

impl FromStr for Reach {
    type Err = String;

    /// Reads `true`, `false`, or networks separated by commas.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "true" => Ok(Self::Anywhere),
            "" | "false" => Ok(Self::Outside),
            networks => networks.split(',').map(network).collect::<Result<_, _>>().map(Self::Also),
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside => f.write_str("false"),
            Self::Anywhere => f.write_str("true"),
            Self::Also(networks) => {
                let networks: Vec<String> = networks.iter().map(IpNet::to_string).collect();
                f.write_str(&networks.join(","))
            }
        }
    }
}

/// Reads a network in a setting, `10.0.0.0/8`, or a single address.
///
/// # Errors
/// What is wrong with it, in words.
pub fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let network = text.parse().ok().or_else(address);
    network
        .ok_or_else(|| format!("{text:?} is no network; write it as 10.0.0.0/8, or an address as 10.0.0.1"))
}

impl Reach {
    /// Checks whether a webhook may lead to `url`, as far as its name can be resolved at this moment.
    pub(crate) async fn allows(&self, url: &Url) -> bool {
        if *self == Self::Anywhere || address(url).is_some() {
            return self.allows_now(url);
        }
        let host = url.host_str().unwrap_or_default();
        // This machine, whether or not the resolver says so (RFC 6761 §6.3).
        let bare = host.trim_end_matches('.');
        if bare == "localhost" || bare.ends_with(".localhost") {
            return self.allows_address(Ipv4Addr::LOCALHOST.into());
        }
        let found = tokio::time::timeout(LOOK_UP_WITHIN, lookup_host((host, 0))).await;
        // A name that is not known yet is checked when something is posted to it.
        found.ok().and_then(Result::ok).is_none_or(|mut found| found.all(|at| self.allows_address(at.ip())))
    }

    /// Checks whether something may be posted to `url`; names are checked when they are [resolved](Self::resolve).
    pub(crate) fn allows_now(&self, url: &Url) -> bool {
        address(url).is_none_or(|address| self.allows_address(address))
    }

    fn allows_address(&self, address: IpAddr) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Outside => !is_inside(address),
            Self::Also(networks) => {
                !is_inside(address)
                    || networks.iter().any(|network| network.contains(&address.to_canonical()))
            }
        }
    }
}

/// The address in a URL without a name.
fn address(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Resolves names to allowed addresses alone: the address that is connected to is the one that was checked.
impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.clone();
        Box::pin(async move {
            let found = lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|at| reach.allows_address(at.ip())).collect();
            if allowed.is_empty() { Err(REFUSED.into()) } else { Ok(Box::new(allowed.into_iter()) as Addrs) }
        })
    }
}

/// Whether an address belongs to this machine or a network around it (IANA's registries of special-purpose addresses;
/// those for documentation lead nowhere).
fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_inside_v4(v4),
        IpAddr::V6(v6) => is_inside_v6(v6),
    }
}

fn is_inside_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    v4.is_loopback()
        || v4.is_private()
        || v4.is_link_local()
        || v4.is_multicast()
        // "This network"; carriers' NAT, where a cloud has its metadata; protocol assignments; benchmarks; reserved.
        || a == 0
        || (a == 100 && b & 0xc0 == 64)
        || (a, b, c) == (192, 0, 0)
        || (a == 198 && b & 0xfe == 18)
        || a >= 240
}

fn is_inside_v6(v6: Ipv6Addr) -> bool {
    let v4 = |high: u16, low: u16| is_inside_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match v6.segments() {
        // IPv4 in another form: unspecified, loopback and compatible, mapped; translated (two of NAT64); 6to4.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => v4(high, low),
        // A network's own NAT64; Teredo, which hides an address.
        [0x64, 0xff9b, 1, ..] | [0x2001, 0, ..] => true,
        // Unique local, link-local, the former site-local, multicast.
        [first, ..] => {
            first & 0xfe00 == 0xfc00
                || first & 0xffc0 == 0xfe80
                || first & 0xffc0 == 0xfec0
                || first & 0xff00 == 0xff00
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses that lead inside, however they are written.
    const INSIDE: &[&str] = &[
        "http://127.0.0.1/",
        "http://127.8.9.1:9000/hook",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://0.0.0.0/",
        "http://10.1.2.3/",
        "http://172.16.0.1/",
        "http://172.31.255.255/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://100.100.100.200/",
        "http://192.0.0.192/",
        "http://198.18.0.1/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://[::]/",
        "http://[::1]/",
        "http://[::127.0.0.1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[::ffff:0:10.0.0.1]/",
        "http://[64:ff9b::10.0.0.1]/",
        "http://[64:ff9b:1::1]/",
        "http://[2002:7f00:1::]/",
        "http://[2001::1]/",
        "http://[fc00::1]/",
        "http://[fd00:ec2::254]/",
        "http://[fe80::1]/",
        "http://[fec0::1]/",
        "http://[ff02::1]/",
        "http://user:password@127.0.0.1/",
    ];
    const OUTSIDE: &[&str] = &[
        "https://93.184.215.14/",
        "https://8.8.8.8/hook",
        "https://172.15.0.1/",
        "https://172.32.0.1/",
        "https://192.169.0.1/",
        "https://100.63.0.1/",
        "https://100.128.0.1/",
        "https://198.20.0.1/",
        "https://203.0.113.5/",
        "https://[2606:2800:21f:cb07::1]/",
        "https://[::ffff:8.8.8.8]/",
        "https://[64:ff9b::8.8.8.8]/",
        "https://[2002:808:808::]/",
    ];

    #[tokio::test]
    async fn an_address_inside_is_refused_however_it_is_written() {
        for (addresses, outside) in [(INSIDE, false), (OUTSIDE, true)] {
            for text in addresses {
                let url: Url = text.parse().unwrap();
                assert_eq!(Reach::Outside.allows(&url).await, outside, "{text}");
                assert_eq!(Reach::Outside.allows_now(&url), outside, "{text}");
                assert!(Reach::Anywhere.allows(&url).await && Reach::Anywhere.allows_now(&url), "{text}");
            }
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_and_an_unknown_one_waits_to_be_judged() {
        for (text, allowed) in [
            ("http://localhost/", false),
            ("http://localhost./", false),
            ("http://LOCALHOST:8080/", false),
            ("http://hooks.localhost/", false),
            ("http://no-such-name.invalid/", true),
        ] {
            assert_eq!(Reach::Outside.allows(&text.parse().unwrap()).await, allowed, "{text}");
        }
        let refused = Reach::Outside.resolve("localhost".parse().unwrap()).await.err().unwrap();
        assert!(refused.to_string().contains("webhooks_inside"), "{refused}");
        let here: Reach = "127.0.0.0/8,::1".parse().unwrap();
        assert!(here.resolve("localhost".parse().unwrap()).await.is_ok());
    }

    #[tokio::test]
    async fn a_setting_allows_networks_inside_and_no_others() {
        let some: Reach = "10.1.0.0/16, 192.168.1.7,fd00:1::/32".parse().unwrap();
        for (text, allowed) in [
            ("http://10.1.2.3/", true),
            ("http://[::ffff:10.1.2.3]/", true),
            ("http://192.168.1.7:9000/", true),
            ("http://[fd00:1::7]/", true),
            ("https://8.8.8.8/", true),
            ("http://10.2.0.1/", false),
            ("http://192.168.1.8/", false),
            ("http://127.0.0.1/", false),
            ("http://localhost/", false),
            ("http://169.254.169.254/", false),
        ] {
            assert_eq!(some.allows(&text.parse().unwrap()).await, allowed, "{text}");
        }
        for text in ["true", "false", "10.1.0.0/16,192.168.1.7/32"] {
            assert_eq!(text.parse::<Reach>().unwrap().to_string(), text);
        }
        let wrong = "10.0.0.0/8,inside".parse::<Reach>().unwrap_err();
        assert!(wrong.contains("\"inside\" is no network"), "{wrong}");
    }
}
