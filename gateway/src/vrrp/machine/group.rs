//! All virtual routers of a gateway, and the sync groups in which some of them move together.
//!
//! One member in fault puts all there, and they recover when all are well. One that becomes a backup takes all with it,
//! and so does one that becomes active. But a member that only misses advertisements waits until every other member
//! does, too: else a group would go to and fro for as long as one of its networks is cut and another is not.

use super::{Action, Event, Now, Reason, Router, Settings, State};

/// The virtual routers of a gateway, by their index.
#[derive(Debug, Default)]
pub struct Routers {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    router: Router,
    group: Option<String>,
    /// Something that this very member cannot be without has failed.
    failing: bool,
}

impl Routers {
    /// Routers that wait for [`Event::Start`], each with the name of its sync group.
    #[must_use]
    pub fn new(routers: Vec<(Settings, Option<String>)>) -> Self {
        let mut all = Self::default();
        for (settings, group) in routers {
            all.add(settings, group);
        }
        all
    }

    /// One more router, which has the faults of its group from the beginning. Returns its index.
    pub fn add(&mut self, settings: Settings, group: Option<String>) -> usize {
        let mut router = Router::new(settings);
        let mut others =
            self.members.iter().filter(|other| group.is_some() && other.group == group);
        router.failing = others.any(|other| other.failing);
        self.members.push(Member { router, group, failing: false });
        self.members.len() - 1
    }

    /// Takes one out, which must have stopped: those behind it move up by one.
    pub fn remove(&mut self, index: usize) {
        if index < self.members.len() {
            self.members.remove(index);
        }
    }

    /// Moves the router at `index` to another sync group. Those that it leaves no longer have its faults, those it comes to
    /// have them from now on; it follows them with the next event.
    pub fn regroup(
        &mut self,
        index: usize,
        group: Option<String>,
        now: Now,
        out: &mut Vec<(usize, Action)>,
    ) {
        let former = self.group_of(index);
        self.members[index].group = group;
        for at in former.into_iter().take(2) {
            let failing = self.members[at].failing;
            self.step(at, Event::Fault(failing), now, out);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The router at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Router> {
        self.members.get(index).map(|member| &member.router)
    }

    /// All routers, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Router> {
        self.members.iter().map(|member| &member.router)
    }

    /// When the next [`Event::Timer`] of any router is due.
    #[must_use]
    pub fn due(&self) -> Option<Now> {
        self.iter().filter_map(Router::due).min()
    }

    /// Tells every router whose time has come so.
    pub fn tick(&mut self, now: Now, out: &mut Vec<(usize, Action)>) {
        for index in 0..self.members.len() {
            if self.members[index].router.due().is_some_and(|due| due <= now) {
                self.step(index, Event::Timer, now, out);
            }
        }
    }

    /// Something happened to the router at `index`. What it and its group have to do is added to `out`, in order.
    ///
    /// Faults, pauses, releases and reclaims concern the whole group. An index that is none does nothing.
    pub fn step(&mut self, index: usize, event: Event, now: Now, out: &mut Vec<(usize, Action)>) {
        if index >= self.members.len() {
            return;
        }
        let group = self.group_of(index);
        let before: Vec<State> = group.iter().map(|&at| self.members[at].router.state()).collect();
        match event {
            Event::Fault(failing) => {
                self.members[index].failing = failing;
                let failing = group.iter().any(|&at| self.members[at].failing);
                self.tell_all(&group, &Event::Fault(failing), now, out);
            }
            Event::Paused | Event::Release | Event::Reclaim => {
                self.tell_all(&group, &event, now, out);
            }
            Event::Start
            | Event::Resume
            | Event::Advertisement(_)
            | Event::Timer
            | Event::Penalty(_)
            | Event::Stop
            | Event::Change(_) => self.tell(index, &group, event, now, out),
        }
        if group.len() > 1 {
            self.settle(&group, &before, now, out);
        }
    }

    /// Stops the router at `index` alone, while its group stays where it is. It gives its addresses up without a word: one
    /// that is told to take over takes its whole group along, and would be active beside the members that stay.
    pub fn stop_apart(&mut self, index: usize, now: Now, out: &mut Vec<(usize, Action)>) {
        if self.get(index).is_some_and(|router| router.state() == State::Active) {
            self.act(index, out, |router, actions| router.leave_unsaid(now, actions));
        } else {
            self.step(index, Event::Stop, now, out);
        }
    }

    /// The members of the group of `index`, itself first.
    fn group_of(&self, index: usize) -> Vec<usize> {
        let mut group = vec![index];
        if let Some(name) = &self.members[index].group {
            let same = |at: &usize| *at != index && self.members[*at].group.as_ref() == Some(name);
            group.extend((0..self.members.len()).filter(same));
        }
        group
    }

    fn tell_all(
        &mut self,
        group: &[usize],
        event: &Event,
        now: Now,
        out: &mut Vec<(usize, Action)>,
    ) {
        for (nth, &index) in group.iter().enumerate() {
            let begun = out.len();
            self.tell(index, group, event.clone(), now, out);
            if nth > 0 {
                out[begun..].iter_mut().for_each(|(_, action)| blame_group(action));
            }
        }
    }

    fn tell(
        &mut self,
        index: usize,
        group: &[usize],
        event: Event,
        now: Now,
        out: &mut Vec<(usize, Action)>,
    ) {
        let held = group.iter().any(|&at| at != index && self.members[at].router.holds_back(now));
        self.act(index, out, |router, actions| {
            router.backup.held_back = held;
            router.step(event, now, actions);
        });
    }

    /// Takes the others along.
    fn settle(
        &mut self,
        group: &[usize],
        before: &[State],
        now: Now,
        out: &mut Vec<(usize, Action)>,
    ) {
        let backups = self.those_in(State::Backup, group);
        let was_active = |at: &usize| {
            group.iter().zip(before).any(|(index, was)| index == at && *was == State::Active)
        };
        if backups.iter().any(was_active) {
            for at in self.those_in(State::Active, group) {
                self.act(at, out, |router, actions| router.leave_with_group(now, actions));
            }
            return;
        }
        let mut rising = !self.those_in(State::Active, group).is_empty();
        for (nth, &at) in backups.iter().enumerate() {
            // All of them waited for another: the first one goes, the rest follows it.
            let first =
                nth == 0 && backups.iter().all(|&at| self.members[at].router.backup.wanting);
            if first || rising {
                let reason = if rising { Reason::Group } else { Reason::DownTimer };
                self.act(at, out, |router, actions| router.become_active(reason, now, actions));
                rising = true;
            }
        }
    }

    fn those_in(&self, state: State, group: &[usize]) -> Vec<usize> {
        let there = group.iter().filter(|&&at| self.members[at].router.state() == state);
        there.copied().collect()
    }

    fn act(
        &mut self,
        index: usize,
        out: &mut Vec<(usize, Action)>,
        act: impl FnOnce(&mut Router, &mut Vec<Action>),
    ) {
        let mut actions = Vec::new();
        act(&mut self.members[index].router, &mut actions);
        out.extend(actions.into_iter().map(|action| (index, action)));
    }
}

impl Router {
    /// Is it a backup that has no reason to become active?
    fn holds_back(&self, now: Now) -> bool {
        self.state == State::Backup && !self.backup.wanting && now < self.backup.due
    }
}

/// Only one member has a reason of its own.
fn blame_group(action: &mut Action) {
    if let Action::Transition { reason, .. } = action {
        *reason = Reason::Group;
    }
}
