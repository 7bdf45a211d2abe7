//! Whole handshakes between scripted peers: what each of them hears, whenever the route is decided,
//! however the bytes are cut, and whichever nodes are lost on the way.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::frame::HEARTBEAT;
use crate::handshake::pair::{Client, End, Node, Pair};
use crate::handshake::script::*;

fn pair(decides_at: Stage, nodes: Vec<Node>) -> Pair {
    Pair::new(owner(decides_at), Client::in_turns(&client_parts()), nodes)
}

fn refusal(end: End) -> (ReplyCode, bool) {
    match end {
        End::Step(Step::Refused { reason, by_node }) => (reason.code, by_node),
        other => panic!("no refusal: {other:?}"),
    }
}

#[test]
fn a_handshake_opens_whenever_the_route_is_decided() {
    for stage in STAGES {
        let mut pair = pair(stage, vec![node()]);
        assert_eq!(pair.run([]), End::Step(Step::Opened));
        assert_eq!(pair.client.heard, heard(stage), "{stage:?}");
        assert_eq!(pair.node.heard, told_node(), "{stage:?}");
        assert_eq!(pair.bridge.vhost(), Some("orders"));
        let hello = pair.bridge.hello().unwrap();
        assert_eq!(hello.user.as_deref(), Some("app"));
        assert_eq!(hello.properties.text("product"), Some("pika"));
        assert_eq!(pair.bridge.learned().tune, Some(OFFER));
        let start = pair.bridge.learned().greeting.as_ref().unwrap().read().unwrap();
        assert_eq!(start.mechanisms.as_bytes(), b"AMQPLAIN PLAIN");
        let opened = pair.into_opened();
        assert_eq!(opened.tune, ANSWER);
        assert_eq!((opened.client_rest, opened.node_rest), (vec![], vec![]));
    }
}

#[test]
fn a_pipelined_handshake_opens_in_one_segment_and_byte_by_byte() {
    let channel_open = [1, 0, 1, 0, 0, 0, 5, 0, 20, 0, 10, 0, crate::frame::END];
    for stage in STAGES {
        for pieces in [vec![], vec![1; 4000]] {
            let mut parts = client_parts().to_vec();
            parts.push(channel_open.to_vec());
            let mut node = node();
            node.answers[2].extend_from_slice(&HEARTBEAT);
            let client = Client::pipelined(&parts);
            let mut pair = Pair::new(owner(stage), client, vec![node]);
            let in_one_piece = pieces.is_empty();
            assert_eq!(pair.run(pieces), End::Step(Step::Opened));
            assert_eq!(pair.client.heard, heard(stage));
            assert_eq!(pair.node.heard, told_node());
            let opened = pair.into_opened();
            if in_one_piece {
                assert_eq!(opened.client_rest, channel_open);
                assert_eq!(opened.node_rest, HEARTBEAT);
            }
            assert!(channel_open.starts_with(&opened.client_rest));
        }
    }
}

#[test]
fn a_nodes_refusal_of_the_login_is_handed_on() {
    for stage in STAGES {
        let refuses = Node::new(&[start("RabbitMQ"), close(ReplyCode::ACCESS_REFUSED)]);
        let mut pair = pair(stage, vec![refuses]);
        assert_eq!(refusal(pair.run([])), (ReplyCode::ACCESS_REFUSED, true));
        assert!(pair.client.heard.ends_with(&close(ReplyCode::ACCESS_REFUSED)));
    }
}

#[test]
fn a_nodes_refusal_of_the_vhost_is_handed_on() {
    for stage in STAGES {
        let no = close(ReplyCode::NOT_ALLOWED);
        let refuses = Node::new(&[start("RabbitMQ"), wire::tune(OFFER), no.clone()]);
        let mut pair = pair(stage, vec![refuses]);
        assert_eq!(refusal(pair.run([])), (ReplyCode::NOT_ALLOWED, true));
        let mut expected = heard(stage);
        expected.truncate(expected.len() - open_ok().len());
        assert_eq!(pair.client.heard, [expected, no].concat());
    }
}

#[test]
fn a_node_that_is_being_stopped_is_a_lost_node() {
    for stage in STAGES {
        let stops = Node::new(&[start("RabbitMQ"), close(ReplyCode::CONNECTION_FORCED)]);
        let mut pair = pair(stage, vec![stops, node()]);
        assert_eq!(pair.run([]), End::Step(Step::Opened));
        assert_eq!(pair.client.heard, heard(stage));
    }
}

