//! Messages per second of rumqttc with its own event loop: `mqtt-yardstick PORT QOS COUNT`.
//!
//! Publishes COUNT messages of 64 bytes and ends when all are acknowledged; without a quality of service, when the
//! broker has read all of them, which the acknowledgement of a last one tells.

use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<usize> = std::env::args()
        .skip(1)
        .map(|word| word.parse().expect("a number"))
        .collect();
    let [port, qos, count] = arguments[..] else {
        panic!("mqtt-yardstick PORT QOS COUNT");
    };
    let mut options = MqttOptions::new("yardstick", "127.0.0.1", port as u16);
    options.set_keep_alive(Duration::from_secs(30));
    options.set_inflight(20);
    let (client, mut events) = AsyncClient::new(options, 100);
    while !matches!(events.poll().await, Ok(Event::Incoming(Packet::ConnAck(_)))) {}
    let start = Instant::now();
    let quality = if qos == 0 {
        QoS::AtMostOnce
    } else {
        QoS::AtLeastOnce
    };
    tokio::spawn(async move {
        for _ in 0..count {
            client
                .publish("bench/topic", quality, false, vec![b'x'; 64])
                .await
                .expect("a queue");
        }
        if qos == 0 {
            client
                .publish("bench/topic", QoS::AtLeastOnce, false, "end")
                .await
                .expect("a queue");
        }
        std::future::pending::<()>().await;
    });
    let expected = if qos == 0 { 1 } else { count };
    let mut acknowledged = 0;
    while acknowledged < expected {
        if let Event::Incoming(Packet::PubAck(_)) = events.poll().await.expect("a connection") {
            acknowledged += 1;
        }
    }
    println!("{:.0}", count as f64 / start.elapsed().as_secs_f64());
}
