//! The program `busbar-csms`; all it does is in the library.

use std::process::ExitCode;

use busbar_csms::{Arguments, run};
use clap::Parser;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(fault) => {
            // Help and version are no errors; where nothing can be printed there is nobody to tell.
            let _unprinted = fault.print();
            return ExitCode::from(if fault.use_stderr() { 64 } else { 0 });
        }
    };
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            let code = fault.exit_code();
            eprintln!("busbar-csms: {:#}", anyhow::Error::new(fault));
            ExitCode::from(code)
        }
    }
}
