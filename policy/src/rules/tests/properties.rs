//! What must hold whatever rules are added, over random rules and random calls.

use proptest::prelude::*;

use super::*;

/// How much a decision lets happen: nothing, after people, at once.
fn openness(decision: &Decision) -> u8 {
    match decision {
        Decision::Forbid { .. } => 0,
        Decision::Ask { .. } => 1,
        Decision::Allow { .. } => 2,
    }
}

/// Conditions that any rule may have.
const ATTESTED: [&str; 9] = [
    "resource.tier == 0",
    "resource.environment == \"staging\"",
    "context.attested.change_freeze",
    "context.attested.business_hours",
    "context.tool like \"re*\"",
    "principal.kind == \"agent_client\"",
    "resource.owners.contains(\"payments\")",
    "context has desired_count && context.desired_count > 4",
    "context.attested.tasks_running * 9223372036854775807 > 1",
];

/// Conditions that only a forbid may have.
const CLAIMED: [&str; 3] = [
    "context has claimed && context.claimed.confidence_percent < 80",
    "context has claimed && context.claimed.evidence.contains(\"pattern\")",
    "!(context has claimed)",
];

const TOOLS: [&str; 5] = ["rollback_deployment", "restart_service", "scale_service", "delete_table", "plan"];
const CLASSES: [ToolClass; 3] = [ToolClass::Read, ToolClass::Mutate, ToolClass::Unknown];

/// A call that owns what a `ToolCall` borrows.
#[derive(Debug, Clone)]
struct Random {
    class: ToolClass,
    tool: &'static str,
    kind: CallerKind,
    service: Option<Service>,
    arguments: Map<String, Value>,
    attested: Attested,
    claimed: Option<Claimed>,
}

impl Random {
    fn call(&self) -> ToolCall<'_> {
        ToolCall {
            caller: Caller { kind: self.kind, name: "x" },
            class: self.class,
            attested: self.attested,
            claimed: self.claimed.as_ref(),
            ..call(self.tool, &self.arguments, self.service.as_ref())
        }
    }
}

prop_compose! {
    fn random()(
        class in 0usize..3, tool in 0usize..5, kind in 0usize..3, tier in 0u8..5, place in 0usize..2,
        autonomy in 0usize..4, protected in proptest::bool::weighted(0.1), known in proptest::bool::weighted(0.9),
        freeze in any::<bool>(), hours in any::<bool>(), progress in 0u32..2, actions in 0u32..5, running in 0u32..4,
        desired in proptest::option::of(0i64..12), confidence in proptest::option::of(0u8..=100),
        evidence in any::<bool>(),
    ) -> Random {
        let place = [Environment::Production, Environment::Staging][place];
        // Half of them may be asked for, else nearly everything is forbidden by the ladder.
        let autonomy = [Autonomy::Observe, Autonomy::Advise, Autonomy::Ask, Autonomy::Ask][autonomy];
        let mut arguments = Map::new();
        if let Some(desired) = desired { arguments.insert("desired_count".into(), desired.into()); }
        Random {
            class: CLASSES[class],
            tool: TOOLS[tool],
            kind: [CallerKind::Supervisor, CallerKind::AgentClient, CallerKind::Person][kind],
            service: known.then(|| service(tier, place, autonomy, protected)),
            arguments,
            attested: Attested {
                change_freeze: freeze, business_hours: hours, deployments_in_progress: progress,
                tasks_running: running, tasks_affected: running, actions_last_hour: actions,
            },
            claimed: confidence.map(|confidence_percent| Claimed {
                confidence_percent, phase: "decide".into(), severity: "high".into(),
                evidence: if evidence { vec!["pattern".into()] } else { Vec::new() },
            }),
        }
    }
}

fn condition() -> impl Strategy<Value = String> {
    proptest::collection::vec((0..ATTESTED.len(), any::<bool>()), 1..4).prop_map(|parts| {
        let parts = parts.iter().map(|(n, not)| format!("{}({})", if *not { "!" } else { "" }, ATTESTED[*n]));
        parts.collect::<Vec<_>>().join(" || ")
    })
}