#[test]
fn a_renamed_vhost_is_what_the_node_hears_and_not_the_client() {
    for stage in STAGES {
        let mut owner = owner(stage);
        owner.rename_vhost = Some("orders-2".to_owned());
        let client = Client::in_turns(&client_parts());
        let mut pair = Pair::new(owner, client, vec![node()]);
        assert_eq!(pair.run([]), End::Step(Step::Opened));
        assert!(pair.node.heard.ends_with(&wire::open("orders-2")));
        assert_eq!(pair.bridge.vhost(), Some("orders"));
    }
}

#[test]
fn amqp_1_0_is_told_apart_and_nothing_of_it_is_answered_or_lost() {
    for protocol_id in [0, 2, 3] {
        let opening = [b'A', b'M', b'Q', b'P', protocol_id, 1, 0, 0];
        let client = Client::in_turns(&[[&opening, b"more".as_slice()].concat()]);
        let mut pair = Pair::new(owner(Stage::Header), client, vec![]);
        assert_eq!(pair.run([]), End::Step(Step::Amqp10 { protocol_id }));
        assert_eq!(pair.client.heard, b"");
        assert_eq!(pair.bridge.step(), Ok(Step::Wait));
        assert_eq!(pair.into_opened().client_rest, b"more");
    }
}

#[test]
fn foreign_bytes_are_told_what_is_spoken_here() {
    for (bytes, guess) in
        [(b"GET / HTTP/1.1".as_slice(), Guess::Http), (b"AMQP\x01\x01\x08\x00", Guess::AmqpVersion)]
    {
        let client = Client::in_turns(&[bytes.to_vec()]);
        let mut pair = Pair::new(owner(Stage::Header), client, vec![]);
        assert_eq!(pair.run([]), End::Step(Step::Foreign(guess)));
        assert_eq!(pair.client.heard, protocol_header::AMQP_0_9_1);
    }
}

#[test]
fn a_client_may_leave_at_any_point() {
    for stage in STAGES {
        for said in 1..3 {
            let mut parts = client_parts();
            parts[said] = close(ReplyCode::SUCCESS);
            let client = Client::in_turns(&parts[..=said]);
            let mut pair = Pair::new(owner(stage), client, vec![node()]);
            let End::Step(Step::Left(reason)) = pair.run([]) else {
                panic!("{stage:?} {said}");
            };
            assert_eq!(reason.code, ReplyCode::SUCCESS);
            assert!(pair.client.heard.ends_with(&wire::CLOSE_OK));
        }
    }
}

#[test]
fn a_conversation_goes_both_ways_while_the_client_has_no_tune() {
    for stage in [Stage::Header, Stage::StartOk] {
        let (client, node) = conversation();
        let told: Vec<u8> = node.answers.iter().skip(1).flatten().copied().collect();
        let mut pair = Pair::new(owner(stage), client, vec![node]);
        assert_eq!(pair.run([]), End::Step(Step::Opened));
        assert!(pair.client.heard.ends_with(&told));
        let said = [annotated("PLAIN"), secure_ok(), secure_ok(), tune_ok_open(ANSWER)].concat();
        assert_eq!(pair.node.heard, [header(), said].concat());
    }
}

#[test]
fn while_a_client_thinks_about_a_challenge_it_is_not_the_nodes_turn() {
    let (mut client, node) = conversation();
    client.says.truncate(2);
    let mut pair = Pair::new(owner(Stage::Header), client, vec![node]);
    assert_eq!(pair.run([]), End::Waits);
    assert!(!pair.bridge.awaits_node());
    pair.bridge.push_client(&secure_ok());
    assert_eq!(pair.bridge.step(), Ok(Step::Wait));
    assert!(pair.bridge.awaits_node());
}

#[test]
fn a_conversation_with_a_lost_node_is_lost() {
    let (client, mut first) = conversation();
    first.lost_after = Some(start("RabbitMQ").len() + secure().len());
    let (_, second) = conversation();
    let mut pair = Pair::new(owner(Stage::Header), client, vec![first, second]);
    assert_eq!(pair.run([]), End::Lost);
}

