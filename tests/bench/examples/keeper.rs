//! A service that hands everything over: a notebook in which it writes all the time, and a socket on which it tells
//! how often. The tests kill it, restart it and stop it. It borrows metering's name and section, and prints what it found
//! as one line of JSON.

use busbar_interfaces::names;
use busbar_runtime::{Notebook, StopKind};
use serde::{Deserialize, Serialize};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// Often enough to be killed in a write now and then, and seldom enough to leave the processor to the other tests.
const PACE: Duration = Duration::from_millis(2);

/// What the next process finds.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    writes: u64,
    /// The number of writes again and again: a torn state is seen.
    pages: Vec<u64>,
    stopped: Option<String>,
}

fn main() -> ExitCode {
    busbar_runtime::run(names::METERING, env!("CARGO_PKG_VERSION"), |process| async move {
        process.settings(|all| all.section("metering", |_| ()))?;
        let descriptors = process.descriptors.clone();
        let mut notebook = Notebook::open(&descriptors, "notebook", 16 * 1024);
        let found = notebook.read::<State>();
        let failed = |error: std::io::Error| busbar_runtime::Exit::Internal(error.to_string());
        let taken = descriptors.take("socket").map(UdpSocket::from);
        let socket = match taken {
            Some(socket) => socket,
            None => {
                let socket = UdpSocket::bind("127.0.0.1:0").map_err(failed)?;
                descriptors.keep("socket", socket.as_fd());
                // The next process knows nothing of this one.
                let left = UdpSocket::bind("127.0.0.1:0").map_err(failed)?;
                descriptors.keep("left-over", left.as_fd());
                socket
            }
        };
        socket.set_nonblocking(true).map_err(failed)?;
        let port = socket.local_addr().map_err(failed)?.port();
        let brief = found.as_ref().map(|found| {
            let is_whole = found.pages.iter().all(|page| *page == found.writes);
            serde_json::json!({ "writes": found.writes, "is_whole": is_whole, "stopped": found.stopped })
        });
        println!("{}", serde_json::json!({ "port": port, "found": brief }));
        let mut state = found.unwrap_or_default();
        let socket = tokio::net::UdpSocket::from_std(socket).map_err(failed)?;

        let bus = process.connect(None).await?;
        bus.ready().await?;
        let (lost, asked) = (bus.lost(), bus.asked_to_stop(process.life.stop));
        tokio::pin!(lost, asked);
        let mut question = [0; 8];
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let kind = loop {
            tokio::select! {
                biased;
                kind = &mut asked => break kind,
                exit = &mut lost => return Err(exit),
                Ok((_, who)) = socket.recv_from(&mut question) => {
                    socket.send_to(&state.writes.to_le_bytes(), who).await.map_err(failed)?;
                }
                _ = pace.tick() => {
                    state.writes += 1;
                    state.pages = vec![state.writes; 1000];
                    notebook.write(&state);
                }
            }
        };
        let stopped = match kind {
            StopKind::Stop => "stop",
            StopKind::Restart => "restart",
        };
        state.stopped = Some(stopped.to_owned());
        println!("{}", serde_json::json!({ "written": notebook.write(&state) }));
        bus.release().await;
        Ok(())
    })
}
