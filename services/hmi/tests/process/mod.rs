//! The HMI process of a test, with a runtime directory, which a lone program does not have otherwise.

use busbar_private_bus::lone::Lone;
use std::process::{Child, Command};

/// The process, which is killed without warning when it is dropped.
pub struct Hmi(Child);

impl Hmi {
    /// Starts it; a second start finds the runtime directory of the first.
    pub fn start(bench: &Lone) -> Hmi {
        let runtime = bench.root().join("runtime");
        std::fs::create_dir_all(&runtime).expect("made");
        let mut command = Command::new(env!("CARGO_BIN_EXE_busbar-hmi"));
        command.arg("--bus").arg(bench.address()).arg("--root").arg(bench.root()).arg("--runtime").arg(runtime);
        Hmi(command.spawn().expect("starts"))
    }
}

impl Drop for Hmi {
    fn drop(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("gone");
    }
}