#[test]
fn a_conversation_after_our_tune_is_refused_with_the_way_out() {
    let (_, node) = conversation();
    let mut pair = pair(Stage::Open, vec![node]);
    let end = pair.run([]);
    assert_eq!(refusal(end), (ReplyCode::COMMAND_INVALID, false));
    let reason = wire::read_close(&pair.client.heard[heard(Stage::Open).len() - 13..]).unwrap();
    assert!(reason.text().contains("use PLAIN or AMQPLAIN"), "{reason}");
}

#[test]
fn secure_ok_without_a_challenge_is_the_clients_fault() {
    for parts in [
        vec![header(), start_ok("PLAIN", &[]), secure_ok()],
        vec![header(), start_ok("PLAIN", &[]), secure_ok(), [secure_ok(), secure_ok()].concat()],
    ] {
        let (_, node) = conversation();
        let challenged = parts.len() == 4;
        let stage = if challenged { Stage::Header } else { Stage::Open };
        let mut pair = Pair::new(owner(stage), Client::in_turns(&parts), vec![node]);
        let end = pair.run([]);
        assert!(matches!(end, End::Fault(Fault::Client(_))), "{end:?}");
    }
}

#[test]
fn a_node_with_fewer_channels_is_told_no_more_than_it_offers() {
    let few = Tune { channel_max: 100, ..OFFER };
    let mut pair = pair(Stage::Open, vec![node_with(few)]);
    assert_eq!(pair.run([]), End::Step(Step::Opened));
    let told = Tune { channel_max: 100, ..ANSWER };
    assert!(pair.node.heard.ends_with(&tune_ok_open(told)));
    assert_eq!(pair.into_opened().tune, ANSWER);
}

#[test]
fn a_node_with_smaller_frames_costs_the_client_a_reconnect() {
    for few_channels in [2047, 100] {
        let small = Tune { frame_max: 4096, channel_max: few_channels, ..OFFER };
        let mut pair = pair(Stage::Open, vec![node_with(small)]);
        assert_eq!(refusal(pair.run([])), (ReplyCode::CONNECTION_FORCED, false));
        assert_eq!(pair.bridge.learned().tune, Some(small));
        assert!(!pair.bridge.awaits_node(), "it has been told no open");
    }
}

#[test]
fn a_second_node_with_smaller_frames_than_the_lost_first_offered_is_a_misfit_too() {
    let first = lost(start("RabbitMQ").len() + wire::tune(OFFER).len());
    let small = Tune { frame_max: 4096, ..OFFER };
    let mut pair = pair(Stage::Header, vec![first, node_with(small)]);
    assert_eq!(refusal(pair.run([])), (ReplyCode::CONNECTION_FORCED, false));
}

#[test]
fn the_node_that_made_the_offer_is_the_judge_of_the_answer() {
    let greedy = Tune { frame_max: 1 << 20, ..OFFER };
    let parts = [header(), start_ok("PLAIN", &[]), tune_ok_open(greedy)];
    let client = Client::in_turns(&parts);
    let mut pair = Pair::new(owner(Stage::Header), client, vec![node()]);
    assert_eq!(pair.run([]), End::Step(Step::Opened));
    assert!(pair.node.heard.ends_with(&tune_ok_open(greedy)));
}

#[test]
fn an_answer_over_our_own_offer_is_the_clients_fault() {
    let greedy = Tune { frame_max: 1 << 20, ..OFFER };
    let parts = [header(), start_ok("PLAIN", &[]), tune_ok_open(greedy)];
    let mut pair = Pair::new(owner(Stage::Open), Client::in_turns(&parts), vec![]);
    let fault = Fault::Client(HandshakeError::Tune(crate::tune::Misfit::FrameMax));
    assert_eq!(pair.run([]), End::Fault(fault));
}

#[test]
fn a_mechanism_that_we_did_not_offer_is_the_clients_fault() {
    let parts = [header(), start_ok("EXTERNAL", &[])];
    let mut pair = Pair::new(owner(Stage::Open), Client::in_turns(&parts), vec![]);
    let fault = Fault::Client(HandshakeError::Mechanism("EXTERNAL".to_owned()));
    assert_eq!(pair.run([]), End::Fault(fault));
}

