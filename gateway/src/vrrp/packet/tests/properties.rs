//! Against chance.

use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::fuzz::vrrp_packet;
use super::super::*;

prop_compose! {
    fn ipv4_advert()(
        v2 in any::<bool>(),
        vrid in 1..=255_u8,
        priority: u8,
        interval in 1..=4095_u16,
        password: Option<[u8; 8]>,
        addresses in vec(any::<[u8; 4]>(), 1..=MAX_ADDRESSES),
    ) -> Advert {
        let auth = password.filter(|_| v2).map_or(Auth::None, Auth::Password);
        let version = if v2 { Version::V2 } else { Version::V3 };
        let interval = Centis::new(interval).unwrap().sayable(version);
        let addresses = addresses.into_iter().map(IpAddr::from).collect();
        Advert { version, vrid: Vrid::new(vrid).unwrap(), priority, interval, auth, addresses }
    }
}

prop_compose! {
    fn ipv6_advert()(
        advert in ipv4_advert(),
        addresses in vec(any::<[u8; 16]>(), 1..=MAX_ADDRESSES),
    ) -> Advert {
        let interval = advert.interval.sayable(Version::V3);
        let addresses = addresses.into_iter().map(IpAddr::from).collect();
        Advert { version: Version::V3, interval, auth: Auth::None, addresses, ..advert }
    }
}

fn any_checksum() -> impl Strategy<Value = Checksum> {
    use Checksum::{MessageOnly, OldUnicast, PseudoHeader};
    prop_oneof![Just(PseudoHeader), Just(MessageOnly), Just(OldUnicast)]
}

fn one_router() -> impl Strategy<Value = [u8; 4]> {
    (0..224_u8, any::<[u8; 3]>()).prop_map(|(first, [a, b, c])| [first, a, b, c])
}

/// What is built is read as the same advertisement. Of two checksums that happen to be equal the first is named.
fn comes_back(advert: &Advert, source: IpAddr, destination: IpAddr, checksum: Checksum) {
    let mut built = Vec::new();
    advert.build(source, destination, checksum, &mut built);
    let (read, named) =
        parse(&Datagram { source, destination, ttl: TTL, payload: &built }).unwrap();
    assert_eq!(&read, advert);
    let mut again = Vec::new();
    read.build(source, destination, named, &mut again);
    assert_eq!(again, built);
}

proptest! {
    #[test]
    fn what_is_built_over_ipv4_is_read_again(
        advert in ipv4_advert(),
        source: [u8; 4],
        destination in prop_oneof![Just(GROUP_V4.octets()), one_router()],
        checksum in any_checksum(),
    ) {
        comes_back(&advert, source.into(), destination.into(), checksum);
    }

    #[test]
    fn what_is_built_over_ipv6_is_read_again(
        advert in ipv6_advert(),
        source: [u8; 16],
        destination: [u8; 16],
        checksum in any_checksum(),
    ) {
        comes_back(&advert, source.into(), destination.into(), checksum);
    }

    #[test]
    fn any_octets_are_read_or_refused(choice: u8, data in vec(any::<u8>(), 0..200)) {
        vrrp_packet(&[vec![choice], data].concat());
    }

    #[test]
    fn any_message_behind_a_sound_header_is_read_or_refused(
        choice: u8,
        version in 0x20..0x34_u8,
        mut rest in vec(any::<u8>(), 3..100),
    ) {
        rest[2] %= 8;
        let mut data = vec![choice & !fuzz::IPV6, 0x45, 0, 0, (21 + rest.len()) as u8, 0, 0, 0, 0];
        data.extend([TTL, PROTOCOL, 0, 0, 10, 77, 0, 11, 10, 77, 0, 12, version]);
        data.extend(rest);
        vrrp_packet(&data);
    }
}
