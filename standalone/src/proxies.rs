//! Which peers are proxies of ours: only what they say of a caller's address is believed.

use std::{net::IpAddr, str::FromStr};

/// The addresses of the proxies in front of this host; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

/// Something else than addresses and networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("TRUST_PROXY is not usable: use addresses or networks, such as 10.0.1.5 or 10.0.1.0/24, or 1 for this machine")]
pub struct NoProxy;

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    bits: u8,
}

impl TrustedProxies {
    /// Whether a peer is one of them. An IPv4 address that came by IPv6 is the same address.
    #[must_use]
    pub fn has(&self, peer: IpAddr) -> bool {
        self.0.iter().any(|network| network.has(peer.to_canonical()))
    }
}

impl FromStr for TrustedProxies {
    type Err = NoProxy;

    fn from_str(text: &str) -> Result<Self, NoProxy> {
        let text = match text.trim() {
            "0" | "false" => "",
            "1" | "true" => "127.0.0.0/8,::1",
            other => other,
        };
        text.split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl FromStr for Network {
    type Err = NoProxy;

    fn from_str(text: &str) -> Result<Self, NoProxy> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let base: IpAddr = address.parse().map_err(|_| NoProxy)?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(width), |bits| bits.parse().map_err(|_| NoProxy))?;
        // A network of all addresses trusts everybody: then any caller could choose an address.
        if (1..=width).contains(&bits) { Ok(Self { base, bits }) } else { Err(NoProxy) }
    }
}

impl Network {
    fn has(self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                (base.to_bits() ^ address.to_bits()).leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                (base.to_bits() ^ address.to_bits()).leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_named_is_trusted() {
        for (setting, peer, trusted) in [
            ("", "127.0.0.1", false),
            ("0", "127.0.0.1", false),
            ("1", "127.0.0.1", true),
            ("true", "::1", true),
            ("1", "::ffff:127.0.0.1", true),
            ("1", "10.0.0.1", false),
            ("10.0.1.5", "10.0.1.5", true),
            ("10.0.1.5", "10.0.1.6", false),
            ("192.0.2.1, 10.0.1.0/24", "10.0.1.255", true),
            ("10.0.1.0/24", "10.0.2.0", false),
            ("10.0.0.0/9", "10.128.0.0", false),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
            ("fd00::/8", "10.0.0.1", false),
        ] {
            let proxies: TrustedProxies = setting.parse().unwrap();
            assert_eq!(proxies.has(peer.parse().unwrap()), trusted, "{setting:?} {peer}");
        }
    }

    #[test]
    fn what_names_nobody_or_everybody_is_refused() {
        for setting in ["yes", "proxy.example", "10.0.0.0/33", "0.0.0.0/0", "::/0", "10.0.0.0/", "10.0.0.1;10.0.0.2"] {
            assert_eq!(setting.parse::<TrustedProxies>(), Err(NoProxy), "{setting}");
        }
    }
}
