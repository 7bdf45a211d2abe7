//! Tune values and what "0 = no limit" means for them, in one place (AMQP 0-9-1, connection.tune).

/// The values of connection.tune and connection.tune-ok.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tune {
    /// Most channels at once; 0 = no limit.
    pub channel_max: u16,
    /// Largest frame in bytes with its 8 bytes of envelope; 0 = no limit.
    pub frame_max: u32,
    /// Seconds; 0 = no heartbeats.
    pub heartbeat: u16,
}

/// A client's answer that its offer does not cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// More channels than offered.
    ChannelMax,
    /// Larger frames than offered.
    FrameMax,
}

impl Tune {
    /// What RabbitMQ offers unless configured otherwise.
    pub const RABBITMQ_DEFAULT: Self =
        Self { channel_max: 2047, frame_max: 131_072, heartbeat: 60 };

    /// The strictest of both, value by value: an offer that either side would accept the answer to.
    ///
    /// A heartbeat is a wish rather than a limit; the shorter one, if there is any, is offered.
    #[must_use]
    pub fn strictest(self, other: Self) -> Self {
        Self {
            channel_max: lower(self.channel_max, other.channel_max),
            frame_max: lower(self.frame_max, other.frame_max),
            heartbeat: lower(self.heartbeat, other.heartbeat),
        }
    }

    /// Would a node that offered `self` accept `answer`? (RabbitMQ refuses values over its offer,
    /// and 0 where it set a limit. The heartbeat is the client's choice.)
    ///
    /// # Errors
    /// The first value it would refuse.
    pub fn admits(self, answer: Self) -> Result<(), Misfit> {
        if exceeds(answer.channel_max.into(), self.channel_max.into()) {
            return Err(Misfit::ChannelMax);
        }
        if exceeds(answer.frame_max, self.frame_max) {
            return Err(Misfit::FrameMax);
        }
        Ok(())
    }

    /// Largest payload of a frame, in bytes. A frame's envelope takes 8; RabbitMQ lets frames pass
    /// that are over by those 8, and so do we: the broker is the judge of the last bytes.
    #[must_use]
    pub fn max_payload(self) -> u32 {
        if self.frame_max == 0 { u32::MAX - 8 } else { self.frame_max }
    }
}

fn lower<T: Ord + Default + Copy>(a: T, b: T) -> T {
    if a == T::default() || (b != T::default() && b < a) { b } else { a }
}

fn exceeds(answer: u32, offer: u32) -> bool {
    offer != 0 && (answer == 0 || answer > offer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tune(channel_max: u16, frame_max: u32, heartbeat: u16) -> Tune {
        Tune { channel_max, frame_max, heartbeat }
    }

    #[test]
    fn zero_is_no_limit_when_two_offers_are_joined() {
        assert_eq!(tune(0, 4096, 60).strictest(tune(100, 0, 10)), tune(100, 4096, 10));
        assert_eq!(tune(0, 0, 0).strictest(tune(0, 0, 0)), tune(0, 0, 0));
    }

    #[test]
    fn an_answer_over_the_offer_is_a_misfit_and_so_is_zero() {
        let offer = tune(100, 65_536, 60);
        assert_eq!(offer.admits(tune(100, 65_536, 600)), Ok(()));
        assert_eq!(offer.admits(tune(101, 65_536, 60)), Err(Misfit::ChannelMax));
        assert_eq!(offer.admits(tune(0, 65_536, 60)), Err(Misfit::ChannelMax));
        assert_eq!(offer.admits(tune(1, 131_072, 60)), Err(Misfit::FrameMax));
        assert_eq!(tune(0, 0, 0).admits(tune(0, 0, 0)), Ok(()));
    }
}
