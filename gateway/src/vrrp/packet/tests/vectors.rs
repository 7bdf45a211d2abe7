//! Frames of keepalived 2.2.7, captured on a Linux bridge, and what they say.
//!
//! Two gateways: 10.77.0.11 with 02:77:00:00:00:0b and 10.77.0.12 with 02:77:00:00:00:0c. Virtual router 51.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::{Advert, Auth, Centis, Checksum, Version, Vrid};

/// A captured advertisement.
#[derive(Clone, Copy)]
pub(super) struct Vector {
    pub(super) name: &'static str,
    /// The Ethernet frame in hexadecimal.
    frame: &'static str,
    pub(super) mac: [u8; 6],
    pub(super) source: &'static str,
    pub(super) destination: &'static str,
    pub(super) version: Version,
    pub(super) priority: u8,
    /// In centiseconds.
    pub(super) interval: u16,
    password: Option<&'static str>,
    addresses: &'static [&'static str],
    pub(super) checksum: Checksum,
}

impl Vector {
    pub(super) fn frame(&self) -> Vec<u8> {
        octets(self.frame)
    }

    pub(super) fn ends(&self) -> (IpAddr, IpAddr) {
        (self.source.parse().unwrap(), self.destination.parse().unwrap())
    }

    /// What the frame says.
    pub(super) fn advert(&self) -> Advert {
        Advert {
            version: self.version,
            vrid: Vrid::new(51).unwrap(),
            priority: self.priority,
            interval: Centis::new(self.interval).unwrap(),
            auth: self.password.map_or(Auth::None, Auth::password),
            addresses: self.addresses.iter().map(|address| address.parse().unwrap()).collect(),
        }
    }
}

