//! The deployments of a service, from every source that knows some.

use futures::FutureExt as _;
use midwatch_mcp::{Ctx, ToolError, Window};
use midwatch_policy::Service;

use crate::{
    codedeploy::CodeDeploy,
    deployment::{Deployment, link},
    ecs::Ecs,
};

/// Dependencies whose deployments are looked at.
const MOST_DEPENDENCIES: usize = 12;

/// Linked deployments of one service, also from before the window. Where one of two sources
/// fails the other's answer stands, with a note; where all fail, that is the answer.
pub(crate) async fn of(
    ctx: &Ctx,
    service: &Service,
    window: Window,
    notes: &mut Vec<String>,
) -> Result<Vec<Deployment>, ToolError> {
    let aws = &ctx.aws;
    let (mut from_codedeploy, mut from_ecs) = (Vec::new(), Vec::new());
    let codedeploy = async {
        let Some(target) = &service.codedeploy else { return None };
        let read =
            async { CodeDeploy::of(aws, service, target).await?.history(window, &mut from_codedeploy).await };
        Some(read.boxed().await)
    };
    let ecs = async {
        let Some(target) = &service.ecs else { return None };
        let read = async {
            let ecs = Ecs::of(aws, service, target).await?;
            match ecs.history(window, &mut from_ecs).await {
                // What CodeDeploy deploys to ECS would show twice.
                Ok(list) if list.is_empty() && service.codedeploy.is_none() => {
                    let current = ecs.current().await?;
                    from_ecs
                        .push(unrecorded(current.iter().filter(|d| d.touches(window)).count()).to_owned());
                    Ok(current)
                }
                other => other,
            }
        };
        Some(read.boxed().await)
    };
    let (codedeploy, ecs) = futures::join!(codedeploy, ecs);
    notes.append(&mut from_codedeploy);
    notes.append(&mut from_ecs);
    let sources = [("CodeDeploy", codedeploy), ("ECS", ecs)];
    let asked = sources.iter().filter(|(_, result)| result.is_some()).count();
    if asked == 0 {
        notes.push(format!(
            "the catalog names neither a deployment group nor an ECS service for `{}`",
            service.name
        ));
    }
    let (mut list, mut failed) = (Vec::new(), Vec::new());
    for (name, result) in sources {
        match result {
            Some(Ok(found)) => list.extend(found),
            Some(Err(error)) => failed.push((name, error)),
            None => {}
        }
    }
    if failed.len() == asked
        && let Some((_, error)) = failed.first()
    {
        return Err(error.clone());
    }
    notes.extend(failed.iter().map(|(name, error)| format!("deployments of {name} are missing: {error}")));
    Ok(link(list))
}

/// What is said where ECS has no record of deployments in a window.
const fn unrecorded(shown: usize) -> &'static str {
    match shown {
        0 => {
            "ECS has no record of service deployments in the window, and what it runs now was not deployed in it"
        }
        _ => "ECS has no record of service deployments; shown is what it runs now",
    }
}

pub(crate) async fn of_dependencies(
    ctx: &Ctx,
    service: &Service,
    window: Window,
    notes: &mut Vec<String>,
) -> Vec<Deployment> {
    let known: Vec<&Service> = service.depends_on.iter().filter_map(|name| ctx.catalog.get(name)).collect();
    if known.len() > MOST_DEPENDENCIES {
        notes.push(format!("{} dependencies; the first {MOST_DEPENDENCIES} were looked at", known.len()));
    }
    let reads = known.into_iter().take(MOST_DEPENDENCIES).map(|dependency| async move {
        let mut notes = Vec::new();
        let found = of(ctx, dependency, window, &mut notes).await;
        (dependency, found, notes)
    });
    let mut deployments = Vec::new();
    for (dependency, found, more) in futures::future::join_all(reads).await {
        notes.extend(more.into_iter().map(|note| format!("`{}`: {note}", dependency.name)));
        match found {
            Ok(found) => deployments.extend(found),
            Err(error) => {
                notes.push(format!("deployments of `{}` are missing: {error}", dependency.name));
            }
        }
    }
    deployments
}

#[cfg(test)]
mod tests {
    use super::unrecorded;

    #[test]
    fn nothing_is_said_to_be_shown_where_nothing_is() {
        assert!(unrecorded(1).contains("shown is what it runs now"));
        assert!(!unrecorded(0).contains("shown"));
    }
}
