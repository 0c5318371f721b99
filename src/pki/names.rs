//! The names and addresses under which a server is reached: the subject alternative names of its certificate.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// A text that is neither a host name nor an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a host name nor an IP address")]
pub struct InvalidName(pub String);

/// Host names (lower case) and addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    dns: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
}

impl Names {
    /// What this machine answers to without being told: its host name, `localhost`, both loopback addresses, and the
    /// addresses of its interfaces. Link-local addresses are left out: they mean nothing to others.
    pub fn of_this_host() -> Self {
        let mut names = Self::default();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        // A host name that no certificate can carry is of no use to clients either.
        let _ = names.add(&host);
        names.dns.insert("localhost".to_owned());
        names
            .addresses
            .extend([IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()]);
        names.addresses.extend(interface_addresses());
        names
    }

    /// The names in a certificate.
    pub(super) fn of(dns: BTreeSet<String>, addresses: BTreeSet<IpAddr>) -> Self {
        Self { dns, addresses }
    }

    /// Adds a host name (`*.` in front is allowed) or an address.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when `name` is neither.
    pub fn add(&mut self, name: &str) -> Result<(), InvalidName> {
        let bare = name
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(name);
        if let Ok(address) = bare.parse::<IpAddr>() {
            self.addresses.insert(address);
            return Ok(());
        }
        let lower = name.to_ascii_lowercase();
        if !is_host_name(lower.strip_prefix("*.").unwrap_or(&lower)) {
            return Err(InvalidName(name.to_owned()));
        }
        self.dns.insert(lower);
        Ok(())
    }

    /// The host names.
    pub fn dns(&self) -> &BTreeSet<String> {
        &self.dns
    }

    /// Whether a certificate with these names is one for `host`: a host name, or an address, an IPv6 one in brackets or
    /// bare. A `*.` stands for one label.
    pub fn cover(&self, host: &str) -> bool {
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return self.addresses.contains(&address);
        }
        let lower = host.to_ascii_lowercase();
        let wildcard = lower.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        self.dns.contains(&lower) || wildcard.is_some_and(|wildcard| self.dns.contains(&wildcard))
    }

    /// The addresses.
    pub fn addresses(&self) -> &BTreeSet<IpAddr> {
        &self.addresses
    }
}

fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A name whose last label is a number would be an address that isn't one, such as 10.0.0.256.
    let numeric_end = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= 253 && !numeric_end && name.split('.').all(label)
}

/// The addresses of the interfaces, as the kernel lists them; where it doesn't, those that outgoing traffic would use.
fn interface_addresses() -> BTreeSet<IpAddr> {
    let mut found = BTreeSet::new();
    if let Ok(table) = fs::read_to_string("/proc/net/fib_trie") {
        found.extend(local_v4(&table).into_iter().map(IpAddr::from));
    }
    if let Ok(table) = fs::read_to_string("/proc/net/if_inet6") {
        found.extend(local_v6(&table).into_iter().map(IpAddr::from));
    }
    if found.is_empty() {
        found.extend(outgoing(
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv4Addr::new(192, 0, 2, 1).into(),
        ));
        let documentation = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        found.extend(outgoing(Ipv6Addr::UNSPECIFIED.into(), documentation.into()));
    }
    found.retain(|address| !address.is_loopback() && !address.is_unspecified());
    found
}

/// In the routing trie each local address is a leaf `|-- 10.0.0.7` followed by `/32 host LOCAL`.
fn local_v4(table: &str) -> BTreeSet<Ipv4Addr> {
    let mut leaf = None;
    let mut found = BTreeSet::new();
    for line in table.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(leaf.filter(|address: &Ipv4Addr| !address.is_link_local()));
        }
    }
    found
}

/// Each line: 32 hexadecimal digits of the address, then index, prefix, scope (00 global), flags and the interface.
fn local_v6(table: &str) -> BTreeSet<Ipv6Addr> {
    table
        .lines()
        .filter_map(|line| {
            let mut columns = line.split_whitespace();
            let address = u128::from_str_radix(columns.next()?, 16).ok()?;
            (columns.nth(2)? == "00").then(|| Ipv6Addr::from(address))
        })
        .collect()
}

/// The local end that the kernel picks for `target`. Connecting a datagram socket sends nothing.
fn outgoing(any: IpAddr, target: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(SocketAddr::new(target, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cover_what_a_client_may_call_the_server() {
        let mut names = Names::default();
        for name in ["muster.example", "*.example.org", "10.0.0.1", "::1"] {
            names.add(name).unwrap();
        }
        for covered in ["Muster.Example", "a.example.org", "10.0.0.1", "[::1]", "::1"] {
            assert!(names.cover(covered), "{covered}");
        }
        for other in [
            "example.org",
            "a.b.example.org",
            "10.0.0.2",
            "example",
            "",
            "[::2]",
        ] {
            assert!(!names.cover(other), "{other}");
        }
    }

    #[test]
    fn names_are_told_from_addresses_and_from_nonsense() {
        let mut names = Names::default();
        for good in ["Muster.Example", "*.example.org", "10.0.0.1", "[::1]", "a_b"] {
            names.add(good).unwrap();
        }
        assert_eq!(
            names.dns().iter().collect::<Vec<_>>(),
            ["*.example.org", "a_b", "muster.example"]
        );
        assert_eq!(names.addresses().len(), 2);
        for wrong in ["", "a b", "-a", "a..b", "10.0.0.256", "https://x", "ä", "*"] {
            assert_eq!(names.add(wrong), Err(InvalidName(wrong.to_owned())), "{wrong}");
        }
    }

    #[test]
    fn the_kernels_tables_give_local_addresses_only() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
                    \x20    |-- 10.1.2.3\n        /32 host LOCAL\n     |-- 10.1.2.255\n        /32 link BROADCAST\n\
                    \x20    |-- 169.254.1.1\n        /32 host LOCAL\n";
        assert_eq!(local_v4(trie), BTreeSet::from([Ipv4Addr::new(10, 1, 2, 3)]));
        let six = "20010db8000000000000000000000007 02 40 00 80 eth0\nfe800000000000000000000000000001 02 40 20 80 eth0\n";
        assert_eq!(
            local_v6(six),
            BTreeSet::from(["2001:db8::7".parse::<Ipv6Addr>().unwrap()])
        );
    }

    #[test]
    fn this_host_is_reached_as_localhost() {
        let names = Names::of_this_host();
        assert!(names.dns().contains("localhost"));
        assert!(names.addresses().contains(&IpAddr::from(Ipv4Addr::LOCALHOST)));
    }
}
