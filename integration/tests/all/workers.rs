//! Sessions live on threads, each on one for life: so new ones have to be spread well.

use integration::peer::ScriptedBroker;

use crate::front::{Front, Setup};

/// Sessions on each worker, fewest first.
async fn loads(front: &Front, workers: usize) -> Vec<f64> {
    let mut loads = Vec::new();
    for worker in 0..workers {
        let label = format!("worker=\"{worker}\"");
        let load = front.gateway.metric("amqp_gateway_worker_sessions", &[&label]).await.unwrap();
        loads.push(load);
    }
    loads.sort_by(f64::total_cmp);
    loads
}

#[tokio::test]
async fn no_worker_has_more_than_an_eighth_more_sessions_than_another() {
    let broker = ScriptedBroker::bind().await.unwrap();
    for workers in [2, 3] {
        let setup = Setup::at_accept().gateway(&format!("workers = {workers}"));
        let front = setup.start(&[broker.address()]).await;
        let mut sessions = Vec::new();
        for count in 1..=100 {
            sessions.push(front.open(&broker).await);
            if count % 20 == 0 {
                let loads = loads(&front, workers).await;
                assert_eq!(loads.iter().sum::<f64>(), f64::from(count), "{loads:?}");
                let (least, most) = (loads[0], loads[workers - 1]);
                assert!(most <= least + (least / 8.0).floor() + 1.0, "{loads:?}");
            }
        }
    }
}
