//! Whether an operator wants a virtual router elsewhere, across the lives of VRRP processes.

/// Has an operator released the addresses of a virtual router?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Release {
    /// No, or it is over.
    None,
    /// Yes: the VRRP process has been asked to, or the next one will be.
    Asked,
    /// Yes, and the VRRP process has said that it knows.
    Known,
}

impl Release {
    /// Is it to be told to a VRRP process that is new?
    fn is_wanted(self) -> bool {
        self != Self::None
    }

    /// The VRRP process says whether it is released. A release is over by itself when nobody else was there to serve.
    fn learn(&mut self, released: bool) {
        match (*self, released) {
            (Self::Asked, true) => *self = Self::Known,
            (Self::Known, false) => *self = Self::None,
            // As ever; or said before it heard of the latest wish.
            (Self::Known | Self::None, true) | (Self::Asked | Self::None, false) => {}
        }
    }
}

/// Of one virtual router.
#[derive(Debug)]
pub(super) struct Releases {
    now: Release,
    /// What the setup of the present process says of it.
    setup: bool,
}

impl Releases {
    pub(super) fn new(released: bool) -> Self {
        Self { now: if released { Release::Asked } else { Release::None }, setup: released }
    }

    /// An operator wants this.
    pub(super) fn wish(&mut self, released: bool) {
        self.now = if released { Release::Asked } else { Release::None };
    }

    /// The VRRP process says how it is.
    pub(super) fn hear(&mut self, released: bool) {
        self.now.learn(released);
    }

    pub(super) fn is(&self) -> bool {
        self.now.is_wanted()
    }

    /// For the setup of a new process, or of a new virtual router.
    pub(super) fn set_up(&mut self) -> bool {
        if self.is() {
            self.now = Release::Asked;
        }
        self.setup = self.is();
        self.setup
    }

    /// What has changed since the setup. The rest is not said again: the router may have been the only one, and be active
    /// again by now.
    pub(super) fn since_setup(&self) -> Option<bool> {
        (self.setup != self.is()).then_some(self.is())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(words: &[bool]) -> Release {
        let mut release = Release::Asked;
        words.iter().for_each(|released| release.learn(*released));
        release
    }

    #[test]
    fn a_release_is_over_when_the_process_has_known_it_and_knows_it_no_more() {
        assert!(after(&[]).is_wanted());
        assert!(after(&[false, false]).is_wanted(), "it has not heard of it yet");
        assert!(after(&[false, true, true]).is_wanted());
        assert!(!after(&[false, true, false]).is_wanted());
        assert!(!after(&[true, false, true]).is_wanted(), "that was said before it was reclaimed");
    }
}
