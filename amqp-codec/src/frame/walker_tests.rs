//! The walk against an oracle that reads the whole stream at once, and its corners by hand.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::frame::HEARTBEAT;
use crate::frame::method::{MethodId, id};
use crate::frame::oracle::{Event, Outcome, Relay, expected};

const LIMIT: u32 = 4096;

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&channel.to_be_bytes());
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes.push(END);
    bytes
}

fn method(id: MethodId, channel: u16, arguments: &[u8]) -> Vec<u8> {
    frame(kind::METHOD, channel, &[&id.to_be_bytes(), arguments].concat())
}

fn with_end(mut frame: Vec<u8>, end: u8) -> Vec<u8> {
    *frame.last_mut().unwrap() = end;
    frame
}

/// Relays the stream, read by read.
fn relay<'b>(reads: impl IntoIterator<Item = &'b [u8]>, limit: u32) -> Outcome {
    let mut relay = Relay::new(limit);
    for read in reads {
        relay.read(read);
    }
    relay.outcome
}

fn at_once_and_byte_by_byte(stream: &[u8]) -> Outcome {
    let at_once = relay([stream], LIMIT);
    assert_eq!(relay(stream.chunks(1), LIMIT), at_once);
    assert_eq!(expected(stream, LIMIT), at_once);
    at_once
}

fn stops_with(stream: &[u8], error: FrameError, forwarded: usize) {
    let outcome = at_once_and_byte_by_byte(stream);
    assert_eq!(outcome.error, Some(error));
    assert_eq!(outcome.forwarded, stream[..forwarded]);
}

#[test]
fn a_message_is_seen_as_its_three_frames() {
    let stream = [
        method(id::BASIC_PUBLISH, 7, &[0, 0, 0, 1, b'q', 0]),
        frame(kind::HEADER, 7, &[0; 14]),
        frame(kind::BODY, 7, b"hello"),
        HEARTBEAT.to_vec(),
    ]
    .concat();
    let outcome = at_once_and_byte_by_byte(&stream);
    let publish = Event::Method(id::BASIC_PUBLISH, 7, vec![0, 0, 0, 1, b'q', 0]);
    let seen = [publish, Event::ContentHeader(7), Event::ContentBody(7), Event::Heartbeat];
    assert_eq!(outcome.events, seen);
    assert_eq!(outcome.forwarded, stream);
    assert!(outcome.at_boundary && outcome.error.is_none());
}

#[test]
fn inside_a_body_everything_is_forwarded_and_it_is_no_boundary() {
    let body = frame(kind::BODY, 1, &[0; 1000]);
    for cut in 8..body.len() {
        let mut relay = Relay::new(LIMIT);
        relay.read(&body[..cut]);
        assert_eq!(relay.outcome.forwarded.len(), cut);
        assert!(!relay.outcome.at_boundary);
        relay.read(&body[cut..]);
        assert!(relay.outcome.at_boundary);
    }
}

#[test]
fn a_cut_off_head_is_held_back_at_a_boundary() {
    let publish = method(id::BASIC_PUBLISH, 1, &[0; 40]);
    let stream = [HEARTBEAT.to_vec(), publish].concat();
    for cut in 8..stream.len() {
        let outcome = relay([&stream[..cut]], LIMIT);
        assert_eq!(outcome.forwarded, HEARTBEAT);
        assert!(outcome.at_boundary);
    }
}

#[test]
fn a_body_of_no_bytes_and_a_frame_of_the_limit_pass() {
    for size in [0, 1, LIMIT as usize] {
        let outcome = at_once_and_byte_by_byte(&frame(kind::BODY, 1, &vec![1; size]));
        assert_eq!(outcome.events, [Event::ContentBody(1)]);
        assert!(outcome.at_boundary);
    }
}

