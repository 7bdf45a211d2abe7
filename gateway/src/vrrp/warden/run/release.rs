//! Which virtual routers an operator has released.

use crate::vrrp::talk::Status;

/// Was a virtual router released?
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Release {
    #[default]
    None,
    /// The VRRP process was told, but has not said that it is.
    Wanted,
    /// It has. It is not any more as soon as the process says so: it had to take the addresses again.
    Told,
}

/// Of each virtual router, by its position.
#[derive(Debug)]
pub(super) struct Releases {
    now: Vec<Release>,
    /// What the setup of the present process says of them.
    setup: Vec<bool>,
}

impl Releases {
    pub(super) fn new(count: usize) -> Self {
        Self { now: vec![Release::None; count], setup: vec![false; count] }
    }

    /// An operator wants this.
    pub(super) fn wish(&mut self, router: usize, released: bool) {
        if let Some(of) = self.now.get_mut(router) {
            *of = if released { Release::Wanted } else { Release::None };
        }
    }

    /// The VRRP process says how they are.
    pub(super) fn hear(&mut self, statuses: &[Status]) {
        for (of, status) in self.now.iter_mut().zip(statuses) {
            *of = match (status.released, *of) {
                (true, _) => Release::Told,
                // This was said before it heard of the wish.
                (false, Release::Wanted) => Release::Wanted,
                (false, Release::Told | Release::None) => Release::None,
            };
        }
    }

    pub(super) fn is(&self, router: usize) -> bool {
        self.now.get(router).is_some_and(|of| *of != Release::None)
    }

    /// For the setup of a new process.
    pub(super) fn set_up(&mut self) -> &[bool] {
        self.setup = self.now.iter().map(|of| *of != Release::None).collect();
        &self.setup
    }

    /// What has changed since the setup. The rest is not said again: the router may have been the only one, and be active
    /// again by now.
    pub(super) fn since_setup(&self, router: usize) -> Option<bool> {
        let is = self.is(router);
        (self.setup.get(router).is_some_and(|was| *was != is)).then_some(is)
    }
}
