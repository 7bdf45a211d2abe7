use std::sync::Arc;

use super::*;
use crate::config::model::ListenerName;
use crate::stream::arrival::Arrival;

fn session(id: u64) -> Arc<Session> {
    let client = ([127, 0, 0, 1], 4000).into();
    Arc::new(Session::new(SessionId(id), Arrival::new(ListenerName("amqp".into()), client)))
}

const ACK: &[u8] = &[1, 0, 1, 0, 0, 0, 13, 0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0xce];

fn body(size: usize) -> Vec<u8> {
    let head = [[3, 0, 1].as_slice(), &(size as u32).to_be_bytes()].concat();
    [head, vec![7; size], vec![0xce]].concat()
}

/// A tap of a session that is open, as far as it can see.
fn tapped(bodies: usize) -> (Arc<Session>, Lines) {
    let session = session(1);
    let (tap, lines) = Tap::new(TapId(1), Wanted { bodies, ..Wanted::default() });
    session.tapped.attach(&Arc::new(tap));
    (session, lines)
}

fn now(lines: &mut Lines) -> Vec<Seen> {
    let mut all = Vec::new();
    while let Ok(seen) = lines.receiver.try_recv() {
        lines.waiting.fetch_sub(seen.payload.len(), Ordering::Relaxed);
        all.push(seen);
    }
    all
}

#[test]
fn each_frame_is_one_line() {
    let (session, mut lines) = tapped(0);
    let mut following = Following::default();
    following.follow(&session, Direction::FromClient, 0, &[ACK, &body(5)].concat(), 0);
    following.follow(&session, Direction::FromNode, 0, ACK, 0);
    let seen = now(&mut lines);
    let told: Vec<_> = seen.iter().map(|s| (s.direction, s.kind, s.channel, s.size)).collect();
    let (client, node) = (Direction::FromClient, Direction::FromNode);
    assert_eq!(told, [(client, 1, 1, 21), (client, 3, 1, 13), (node, 1, 1, 21)]);
    assert_eq!(*seen[0].payload, ACK[7..20]);
    assert!(seen[1].payload.is_empty(), "nobody has asked for bodies");
}

#[test]
fn what_is_too_much_is_left_out_and_counted() {
    let (session, mut lines) = tapped(0);
    let mut following = Following::default();
    let flood = ACK.repeat(5000);
    following.follow(&session, Direction::FromClient, 0, &flood, 0);
    assert_eq!(now(&mut lines).len(), bucket::BURST as usize);
    following.follow(&session, Direction::FromClient, 0, ACK, 4);
    let seen = now(&mut lines);
    assert_eq!((seen.len(), seen[0].dropped), (1, 5000 - u64::from(bucket::BURST)));
}

#[test]
fn what_waits_to_be_read_is_bounded() {
    let (session, mut lines) = tapped(usize::MAX);
    let mut following = Following::default();
    for tick in 0..100 {
        following.follow(&session, Direction::FromClient, 0, &body(100_000).repeat(20), tick);
    }
    let waiting = lines.waiting.load(Ordering::Relaxed);
    assert!(waiting <= MOST_WAITING, "{waiting}");
    let seen = now(&mut lines);
    assert_eq!(seen.len(), MOST_WAITING / MOST_OF_BODY);
    assert_eq!(lines.waiting.load(Ordering::Relaxed), 0);
}

#[test]
fn there_are_only_so_many_taps_and_one_that_is_removed_makes_room() {
    let (taps, registry) = (Taps::default(), Registry::default());
    let all: Vec<_> =
        (0..MOST_TAPS).filter_map(|_| taps.add(Wanted::default(), &registry).ok()).collect();
    assert_eq!(taps.add(Wanted::default(), &registry).err(), Some(Full));
    taps.remove(all[3].0, &registry);
    assert!(taps.add(Wanted::default(), &registry).is_ok());
}

#[tokio::test]
async fn a_tap_of_one_session_ends_with_it() {
    let (taps, registry, session) = (Taps::default(), Registry::default(), session(7));
    registry.insert(session.clone());
    let wanted = Wanted { session: Some(session.id), ..Wanted::default() };
    let Ok((_, mut lines)) = taps.add(wanted, &registry) else { panic!("full") };
    taps.ended(&session);
    assert_eq!(lines.next().await, None);
    assert!(taps.is_empty() && !session.tapped.is_on());
}

#[tokio::test]
async fn a_tap_of_a_session_that_was_over_just_before_ends_at_once() {
    let (taps, registry, session) = (Taps::default(), Registry::default(), session(7));
    registry.insert(session.clone());
    registry.remove(session.id);
    taps.ended(&session);
    let wanted = Wanted { session: Some(session.id), ..Wanted::default() };
    let Ok((_, mut lines)) = taps.add(wanted, &registry) else { panic!("full") };
    assert_eq!(lines.next().await, None);
    assert!(taps.is_empty());
}
