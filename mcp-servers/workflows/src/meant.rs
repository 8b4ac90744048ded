//! Which execution an argument means.

use midwatch_mcp::{ToolError, Window, named};

use crate::{
    api::{Api, Described},
    count::{Run, Status},
    server::NAME,
};

/// Which of the two of a comparison an argument means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Failed,
    Good,
}

/// The ARN of an execution, from what it is called; a comparison calls two of them.
pub(crate) fn execution_arn(machine: &str, execution: &str, which: Which) -> Result<String, ToolError> {
    let both = execution.trim().strip_prefix("comparison:").and_then(|both| both.split_once(':'));
    let execution = match both {
        Some((failed, good)) => match which {
            Which::Failed => failed,
            Which::Good => good,
        },
        None => named(execution, &["execution", "failure"]),
    };
    let prefix = format!("{}:", machine.replacen(":stateMachine:", ":execution:", 1));
    let name = if execution.starts_with("arn:") { execution.strip_prefix(&prefix) } else { Some(execution) };
    let fits = |c: char| !c.is_control() && !c.is_whitespace() && !"<>{}[]?*\"#%\\^|~`$&,;:/".contains(c);
    match name {
        Some(name) if (1..=80).contains(&name.chars().count()) && name.chars().all(fits) => {
            Ok(format!("{prefix}{name}"))
        }
        Some(_) => Err(ToolError::invalid(
            format!("`{}` is no name of an execution", midwatch_mcp::clip(execution, NAME)),
            "give `execution` as list_executions names it",
        )),
        None => Err(ToolError::invalid(
            "the execution belongs to another state machine",
            format!("give one whose ARN begins with {prefix}"),
        )),
    }
}

/// The failed execution that is meant.
pub(crate) async fn meant(
    api: &Api,
    named: Option<&str>,
    failed: &[Run],
    window: Window,
) -> Result<Described, ToolError> {
    let arn = match (named, failed.first()) {
        (Some(named), _) => execution_arn(&api.machine, named, Which::Failed)?,
        (None, Some(newest)) => newest.arn.clone(),
        (None, None) => {
            return Err(ToolError::not_found(
                format!("no execution that began between {} and {} failed", window.from, window.to),
                "widen the window with `from` and `to`, or name an `execution`",
            ));
        }
    };
    let found = api.describe(&arn).await?;
    match found.run.status {
        Status::Running | Status::Succeeded => Err(ToolError::invalid(
            format!("execution `{}` has not failed", found.run.name),
            "give one that failed, or leave `execution` out for the newest",
        )),
        Status::Failed | Status::TimedOut | Status::Aborted => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:orders";

    #[test]
    fn an_execution_is_named_by_its_arn_or_its_name() {
        let arn = "arn:aws:states:us-east-1:123456789012:execution:orders:run-1";
        assert_eq!(execution_arn(MACHINE, arn, Which::Failed).unwrap(), arn);
        for name in ["run-1", "execution:run-1", "failure:run-1", "comparison:run-1:run-0"] {
            assert_eq!(execution_arn(MACHINE, name, Which::Failed).unwrap(), arn);
        }
        assert_eq!(execution_arn(MACHINE, " comparison:run-0:run-1 ", Which::Good).unwrap(), arn);
        for wrong in [
            "",
            "a b",
            "a/b",
            "x:y",
            "comparison:run-1",
            "comparison::",
            &arn.replace("orders", "others"),
            &"x".repeat(81),
        ] {
            assert!(execution_arn(MACHINE, wrong, Which::Failed).is_err(), "{wrong:?}");
        }
    }
}