prop_compose! {
    fn forbid()(
        condition in condition(), claimed in proptest::option::of(0..CLAIMED.len()), unless in any::<bool>(),
        scope in 0usize..4, name in 0u32..1_000_000,
    ) -> String {
        let scope = ["action", "action == Action::\"read\"", "action == Action::\"mutate\"",
            "action in [Action::\"mutate\", Action::\"unknown\"]"][scope];
        let claimed = claimed.map(|n| format!(" || ({})", CLAIMED[n])).unwrap_or_default();
        let word = if unless { "unless" } else { "when" };
        format!("@id(\"forbid-{name}\")@reason(\"r\")\nforbid (principal, {scope}, resource) {word} {{ {condition}{claimed} }};\n")
    }
}

prop_compose! {
    fn permit()(
        condition in condition(), tool in 0usize..5, unknown in any::<bool>(), people in 1u8..4, owner in any::<bool>(),
        name in 0u32..1_000_000,
    ) -> String {
        let (class, role) = (if unknown { "unknown" } else { "mutate" }, if owner { "owner" } else { "oncall" });
        let tool = TOOLS[tool];
        format!("@id(\"permit-{name}\")@reason(\"r\")@ask(\"{people} {role}\")@within(\"5m\")\npermit (principal, action == Action::\"{class}\", resource) when {{ context.tool == \"{tool}\" && ({condition}) }};\n")
    }
}

/// Whether everything that was asked is still asked.
fn asks_as_much(before: &[Ask], after: &[Ask]) -> bool {
    before.iter().all(|old| after.iter().any(|new| new.role == old.role && new.people >= old.people))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn adding_a_forbid_never_allows_more(permits in proptest::collection::vec(permit(), 0..3), forbid in forbid(), random in random()) {
        let base = permits.concat();
        let Ok(before) = Rules::embedded_and(&base) else { return Ok(()) };
        let after = Rules::embedded_and(&format!("{base}{forbid}")).unwrap();
        let (before, after) = (before.decide(&random.call()), after.decide(&random.call()));
        prop_assert!(openness(&after) <= openness(&before), "{before} became {after} by {forbid}");
        if let (Decision::Ask { asks: b, .. }, Decision::Ask { asks: a, .. }) = (&before, &after) {
            prop_assert_eq!(a, b);
        }
        // Nothing but a read is ever allowed without asking, whatever the rest.
        prop_assert!(openness(&before) < 2 || random.class == ToolClass::Read);
    }

    #[test]
    fn adding_a_permit_never_removes_an_ask_nor_a_forbid(base in permit(), more in permit(), random in random()) {
        let Ok(rules) = Rules::embedded_and(&format!("{base}{more}")) else { return Ok(()) };
        let before = Rules::embedded_and(&base).unwrap().decide(&random.call());
        let after = rules.decide(&random.call());
        match (&before, &after) {
            (Decision::Ask { asks: b, within_s: short, .. }, Decision::Ask { asks: a, within_s: long, .. }) => {
                prop_assert!(asks_as_much(b, a), "{before} became {after} by {more}");
                prop_assert!(long <= short);
            }
            (Decision::Forbid { rule, .. }, after) if rule != "default" => {
                prop_assert!(openness(after) == 0, "{before} became {after} by {more}");
            }
            (Decision::Allow { .. }, after) => prop_assert!(openness(after) == 2 || openness(after) == 0),
            _ => {}
        }
        prop_assert!(openness(&after) < 2 || random.class == ToolClass::Read);
    }

    #[test]
    fn what_is_claimed_never_widens(permit in permit(), random in random(), other in random()) {
        let rules = Rules::embedded_and(&permit).unwrap();
        // Nothing gets further than being sure, with evidence; keeping quiet does not either.
        let sure = Random { claimed: Some(claimed(100, &["pattern"])), ..random.clone() };
        let best = rules.decide(&sure.call());
        for claimed in [other.claimed, None] {
            let found = rules.decide(&Random { claimed, ..random.clone() }.call());
            prop_assert!(openness(&found) <= openness(&best), "{best} became {found} by a claim");
            if let (Decision::Ask { asks: b, .. }, Decision::Ask { asks: a, .. }) = (&best, &found) {
                prop_assert_eq!(a, b);
            }
        }
    }
}