pub(super) fn octets(hexadecimal: &str) -> Vec<u8> {
    let digits = hexadecimal.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

const GW1: &str = "10.77.0.11";
const GW2: &str = "10.77.0.12";
pub(super) const MAC1: [u8; 6] = [0x02, 0x77, 0, 0, 0, 0x0b];
pub(super) const MAC2: [u8; 6] = [0x02, 0x77, 0, 0, 0, 0x0c];
pub(super) const VIRTUAL_MAC: [u8; 6] = [0, 0, 0x5e, 0, 1, 51];
const THREE: &[&str] = &["10.77.0.102", "10.77.0.100", "10.77.0.101"];

fn v2(priority: u8, password: Option<&'static str>) -> Vector {
    let version = Version::V2;
    let checksum = Checksum::MessageOnly;
    Vector { version, password, interval: 100, checksum, ..v3(priority) }
}

fn v3(priority: u8) -> Vector {
    Vector {
        name: "",
        frame: "",
        mac: MAC1,
        source: GW1,
        destination: "224.0.0.18",
        version: Version::V3,
        priority,
        interval: 10,
        password: None,
        addresses: &["10.77.0.100"],
        checksum: Checksum::PseudoHeader,
    }
}

fn v6(priority: u8) -> Vector {
    let addresses = &["fe80::77:100", "fd77::100"];
    Vector { source: "fe80::77:ff:fe00:b", destination: "ff02::12", addresses, ..v3(priority) }
}

/// Every captured advertisement.
pub(super) fn adverts() -> Vec<Vector> {
    let mut all = Vec::new();
    let mut add = |name, says: Vector, frame| {
        let mac = if says.source == GW2 { MAC2 } else { says.mac };
        all.push(Vector { name, frame, mac, ..says });
    };
    // Password "rabbit".
    add(
        "V2-1",
        v2(100, Some("rabbit")),
        "01005e00001202770000000b080045c0002800010000ff70d03a0a4d000be000001221336401010130e10a4d0064\
         7261626269740000",
    );
    // Leaving.
    add(
        "V2-2",
        v2(0, Some("rabbit")),
        "01005e00001202770000000b080045c00028000c0000ff70d02f0a4d000be000001221330001010194e10a4d0064\
         7261626269740000",
    );
    // The backup takes over.
    add(
        "V2-3",
        Vector { source: GW2, ..v2(90, Some("rabbit")) },
        "01005e00001202770000000c080045c0002800010000ff70d0390a4d000ce000001221335a0101013ae10a4d0064\
         7261626269740000",
    );
    // No authentication, three addresses out of order.
    add(
        "V2-4",
        Vector { addresses: THREE, ..v2(100, None) },
        "01005e00001202770000000b080045c0003000010000ff70d0320a4d000be00000122133640300015ab20a4d0066\
         0a4d00640a4d00650000000000000000",
    );
    // Password "a".
    add(
        "V2-5",
        v2(100, Some("a")),
        "01005e00001202770000000b080045c0002800010000ff70d03a0a4d000be00000122133640101010e190a4d0064\
         6100000000000000",
    );
    // A password too long.
    add(
        "V2-6",
        v2(100, Some("longpassword")),
        "01005e00001202770000000b080045c0002800010000ff70d03a0a4d000be0000012213364010101b06d0a4d0064\
         6c6f6e6770617373",
    );
    // Multicast.
    add(
        "V3M-1",
        v3(100),
        "01005e00001202770000000b080045c0002000010000ff70d0420a4d000be000001231336401000a75290a4d0064",
    );
    // Leaving.
    add(
        "V3M-2",
        v3(0),
        "01005e00001202770000000b080045c00020000e0000ff70d0350a4d000be000001231330001000ad9290a4d0064",
    );
    // The backup takes over.
    add(
        "V3M-3",
        Vector { source: GW2, ..v3(90) },
        "01005e00001202770000000c080045c0002000010000ff70d0410a4d000ce000001231335a01000a7f280a4d0064",
    );
    // Three addresses out of order.
    add(
        "V3M-4",
        Vector { addresses: THREE, ..v3(100) },
        "01005e00001202770000000b080045c0002800010000ff70d03a0a4d000be000001231336403000a5fba0a4d0066\
         0a4d00640a4d0065",
    );
    // The owner of the address.
    add(
        "V3M-5",
        v3(255),
        "01005e00001202770000000b080045c0002000010000ff70d0420a4d000be00000123133ff01000ada280a4d0064",
    );
    // Unicast.
    add(
        "V3U-1",
        Vector { destination: GW2, ..v3(100) },
        "02770000000c02770000000b080045c0002000010000ff70a5fc0a4d000b0a4d000c31336401000a4ae30a4d0064",
    );
    // Unicast, leaving.
    add(
        "V3U-2",
        Vector { destination: GW2, ..v3(0) },
        "02770000000c02770000000b080045c00020000d0000ff70a5f00a4d000b0a4d000c31330001000aaee30a4d0064",
    );
    // Unicast, the other way.
    add(
        "V3U-3",
        Vector { source: GW2, destination: GW1, ..v3(90) },
        "02770000000b02770000000c080045c0002000010000ff70a5fc0a4d000c0a4d000b31335a01000a54e30a4d0064",
    );
    // Unicast, old_unicast_checksum.
    add(
        "V3U-4",
        Vector { destination: GW2, checksum: Checksum::OldUnicast, ..v3(100) },
        "02770000000c02770000000b080045c0002000010000ff70a5fc0a4d000b0a4d000c31336401000a75290a4d0064",
    );
    // From the virtual MAC address.
    add(
        "VMAC-1",
        Vector { mac: VIRTUAL_MAC, ..v3(100) },
        "01005e00001200005e000133080045c0002000010000ff70d0420a4d000be000001231336401000a75290a4d0064",
    );
    // IPv6, two addresses.
    add(
        "V6-1",
        v6(100),
        "33330000001202770000000b86dd6c05f7b9002870fffe80000000000000007700fffe00000bff02000000000000\
         000000000000001231336402000a6ea0fe800000000000000000000000770100fd77000000000000000000000000\
         0100",
    );
    // IPv6, leaving.
    add(
        "V6-2",
        v6(0),
        "33330000001202770000000b86dd6c05f7b9002870fffe80000000000000007700fffe00000bff02000000000000\
         000000000000001231330002000ad2a0fe800000000000000000000000770100fd77000000000000000000000000\
         0100",
    );
    all
}

/// Captured gratuitous ARP: name, MAC address, virtual address, frame.
pub(super) fn gratuitous_arps() -> [(&'static str, [u8; 6], Ipv4Addr, Vec<u8>); 3] {
    let address = Ipv4Addr::new(10, 77, 0, 100);
    [
        (
            "ARP-1",
            MAC1,
            address,
            octets(
                "ffffffffffff02770000000b0806000108000604000102770000000b0a4d0064ffffffffffff0a4d0064",
            ),
        ),
        (
            "ARP-2",
            MAC2,
            address,
            octets(
                "ffffffffffff02770000000c0806000108000604000102770000000c0a4d0064ffffffffffff0a4d0064",
            ),
        ),
        (
            "VMAC-2",
            VIRTUAL_MAC,
            address,
            octets(
                "ffffffffffff00005e0001330806000108000604000100005e0001330a4d0064ffffffffffff0a4d0064",
            ),
        ),
    ]
}

/// Captured neighbour advertisements of a machine that does not forward: name, MAC address, virtual address, frame.
pub(super) fn neighbour_advertisements() -> [(&'static str, [u8; 6], Ipv6Addr, Vec<u8>); 2] {
    [
        (
            "ND-1",
            MAC1,
            Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x77, 0x100),
            octets(
                "33330000000102770000000b86dd6000000000203afffe800000000000000000000000770100ff02000000\
                 00000000000000000000018800542e20000000fe800000000000000000000000770100020102770000000b",
            ),
        ),
        (
            "ND-2",
            MAC1,
            Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x100),
            octets(
                "33330000000102770000000b86dd6000000000203afffd770000000000000000000000000100ff02000000\
                 00000000000000000000018800572e20000000fd770000000000000000000000000100020102770000000b",
            ),
        ),
    ]
}
