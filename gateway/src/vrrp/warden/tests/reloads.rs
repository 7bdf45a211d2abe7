//! One reload soon after another.

use super::*;

/// With these two addresses.
fn both() -> VirtualRouter {
    let mut both = router();
    both.addresses.extend(at("10.0.0.8", router()).addresses);
    both
}

/// Has the process say something until what this gives is dropped.
fn lives(mut peer: Peer) -> Arc<()> {
    let here = Arc::new(());
    let wanted = Arc::downgrade(&here);
    std::thread::spawn(move || {
        while wanted.upgrade().is_some() {
            peer.say(&Word::Beat(0));
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    here
}

#[test]
fn clients_of_an_address_that_a_second_reload_puts_back_are_neither_refused_nor_cut() {
    let stage = Stage::new();
    stage.live();
    let (mut peer, _) = stage.begun();
    peer.goes(State::Active);
    let _lives = lives(peer);
    until("it is active", || stage.has_told(Close::Over) > 0);
    stage.change(&[both()]);
    stage.change(&[router()]);
    until("its clients are cut", || stage.has_told_of("10.0.0.8", Close::Cut) > 0);
    let over = stage.has_told_of("10.0.0.8", Close::Over);
    stage.change(&[both()]);
    assert!(stage.has_told_of("10.0.0.8", Close::Over) > over, "they may come again at once");
    // Another address that leaves later is swept: by then the first one would have been.
    let cut = stage.has_told_of("10.0.0.8", Close::Cut);
    stage.change(&[at("10.0.0.8", router())]);
    until("the other one is swept", || stage.has_told_of("10.0.0.9", Close::Over) > 1);
    assert_eq!(stage.has_told_of("10.0.0.8", Close::Cut), cut, "nobody is cut later");
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
