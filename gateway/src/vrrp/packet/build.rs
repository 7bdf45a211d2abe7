//! From an advertisement to a message.

use std::net::IpAddr;

use super::sum::Sum;
use super::{
    ADVERTISEMENT, AUTHENTICATION, Advert, Auth, Checksum, GROUP_V4, MAX_ADDRESSES, Version,
};

impl Advert {
    /// Writes the VRRP message, without IP header, into `out`, and nothing else.
    ///
    /// `source` and `destination` are those of the datagram: each peer that is sent to by itself needs a message of its
    /// own. `checksum` counts for version 3 over IPv4 alone; elsewhere there is only one (see [`Checksum`]).
    ///
    /// What cannot be said is not: an interval is rounded to what the version has ([`Centis::sayable`]), addresses of
    /// another family than `source` are left out, and so are those after the 255th. The configuration allows neither.
    ///
    /// [`Centis::sayable`]: super::Centis::sayable
    pub fn build(
        &self,
        source: IpAddr,
        destination: IpAddr,
        checksum: Checksum,
        out: &mut Vec<u8>,
    ) {
        out.clear();
        let interval = self.interval.sayable(self.version).get();
        let (kind, interval) = match (self.version, self.auth) {
            (Version::V2, Auth::None) => (0, interval / 100),
            (Version::V2, Auth::Password(_)) => (1, interval / 100),
            (Version::V3, _) => ((interval >> 8) as u8, interval & 0xff),
        };
        let first = (self.version.number() << 4) | ADVERTISEMENT;
        out.extend([first, self.vrid.get(), self.priority, 0, kind, interval as u8, 0, 0]);
        out[3] = self.write_addresses(source.is_ipv6(), out);
        if self.version == Version::V2 {
            out.extend(match self.auth {
                Auth::None => [0; AUTHENTICATION],
                Auth::Password(octets) => octets,
            });
        }
        let sum = self.covered(source, destination, checksum, out.len()).add(out);
        out[6..8].copy_from_slice(&sum.checksum().to_be_bytes());
    }

    /// Returns how many there are.
    fn write_addresses(&self, ipv6: bool, out: &mut Vec<u8>) -> u8 {
        let fitting = self.addresses.iter().filter(|address| address.is_ipv6() == ipv6);
        let mut count = 0;
        for address in fitting.take(MAX_ADDRESSES) {
            match address {
                IpAddr::V4(address) => out.extend(address.octets()),
                IpAddr::V6(address) => out.extend(address.octets()),
            }
            count += 1;
        }
        count
    }

    /// What the checksum covers besides the message.
    fn covered(
        &self,
        source: IpAddr,
        destination: IpAddr,
        checksum: Checksum,
        length: usize,
    ) -> Sum {
        let ipv4 = source.is_ipv4();
        match (self.version, checksum) {
            (Version::V2, _) => Sum::default(),
            (Version::V3, Checksum::MessageOnly) if ipv4 => Sum::default(),
            (Version::V3, Checksum::OldUnicast) if ipv4 => {
                Sum::of_vrrp(source, GROUP_V4.into(), length)
            }
            (Version::V3, _) => Sum::of_vrrp(source, destination, length),
        }
    }
}