#[test]
fn a_frame_over_the_limit_stops_before_its_first_byte() {
    for frame_kind in 1..=3 {
        let large = frame(frame_kind, 1, &vec![0; LIMIT as usize + 1]);
        let stream = [HEARTBEAT.as_slice(), &large].concat();
        let (size, limit) = (LIMIT + 1, LIMIT);
        stops_with(&stream, FrameError::TooLarge { size, limit }, 8);
    }
    let largest = [kind::BODY, 0, 1, 0xff, 0xff, 0xff, 0xff, 0];
    assert!(matches!(relay([&largest[..]], u32::MAX).error, Some(FrameError::TooLarge { .. })));
}

#[test]
fn what_is_no_frame_stops_before_its_first_byte() {
    for first in (0..=255).filter(|byte| ![1, 2, 3, 8].contains(byte)) {
        stops_with(&[first], FrameError::Kind(first), 0);
        let stream = [HEARTBEAT.as_slice(), &[first], &[0xff; 20]].concat();
        stops_with(&stream, FrameError::Kind(first), 8);
    }
    stops_with(&frame(kind::HEARTBEAT, 0, b"x"), FrameError::Heartbeat(1), 0);
    stops_with(&frame(kind::HEARTBEAT, 0, &[0; 5000]), FrameError::Heartbeat(5000), 0);
    for size in 0..4 {
        let small = frame(kind::METHOD, 1, &vec![0; size]);
        stops_with(&small, FrameError::TooSmall(size as u32), 0);
    }
}

#[test]
fn a_wrong_end_is_never_forwarded() {
    let error = FrameError::End(0);
    for frame_kind in [kind::HEADER, kind::BODY] {
        let bad = with_end(frame(frame_kind, 1, &[7; 30]), 0);
        stops_with(&bad, error, bad.len() - 1);
    }
    // Of a method up to HOLD nothing is forwarded, so the stream stays at a boundary.
    let short = with_end(method(id::BASIC_ACK, 1, &[0; 9]), 0);
    stops_with(&short, error, 0);
    assert!(at_once_and_byte_by_byte(&short).at_boundary);
    let close = with_end(method(id::CONNECTION_CLOSE, 0, &[0; 9]), 0);
    stops_with(&close, error, 0);
    let longest_held = with_end(method(id::QUEUE_DECLARE, 1, &[0; HOLD - 12]), 0);
    assert_eq!(longest_held.len(), HOLD);
    stops_with(&longest_held, error, 0);
    let long = with_end(method(id::QUEUE_DECLARE, 1, &[0; 900]), 0);
    stops_with(&long, error, long.len() - 1);
    assert!(!at_once_and_byte_by_byte(&long).at_boundary);
}

#[test]
fn of_a_long_method_the_head_is_seen_and_all_is_forwarded() {
    for size in [HOLD - 12, HOLD - 11, 2000] {
        let arguments: Vec<u8> = (0..size).map(|i| i as u8).collect();
        let stream = method(id::QUEUE_DECLARE, 3, &arguments);
        let outcome = at_once_and_byte_by_byte(&stream);
        let seen = arguments[..size.min(HOLD - 11)].to_vec();
        assert_eq!(outcome.events, [Event::Method(id::QUEUE_DECLARE, 3, seen)]);
        assert_eq!(outcome.forwarded, stream);
    }
}

#[test]
fn a_connection_method_waits_for_a_decision() {
    let close = method(id::CONNECTION_CLOSE, 0, &[0; 11]);
    let close_ok = method(id::CONNECTION_CLOSE_OK, 0, &[]);
    let secret = method(id::CONNECTION_UPDATE_SECRET, 0, &[1; 3000]);
    let body = frame(kind::BODY, 1, b"x");
    // The oracle lets even methods pass and drops odd ones: close-ok is dropped.
    let stream = [body.as_slice(), &close, &close_ok, &secret, &body].concat();
    let outcome = at_once_and_byte_by_byte(&stream);
    let seen = [
        Event::ContentBody(1),
        Event::Connection(id::CONNECTION_CLOSE, 0, close.len()),
        Event::Connection(id::CONNECTION_CLOSE_OK, 0, close_ok.len()),
        Event::Connection(id::CONNECTION_UPDATE_SECRET, 0, secret.len()),
        Event::ContentBody(1),
    ];
    assert_eq!(outcome.events, seen);
    assert_eq!(outcome.forwarded, [body.as_slice(), &close, &secret, &body].concat());
}