#[test]
fn a_start_ok_that_only_the_node_can_read_reaches_it_unchanged() {
    let mut odd = start_ok("PLAIN", &[]);
    let at = odd.windows(4).position(|w| w == b"pika").unwrap() - 5;
    assert_eq!(odd[at], b'S');
    odd[at] = b'?';
    let parts = [header(), odd.clone(), tune_ok_open(ANSWER)];
    let mut pair = Pair::new(owner(Stage::Header), Client::in_turns(&parts), vec![node()]);
    assert_eq!(pair.run([]), End::Step(Step::Opened));
    assert_eq!(pair.node.heard, [header(), odd.clone(), tune_ok_open(ANSWER)].concat());
    let mut pair = Pair::new(owner(Stage::Open), Client::in_turns(&parts), vec![node()]);
    let end = pair.run([]);
    assert!(matches!(end, End::Fault(Fault::Client(HandshakeError::Wire(_)))), "{end:?}");
}

#[test]
fn frames_out_of_order_are_the_clients_fault() {
    let wrong = [header(), wire::open("orders"), start_ok("PLAIN", &[]), HEARTBEAT.to_vec()];
    for (at, part) in [(1, 1), (1, 3), (2, 2), (2, 0)] {
        let mut parts = client_parts();
        parts[at] = wrong[part].clone();
        let mut pair = Pair::new(owner(Stage::Open), Client::in_turns(&parts), vec![node()]);
        let end = pair.run([]);
        assert!(matches!(end, End::Fault(Fault::Client(_))), "{at} {part} {end:?}");
    }
}

#[test]
fn heartbeats_after_tune_disturb_neither_side() {
    let tune_ok = [wire::tune_ok(ANSWER), HEARTBEAT.to_vec(), wire::open("orders")].concat();
    let parts = [header(), start_ok("PLAIN", &[]), tune_ok];
    let mut beating = node();
    beating.answers[2] = [HEARTBEAT.to_vec(), open_ok()].concat();
    for stage in STAGES {
        let client = Client::in_turns(&parts);
        let mut pair = Pair::new(owner(stage), client, vec![beating.clone()]);
        assert_eq!(pair.run([]), End::Step(Step::Opened));
        assert_eq!(pair.client.heard, heard(stage));
        assert_eq!(pair.node.heard, told_node());
    }
}

#[test]
fn a_node_that_answers_before_it_is_asked_is_a_lost_node() {
    let all = heard(Stage::Header);
    let hasty = [
        Node::new(std::slice::from_ref(&all)),
        Node::new(&[start("RabbitMQ"), [wire::tune(OFFER), open_ok()].concat()]),
        Node::new(&[protocol_header::AMQP_0_9_1.to_vec()]),
        Node::new(&[b"SSH-2.0-OpenSSH".to_vec()]),
    ];
    for node in hasty {
        let mut client = Client::in_turns(&client_parts());
        client.says.truncate(1);
        client.says.extend([(1, start_ok("PLAIN", &[])), (2, vec![])]);
        let mut pair = Pair::new(owner(Stage::Header), client, vec![node]);
        assert_eq!(pair.run([]), End::NoNodes);
    }
}

#[test]
fn a_refusal_of_ours_ends_the_handshake() {
    let mut bridge = Bridge::new(Vec::new());
    bridge.push_client(&header());
    assert_eq!(bridge.step(), Ok(Step::Route(Stage::Header)));
    assert!(!bridge.in_conversation());
    bridge.refuse(&CloseReason::new(ReplyCode::NOT_ALLOWED, "no route"));
    let reason = wire::read_close(&bridge.to_client).unwrap();
    assert_eq!(reason.text(), "NOT_ALLOWED - no route");
    bridge.push_client(&start_ok("PLAIN", &[]));
    assert_eq!(bridge.step(), Ok(Step::Wait));
}

#[test]
fn no_node_is_called_before_the_client_has_asked_for_amqp() {
    let mut bridge = Bridge::new(Vec::new());
    bridge.decided(None);
    assert_eq!(bridge.step(), Ok(Step::Wait));
    bridge.push_client(&header());
    assert_eq!(bridge.step(), Ok(Step::Connect));
}

#[test]
fn a_client_cannot_make_us_keep_more_than_is_stated() {
    let mut bridge = Bridge::new(Vec::new());
    bridge.push_client(&client_parts().concat());
    bridge.decided(None);
    let mut pushed = 0;
    while bridge.wants_client_bytes() {
        bridge.push_client(&HEARTBEAT);
        assert!(matches!(bridge.step(), Ok(Step::Connect | Step::Route(_))));
        bridge.decided(None);
        pushed += HEARTBEAT.len();
    }
    assert!(pushed <= super::super::server::MAX_WAITING);
}

