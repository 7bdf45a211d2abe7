//! One reload soon after another.

use super::*;

/// With these two addresses.
fn both() -> VirtualRouter {
    let mut both = router();
    both.addresses.extend(at("10.0.0.8", router()).addresses);
    both
}

#[test]
fn one_that_no_process_ever_heard_of_is_gone_as_soon_as_it_leaves_the_configuration() {
    let stage = Stage::new();
    stage.live();
    let mut peer = stage.peer();
    let Order::Start(setup) = peer.order() else { panic!("no start") };
    assert_eq!(ids(&setup.routers), [(0, "amqp", 150)]);
    // The process is not set up yet.
    stage.change(&[router(), at("10.0.0.8", samples::router("other"))]);
    stage.change(&[router()]);
    assert_eq!(stage.board.all_routers().len(), 1);
    // Its address is nobody's: whoever takes it over is changed in its place.
    stage.change(&[both()]);
    peer.say(&Word::Ready);
    let Order::Change(change) = peer.order() else { panic!("no change") };
    assert_eq!(ids(&change.routers), [(0, "amqp", 150)]);
}
