//! A service that does nothing: the shortest program that lives by the shell. The tests run it as a process; it
//! borrows metering's name and section.

use busbar_interfaces::names;
use std::process::ExitCode;

fn main() -> ExitCode {
    busbar_runtime::run(names::METERING, env!("CARGO_PKG_VERSION"), |process| async move {
        process.settings(|all| {
            all.section("metering", |section| {
                (section.integer("poll_millis", 1..=1000, Some(5)), section.texts("note"))
            })
        })?;
        let bus = process.connect(None).await?;
        bus.ready().await?;
        let mut life = process.life;
        let lost = bus.lost();
        tokio::pin!(lost);
        loop {
            tokio::select! {
                () = life.stop.asked() => break,
                exit = &mut lost => return Err(exit),
                () = life.watchdog.due() => life.watchdog.feed(),
            }
        }
        bus.release().await;
        Ok(())
    })
}