#[test]
fn a_client_hears_the_same_wherever_nodes_are_lost() {
    let answers: usize = heard(Stage::Header).len();
    for stage in STAGES {
        for lost_after in 0..answers {
            let mut pair = pair(stage, vec![lost(lost_after), lost(lost_after), node()]);
            assert_eq!(pair.run([]), End::Step(Step::Opened));
            assert_eq!(pair.client.heard, heard(stage), "{stage:?} {lost_after}");
            assert_eq!(pair.node.heard, told_node(), "{stage:?} {lost_after}");
        }
    }
}

#[test]
fn without_a_node_the_client_is_led_on_to_open_and_taken_by_a_node_that_came_back() {
    let [first, second, third] = client_parts();
    let by_then = [first.clone(), [second.clone(), third.clone()].concat()];
    let half = [[first, second].concat(), Vec::new(), third];
    for parts in [client_parts().as_slice(), &half, &by_then] {
        let client = Client::in_turns(parts);
        let mut pair = Pair::new(owner(Stage::Header), client, vec![absent(), node()]);
        assert_eq!(pair.run([]), End::Step(Step::Opened));
        assert_eq!(pair.client.heard, heard(Stage::Open));
        assert_eq!(pair.node.heard, told_node());
    }
}

#[test]
fn a_client_that_has_said_open_waits_for_a_node_in_silence() {
    let client = Client::pipelined(&client_parts());
    let mut pair = Pair::new(owner(Stage::Header), client, vec![absent(), absent(), node()]);
    assert_eq!(pair.run([]), End::Step(Step::Opened));
    assert_eq!(pair.client.heard, heard(Stage::Header));
}

#[test]
fn a_broker_that_is_played_after_a_lost_node_goes_on_where_the_node_was() {
    let full = heard(Stage::Header).len() - open_ok().len();
    for lost_after in 0..full {
        let nodes = vec![lost(lost_after), absent(), node()];
        let mut pair = pair(Stage::Header, nodes);
        assert_eq!(pair.run([]), End::Step(Step::Opened));
        let by = if lost_after < start("RabbitMQ").len() { Stage::Open } else { Stage::Header };
        assert_eq!(pair.client.heard, heard(by), "{lost_after}");
        assert_eq!(pair.node.heard, told_node());
    }
}

#[test]
fn an_unreadable_start_ok_without_a_node_is_the_clients_fault() {
    let mut odd = start_ok("PLAIN", &[]);
    let at = odd.windows(4).position(|w| w == b"pika").unwrap() - 5;
    odd[at] = b'?';
    let parts = [[header(), odd].concat()];
    let nodes = vec![absent(), node()];
    let mut pair = Pair::new(owner(Stage::Header), Client::in_turns(&parts), nodes);
    let end = pair.run([]);
    assert!(matches!(end, End::Fault(Fault::Client(HandshakeError::Mechanism(_)))), "{end:?}");
}

proptest! {
    #[test]
    fn a_client_hears_the_same_however_bytes_are_cut_and_nodes_are_lost(
        stage in prop::sample::select(&STAGES),
        pipelined: bool,
        losses in prop::collection::vec(0usize..400, 0..4),
        pieces in prop::collection::vec(1u16..120, 0..200),
    ) {
        let parts = client_parts();
        let client = if pipelined { Client::pipelined(&parts) } else { Client::in_turns(&parts) };
        let full: usize = heard(Stage::Header).len();
        let mut nodes: Vec<Node> = Vec::new();
        for lost_after in losses {
            nodes.push(lost(lost_after % full));
        }
        nodes.push(node());
        let mut pair = Pair::new(owner(stage), client, nodes);
        prop_assert_eq!(pair.run(pieces), End::Step(Step::Opened));
        prop_assert_eq!(&pair.client.heard, &heard(stage));
        prop_assert_eq!(&pair.node.heard, &told_node());
    }

    #[test]
    fn a_conversation_sounds_the_same_however_it_is_cut(
        at_start: bool,
        pieces in prop::collection::vec(1u16..60, 0..200),
    ) {
        let stage = if at_start { Stage::Header } else { Stage::StartOk };
        let run = |pieces: Vec<u16>| {
            let (client, node) = conversation();
            let mut pair = Pair::new(owner(stage), client, vec![node]);
            let end = pair.run(pieces);
            (end, pair.client.heard, pair.node.heard)
        };
        prop_assert_eq!(run(pieces), run(Vec::new()));
    }
}
