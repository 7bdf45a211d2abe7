//! Virtual routers that begin once those that have left the configuration are gone. Pure.

use crate::vrrp::talk::{Router, Standing};

/// Those that wait to begin, each with what speaks against it.
#[derive(Debug, Default)]
pub(super) struct Beginning(Vec<(Router, Standing)>);

impl Beginning {
    /// Does nobody wait?
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What speaks against the one with this id.
    pub(super) fn standing_of(&mut self, id: usize) -> Option<&mut Standing> {
        let mut all = self.0.iter_mut();
        all.find(|(router, _)| router.id == id).map(|(_, standing)| standing)
    }

    /// These wait from now on. Gives the ids of those that do no more: they are gone without ever having begun.
    pub(super) fn change(&mut self, routers: Vec<(Router, Standing)>) -> Vec<usize> {
        let before = std::mem::replace(&mut self.0, routers);
        let stays = |id: usize| self.0.iter().any(|(router, _)| router.id == id);
        before.into_iter().map(|(router, _)| router.id).filter(|id| !stays(*id)).collect()
    }

    /// Nobody waits any more: all of them begin, or nothing does.
    pub(super) fn take(&mut self) -> Vec<(Router, Standing)> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::vrrp::process::samples::router;

    fn waiting(ids: &[usize]) -> Vec<(Router, Standing)> {
        ids.iter().map(|id| (router(*id, &["10.0.0.9"]), Standing::default())).collect()
    }

    #[test]
    fn one_that_left_the_configuration_before_it_began_is_told_to_be_gone() {
        let mut beginning = Beginning::default();
        assert!(beginning.change(waiting(&[1, 2, 3])).is_empty());
        assert_eq!(beginning.change(waiting(&[4, 2])), [1, 3]);
        assert_eq!(beginning.take().len(), 2);
        assert!(beginning.change(waiting(&[5])).is_empty(), "those that began tell it themselves");
    }

    #[test]
    fn what_speaks_against_one_that_waits_can_change() {
        let mut beginning = Beginning::default();
        beginning.change(waiting(&[1, 2]));
        beginning.standing_of(2).unwrap().penalty = 40;
        assert!(beginning.standing_of(3).is_none());
        let penalties: Vec<_> = beginning.take().iter().map(|(_, s)| s.penalty).collect();
        assert_eq!(penalties, [0, 40]);
        assert!(beginning.is_empty());
    }
}
