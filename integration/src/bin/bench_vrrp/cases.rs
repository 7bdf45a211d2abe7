//! What is done to the active gateway, and what is read from it.

/// One thing that happens to a pair of gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Case {
    /// kill -9 of everything.
    Crash,
    /// kill -9 of what serves alone.
    Service,
    /// kill -9 of what speaks VRRP alone.
    Speaker,
    /// SIGTERM.
    Goodbye,
    /// The cable is out, and later in again.
    Link,
    /// Nothing passes, but the carrier stays; later it passes again.
    Partition,
    /// Two seconds of SIGSTOP.
    Pause,
    /// The service dies, and health checks notice; later it is back.
    Health,
}

/// A line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Figure {
    /// Longest span without an answer after the event, ms.
    Outage,
    /// From the event to the first answer of the other gateway, ms.
    Take,
    /// How long both kernels held the address after the event, ms.
    Dual,
    /// Longest span without an answer once the link is back or the pause is over, ms.
    BackOutage,
    /// From there to the first answer of the first gateway, ms.
    BackTake,
    /// How long both kernels held the address from there on, ms.
    BackDual,
    /// Runs (in per cent) in which the client was without an answer for more than half a second from there on.
    BlackHoles,
}

/// A span from which on a rejoin counts as a black hole: more than any election takes at this speed.
pub(crate) const BLACK_HOLE_MS: f64 = 500.0;

impl Case {
    /// All of them, in the table's order.
    pub(crate) const ALL: [Self; 8] = [
        Self::Crash,
        Self::Service,
        Self::Speaker,
        Self::Goodbye,
        Self::Link,
        Self::Partition,
        Self::Pause,
        Self::Health,
    ];

    /// Its name on the command line.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Service => "service",
            Self::Speaker => "speaker",
            Self::Goodbye => "goodbye",
            Self::Link => "link",
            Self::Partition => "partition",
            Self::Pause => "pause",
            Self::Health => "health",
        }
    }

    /// Its name in the table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Crash => "crash: kill -9 of everything",
            Self::Service => "kill -9 of what serves alone",
            Self::Speaker => "kill -9 of what speaks VRRP alone",
            Self::Goodbye => "goodbye: SIGTERM",
            Self::Link => "link cut, and back",
            Self::Partition => "silent partition, and rejoin",
            Self::Pause => "pause: SIGSTOP for 2 s, SIGCONT",
            Self::Health => "health failure, and recovery",
        }
    }

    /// Its lines in the table: the figure, its name, and whether less of it is better.
    pub(crate) fn rows(self) -> &'static [(Figure, &'static str, bool)] {
        use Figure::{BackDual, BackOutage, BackTake, BlackHoles, Dual, Outage, Take};
        match self {
            Self::Crash | Self::Service => &[(Outage, "outage, ms", true)],
            Self::Speaker => &[(Outage, "outage, ms", true), (Dual, "dual, ms", true)],
            Self::Goodbye => &[(Outage, "outage, ms", true), (Dual, "dual, ms", false)],
            Self::Link => &[
                (Outage, "outage, ms", true),
                (BackOutage, "back: outage, ms", true),
                (BackTake, "back: take, ms", false),
                (BackDual, "back: dual, ms", false),
            ],
            Self::Partition => &[
                (Outage, "outage, ms", true),
                (BackOutage, "rejoin: outage, ms", true),
                (BlackHoles, "rejoin: black holes, % of runs", true),
            ],
            Self::Pause => &[
                (Outage, "outage, ms", true),
                (Take, "take, ms", true),
                (BackOutage, "awake: outage, ms", true),
                (BackDual, "awake: dual, ms", true),
            ],
            Self::Health => &[
                (Outage, "outage, ms", true),
                (BackOutage, "recovery: outage, ms", true),
                (BackTake, "recovery: take, ms", false),
            ],
        }
    }

    /// Seconds that a run takes, for the progress line.
    pub(crate) fn guess(self) -> f64 {
        match self {
            Self::Crash | Self::Goodbye => 3.5,
            Self::Service => 4.5,
            Self::Speaker => 5.0,
            Self::Link => 5.0,
            Self::Partition | Self::Health => 6.5,
            Self::Pause => 6.0,
        }
    }
}

impl Figure {
    /// Its name in the JSON file.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Outage => "outage_ms",
            Self::Take => "take_ms",
            Self::Dual => "dual_ms",
            Self::BackOutage => "back_outage_ms",
            Self::BackTake => "back_take_ms",
            Self::BackDual => "back_dual_ms",
            Self::BlackHoles => "black_hole_percent",
        }
    }
}
