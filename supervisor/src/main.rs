//! The `midwatch` binary.

use std::{io::Write as _, process::ExitCode, time::Duration};

use clap::Parser as _;
use midwatch::command::{self, Arguments};

/// How long tasks may take to be dropped.
const ENDING: Duration = Duration::from_millis(300);

/// What logs requests and answers as they are, secrets included; one is a beginning of its targets.
const LOUD: [&str; 6] = ["aws_", "hyper", "h2", "rustls", "tower", "axum"];

/// Unless it is asked for by name, the protocol's own log stays out of the terminal, and nothing
/// of what goes over the wire gets into a log.
fn filter(asked: &str) -> String {
    let mut filter = asked.to_owned();
    let detailed = asked.to_lowercase().contains(['4', '5'])
        || ["debug", "trace"].iter().any(|level| asked.to_lowercase().contains(level));
    if !asked.contains("rmcp") {
        filter.push_str(if detailed { ",rmcp=info" } else { ",rmcp=error" });
    }
    // Of two directives the longer target wins: what is named more closely stays as it is named.
    let named = |target: &str| asked.split(',').any(|d| d.split(['=', '[']).next() == Some(target));
    for target in LOUD.into_iter().filter(|target| detailed && !named(target)) {
        filter.extend([",", target, "=info"]);
    }
    filter
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ran = command::log_filter(&arguments)
        .map_or(Ok(()), |asked| midwatch_mcp::start_tracing(&filter(&asked)))
        .and_then(|()| Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?))
        .and_then(|runtime| {
            let ran = runtime.block_on(command::run(arguments));
            // A read of the terminal cannot be interrupted; it must not keep the process alive. What
            // holds a process of its own ends it here.
            runtime.shutdown_timeout(ENDING);
            ran
        });
    ran.unwrap_or_else(|error| {
        // Whoever read has read enough.
        let closed = |e: &std::io::Error| e.kind() == std::io::ErrorKind::BrokenPipe;
        if error.chain().filter_map(|e| e.downcast_ref()).any(closed) {
            return ExitCode::SUCCESS;
        }
        let _ = writeln!(anstream::stderr(), "midwatch: {error:#}");
        ExitCode::from(2)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detailed_log_leaves_out_what_goes_over_the_wire() {
        for asked in ["trace", "info,midwatch=DEBUG"] {
            let filter = filter(asked);
            for target in LOUD {
                assert!(filter.contains(&format!(",{target}=info")), "{filter}");
            }
        }
        assert_eq!(filter("error"), "error,rmcp=error");
        assert!(filter("aws_smithy_runtime=trace").contains(",aws_=info"));
        assert!(!filter("debug,hyper=trace").contains("hyper=info"));
    }
}
