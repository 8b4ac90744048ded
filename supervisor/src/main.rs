//! The `midwatch` binary.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use midwatch::command::{self, Arguments};

/// Unless it is asked for, the protocol's own log stays out of the terminal.
fn filter(asked: &str) -> String {
    if asked.contains("rmcp") { asked.to_owned() } else { format!("{asked},rmcp=error") }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ran = midwatch_mcp::start_tracing(&filter(&arguments.log))
        .and_then(|()| Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?))
        .and_then(|runtime| {
            let ran = runtime.block_on(command::run(arguments));
            // A read of the terminal cannot be interrupted; it must not keep the process alive.
            runtime.shutdown_background();
            ran
        });
    ran.unwrap_or_else(|error| {
        let _ = writeln!(anstream::stderr(), "midwatch: {error:#}");
        ExitCode::from(2)
    })
}