/// Frames as peers send them, and some as they should not.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let ids = prop::sample::select(vec![
        id::BASIC_PUBLISH,
        id::BASIC_ACK,
        id::CONNECTION_CLOSE,
        id::CONNECTION_CLOSE_OK,
        id::CONNECTION_UPDATE_SECRET,
        0xffff_ffff,
    ]);
    let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
    let wrong = (any::<u8>(), bytes(12), any::<u8>());
    prop_oneof![
        8 => (ids.clone(), any::<u16>(), bytes(60)).prop_map(|(id, c, a)| method(id, c, &a)),
        3 => (ids, any::<u16>(), bytes(1500)).prop_map(|(id, c, a)| method(id, c, &a)),
        8 => (2u8..4, any::<u16>(), bytes(300)).prop_map(|(kind, c, p)| frame(kind, c, &p)),
        2 => Just(HEARTBEAT.to_vec()),
        1 => wrong.prop_map(|(kind, p, end)| with_end(frame(kind, 1, &p), end)),
        1 => (1u8..4, bytes(700), any::<u8>()).prop_map(|(kind, mut p, end)| {
            p.extend_from_slice(&[0; 4]);
            with_end(frame(kind, 1, &p), end)
        }),
        1 => Just(frame(kind::BODY, 1, &[0; 1300])),
    ]
}

/// Messages that are all alike in shape, but for one byte of one of them.
fn alike() -> impl Strategy<Value = Vec<u8>> {
    let shape = (0usize..40, 0usize..40, 0usize..40, 1usize..40);
    let oddity = (any::<prop::sample::Index>(), any::<u8>());
    (shape, oddity, 6u16..8).prop_map(
        |((arguments, header, body, count), (place, byte), channel)| {
            let publish = method(id::BASIC_PUBLISH, 7, &vec![1; arguments]);
            let header = frame(kind::HEADER, channel, &vec![2; header]);
            let body = frame(kind::BODY, 7, &vec![3; body]);
            let mut stream = [publish, header, body].concat().repeat(count);
            let place = place.index(stream.len());
            stream[place] = byte;
            stream
        },
    )
}

#[test]
fn messages_of_one_shape_keep_the_channels_of_their_frames() {
    let frames = [method(id::BASIC_PUBLISH, 1, b"x"), frame(kind::HEADER, 2, b"y")];
    let one = [frames.concat(), frame(kind::BODY, 3, b"z")].concat();
    let outcome = at_once_and_byte_by_byte(&one.repeat(3));
    let channels = [Event::ContentHeader(2), Event::ContentBody(3)];
    assert_eq!(outcome.events[7..], channels);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn messages_of_one_shape_are_walked_like_any_others(
        stream in alike(),
        read in 1usize..200,
    ) {
        let expected = expected(&stream, 1200);
        prop_assert_eq!(&relay([stream.as_slice()], 1200), &expected);
        prop_assert_eq!(&relay(stream.chunks(read), 1200), &expected);
    }

    #[test]
    fn any_cut_of_a_stream_gives_what_reading_it_whole_gives(
        frames in prop::collection::vec(any_frame(), 0..12),
        lost in 0usize..40,
        reads in prop::collection::vec(1usize..700, 1..30),
    ) {
        let limit = 1200;
        let mut stream = frames.concat();
        stream.truncate(stream.len().saturating_sub(lost));
        let expected = expected(&stream, limit);
        let (mut rest, mut cut) = (stream.as_slice(), Vec::new());
        for read in reads.iter().cycle() {
            let (head, tail) = rest.split_at(rest.len().min(*read));
            cut.push(head);
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&relay(cut, limit), &expected);
        prop_assert_eq!(&relay([stream.as_slice()], limit), &expected);
    }
}
