//! A call without a permit: what the desk made of the request that was filed for the caller.
//!
//! Pure. Nothing here can lead to an act: whatever the desk answers, the call ends as refused, and
//! the same caller calls again once a person has approved.

use jiff::{SignedDuration, Timestamp};
use midwatch_policy::{Action, RequestState, RequestView};

use crate::{
    flights::{AT_ONCE, LOOKS, Useless},
    permits::SourceError,
    receipt::{Obstacle, Refused, Requested, Stop},
};

/// The refusal that carries the desk's answer back.
pub(crate) fn refusal(
    answer: Result<RequestView, SourceError>,
    (subject, audience): (&str, &str),
    action: &Action,
) -> Stop {
    let view = match answer {
        Ok(view) => view,
        Err(error) => return turned_down(error).into(),
    };
    let shown = &view.shown;
    if shown.subject != subject || shown.audience != audience || shown.plan.action != *action {
        tracing::error!(request = %shown.request, "the desk answered with another request than was filed");
        return Refused::new(Obstacle::NoDesk, "the desk answered about something else than was asked")
            .into();
    }
    let request = Requested::from(&view);
    let id = &shown.request;
    let (kind, message) = match &view.state {
        RequestState::Open { .. } => (
            Obstacle::NoPermit,
            format!(
                "nobody has approved yet that `{subject}` may {action}: request `{id}` waits for {} until {}; once it is \
                 approved, call again with the same arguments",
                request.whom, request.expires
            ),
        ),
        RequestState::Approved { .. } => (
            Obstacle::NoPermit,
            format!("request `{id}` was approved just now: call again with the same arguments"),
        ),
        RequestState::Declined { by, reason, .. } => {
            (Obstacle::Declined, format!("`{by}` declined request `{id}`: {reason}"))
        }
        RequestState::Expired { .. } => (
            Obstacle::NoPermit,
            format!("nobody approved request `{id}` in time; a person can raise it again"),
        ),
        RequestState::Withdrawn { why, .. } => {
            (Obstacle::Withdrawn, format!("request `{id}` was withdrawn: {why}"))
        }
        RequestState::Revoked { by, reason, .. } => {
            (Obstacle::Withdrawn, format!("`{by}` took the permit of request `{id}` back: {reason}"))
        }
        RequestState::Used { .. } => {
            (Obstacle::Spent, format!("request `{id}` was approved, and its permit was used"))
        }
    };
    Stop {
        reason: Refused::new(kind, message),
        request: Some(Box::new(request)),
        plan: Some(Box::new(view.shown.plan)),
    }
}

/// A caller that has asked so often that neither desk nor people are asked again. Without the plan, which
/// would cost what is being saved; `plan` has it.
pub(crate) fn too_often(caller: &str, most: u32, since: Timestamp) -> Refused {
    let again = since.checked_add(SignedDuration::from_hours(1)).unwrap_or(since);
    Refused::new(
        Obstacle::Limit,
        format!(
            "`{caller}` has asked for approval {most} times within the hour: nobody is asked again before {again:.0}; \
             `plan` says what a change would do"
        ),
    )
}

/// A caller with as many calls under way as it may have.
pub(crate) fn busy(caller: &str) -> Refused {
    let message = format!(
        "`{caller}` has {AT_ONCE} calls under way, which is all it may have: wait until they have answered"
    );
    Refused::new(Obstacle::Limit, message)
}

/// A permit that is not looked at again.
pub(crate) fn useless(why: Useless) -> Refused {
    match why {
        Useless::Stale(why) => Refused::new(
            Obstacle::Stale,
            format!("{why}; this permit stays void: ask for approval of what is now"),
        ),
        Useless::WornOut => Refused::new(
            Obstacle::Limit,
            format!("this permit was presented {LOOKS} times and refused: it is not looked at again"),
        ),
    }
}

/// An error of the desk, as a refusal.
pub(crate) fn turned_down(error: SourceError) -> Refused {
    let SourceError::Desk(said) = error else {
        return Refused::new(Obstacle::NoDesk, format!("{error}; nothing is changed without it"));
    };
    let kind = match said.kind.as_str() {
        "forbidden" => Obstacle::Policy,
        "declined_before" => Obstacle::Declined,
        "limit" => Obstacle::Limit,
        "plan" => Obstacle::Stale,
        "held" => Obstacle::Withdrawn,
        "ended" | "not_found" => Obstacle::NoPermit,
        _ => Obstacle::NoDesk,
    };
    let refused = Refused::new(kind, format!("the desk takes no request for this: {}", said.message));
    if said.mend.is_empty() { refused } else { refused.mended(said.mend) }
}

#[cfg(test)]
mod tests {
    use midwatch_policy::WireError;

    use super::*;

    #[test]
    fn every_error_of_the_desk_is_a_refusal_of_its_own_kind() {
        for (kind, obstacle) in [
            ("forbidden", Obstacle::Policy),
            ("declined_before", Obstacle::Declined),
            ("limit", Obstacle::Limit),
            ("plan", Obstacle::Stale),
            ("held", Obstacle::Withdrawn),
            ("unauthenticated", Obstacle::NoDesk),
            ("something new", Obstacle::NoDesk),
        ] {
            let said = WireError { kind: kind.to_owned(), message: "no".to_owned(), mend: "wait".to_owned() };
            let refused = turned_down(SourceError::Desk(said));
            assert_eq!(refused.kind, obstacle, "{kind}");
            assert!(refused.message.ends_with(": no"), "{}", refused.message);
            assert_eq!(refused.mend, "wait");
        }
        let silent = turned_down(SourceError::Silent("gone".to_owned()));
        assert_eq!(silent.kind, Obstacle::NoDesk);
        assert!(silent.mend.contains("looks at the desk"), "{}", silent.mend);
    }
}
