//! Advertisements as they are on the wire: VRRP version 2 (RFC 3768) and 3 (RFC 9568, RFC 5798), IPv4 and IPv6.
