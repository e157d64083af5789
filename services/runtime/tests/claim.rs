//! The name of a service: held by one process, refused to a second one, and missed when it is lost.

#![allow(clippy::expect_used, clippy::panic, missing_docs, reason = "a test")]

use busbar_interfaces::names;
use busbar_private_bus::PrivateBus;
use busbar_runtime::{Bus, Exit};
use std::time::Duration;
use tokio::time::timeout;
use zbus::fdo::{DBusProxy, RequestNameFlags, RequestNameReply};

const LIMIT: Duration = Duration::from_secs(10);

async fn service(bus: &PrivateBus) -> Bus {
    Bus::connect(names::METERING, bus.address()).await.expect("the bus is there")
}

/// The unique name of who holds metering's name.
async fn owner(bus: &Bus) -> Option<String> {
    let daemon = DBusProxy::new(bus.connection()).await.expect("a proxy");
    let name = names::METERING.bus_name.try_into().expect("a name");
    daemon.get_name_owner(name).await.ok().map(|owner| owner.to_string())
}

fn unique_name(bus: &Bus) -> Option<String> {
    bus.connection().unique_name().map(ToString::to_string)
}

#[tokio::test]
async fn a_second_instance_is_refused_and_the_first_keeps_the_name() {
    let bus = PrivateBus::start().await.expect("a bus");
    let (first, second) = (service(&bus).await, service(&bus).await);
    first.claim().await.expect("the name is free");
    first.claim().await.expect("claiming twice is harmless");
    let refused = second.claim().await.expect_err("there is a first one");
    assert!(matches!(refused, Exit::Bus(_)), "{refused:?}");
    assert_eq!(refused.code(), 69);
    assert_eq!(owner(&first).await, unique_name(&first));

    // The second one does not wait in a queue either.
    first.release().await;
    assert_eq!(owner(&first).await, None);
    second.claim().await.expect("the name is free again");
    assert_eq!(owner(&first).await, unique_name(&second));
}

#[tokio::test]
async fn nobody_can_take_the_name_by_force() {
    let bus = PrivateBus::start().await.expect("a bus");
    let service = service(&bus).await;
    service.claim().await.expect("the name is free");
    let robber = bus.connect().await.expect("a client");
    let daemon = DBusProxy::new(&robber).await.expect("a proxy");
    let name = names::METERING.bus_name.try_into().expect("a name");
    let flags = RequestNameFlags::REPLACE_EXISTING | RequestNameFlags::DO_NOT_QUEUE;
    let reply = daemon.request_name(name, flags).await.expect("an answer");
    assert_eq!(reply, RequestNameReply::Exists);
    assert_eq!(owner(&service).await, unique_name(&service));
}

#[tokio::test]
async fn a_name_that_is_lost_ends_the_service() {
    let bus = PrivateBus::start().await.expect("a bus");
    let service = service(&bus).await;
    service.claim().await.expect("the name is free");
    let lost = service.lost();
    tokio::pin!(lost);
    let exit = timeout(LIMIT, async {
        loop {
            // The daemon says `NameLost` to whoever gives a name back, too. It is heard once `lost` listens.
            let again = async {
                service.release().await;
                service.claim().await
            };
            tokio::select! {
                exit = &mut lost => return exit,
                again = again => again.expect("the name is free"),
            }
        }
    });
    let exit = exit.await.expect("the loss is noticed");
    assert!(matches!(&exit, Exit::Bus(text) if text.contains(names::METERING.bus_name)), "{exit:?}");
}

#[tokio::test]
async fn another_name_that_is_lost_does_not_matter() {
    let bus = PrivateBus::start().await.expect("a bus");
    let service = service(&bus).await;
    service.claim().await.expect("the name is free");
    let lost = service.lost();
    tokio::pin!(lost);
    let others = async {
        for _ in 0..20 {
            service.connection().request_name("io.busbar.Other1").await.expect("free");
            service.connection().release_name("io.busbar.Other1").await.expect("released");
        }
    };
    tokio::select! {
        exit = &mut lost => panic!("{exit:?}"),
        () = others => {}
    }
}

#[tokio::test]
async fn a_bus_that_is_lost_ends_the_service() {
    let bus = PrivateBus::start().await.expect("a bus");
    let service = service(&bus).await;
    service.claim().await.expect("the name is free");
    let (exit, ()) = timeout(LIMIT, async { tokio::join!(service.lost(), bus.stop()) }).await.expect("it is noticed");
    assert!(matches!(exit, Exit::Bus(_)), "{exit:?}");
}

#[tokio::test]
async fn no_bus_is_an_exit() {
    let refused = Bus::connect(names::METERING, "unix:path=/nowhere/bus").await.expect_err("there is none");
    assert!(matches!(&refused, Exit::Bus(text) if text.contains("/nowhere/bus")), "{refused:?}");
}
