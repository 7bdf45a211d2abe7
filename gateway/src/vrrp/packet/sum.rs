//! The Internet checksum (RFC 1071), over a message and a pseudo header.

use std::net::IpAddr;

use super::PROTOCOL;

/// A one's complement sum of 16-bit words. Pieces that are added must be of even length but for the last.
#[derive(Clone, Copy, Default)]
pub(super) struct Sum(u64);

impl Sum {
    /// With the pseudo header of IPv4 (as of UDP, RFC 768) or IPv6 (RFC 8200 8.1).
    pub(super) fn pseudo_header(
        source: IpAddr,
        destination: IpAddr,
        protocol: u8,
        length: usize,
    ) -> Self {
        // In both families words of zero stand between these, and zero adds nothing.
        let ends = Self::default().address(source).address(destination);
        Self(ends.0 + u64::from(protocol) + length as u64)
    }

    /// The pseudo header of a VRRP message.
    pub(super) fn of_vrrp(source: IpAddr, destination: IpAddr, length: usize) -> Self {
        Self::pseudo_header(source, destination, PROTOCOL, length)
    }

    pub(super) fn add(self, octets: &[u8]) -> Self {
        let words = octets.chunks(2).map(|word| {
            u64::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or_default()]))
        });
        Self(self.0 + words.sum::<u64>())
    }

    /// What belongs into the checksum field, if that was zero in what was added.
    pub(super) fn checksum(self) -> u16 {
        !self.folded()
    }

    /// Did all that was added, with its checksum, come through unharmed?
    pub(super) fn fits(self) -> bool {
        self.folded() == u16::MAX
    }

    fn folded(self) -> u16 {
        let mut sum = self.0;
        while sum > u64::from(u16::MAX) {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.add(&address.octets()),
            IpAddr::V6(address) => self.add(&address.octets()),
        }
    }
}
