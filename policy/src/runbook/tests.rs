use serde_json::json;

use super::*;

const RESTART: &str = "+++\nid = \"a\"\ntitle = \"A\"\naction = \"restart_service\"\n+++\n# A\n";

fn contract(head: &str) -> RunbookContract {
    let text = format!("+++\nid = \"a\"\ntitle = \"A\"\n{head}\n+++\n");
    RunbookContract::split(&text).unwrap_or_else(|error| panic!("{head}: {error:?}")).0.unwrap()
}

fn plan(action: &serde_json::Value) -> Plan {
    let expected =
        json!({"kind": "ecs_desired_count", "cluster": "c", "ecs_service": "s", "desired_count": 4});
    serde_json::from_value(json!({
        "action": action, "steps": [],
        "terms": {
            "place": {"environment": "production", "tier": 1}, "expected": expected,
            "result": {"kind": "desired_count", "desired_count": 4},
        },
        "blast_radius": {"tasks_affected": 1, "tasks_running": 4, "dependents": ["x", "y"], "summary": ""},
        "risk": "medium", "inverse": {"summary": ""}, "warnings": [],
    }))
    .unwrap()
}

fn restart() -> Plan {
    plan(&json!({"tool": "restart_service", "service": "shop"}))
}

fn scale(count: u32) -> Plan {
    plan(&json!({"tool": "scale_service", "service": "shop", "desired_count": count}))
}

const CALM: Attested = Attested {
    change_freeze: false,
    business_hours: false,
    deployments_in_progress: 0,
    tasks_running: 4,
    tasks_affected: 1,
    actions_last_hour: 0,
};

#[test]
fn front_matter_is_split_from_prose() {
    let (contract, body) = RunbookContract::split(RESTART).unwrap();
    let contract = contract.unwrap();
    assert_eq!(contract.action, Some(ActionKind::RestartService));
    assert_eq!(contract.verify.stability_window_s, 300);
    assert_eq!(contract.ask(), Ask { role: "oncall".to_owned(), people: 1 });
    assert_eq!(body, "# A\n");
    assert_eq!(RunbookContract::split("# B").unwrap(), (None, "# B"));
    assert_eq!(RunbookContract::split("++++\n# B").unwrap().0, None);
    let windows = RESTART.replace('\n', "\r\n");
    let (contract, body) = RunbookContract::split(&windows).unwrap();
    assert_eq!((contract.unwrap().id.as_str(), body), ("a", "# A\r\n"));
}

#[test]
fn what_is_not_readable_is_named_with_its_line() {
    let problems = |text: &str| {
        let error = RunbookContract::split(text).unwrap_err();
        error.problems(text).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert!(problems("+++\nid='a'\n").starts_with("line 1: front matter is not closed"));
    let unknown = problems("\u{feff}+++\nid='a'\ntitle='b'\nacton='x'\n+++\n");
    assert!(unknown.starts_with("line 4: unknown field `acton`"), "{unknown}");
    assert!(problems("+++\nid='a'\ntitle='b\n+++\n").starts_with("line 3: "));
    assert!(problems("+++\nid='a'\n+++\n").contains("missing field `title`"));
}

#[test]
fn what_makes_no_sense_together_is_an_error() {
    for (head, expected) in [
        ("id = 'a b'\ntitle = 't'", "line 2: the id `a b` is no plain name"),
        ("id = 'a'\ntitle = ' '", "line 3: the title is empty"),
        ("id='a'\ntitle='t'\nsignatures = ['x', '']", "line 4: a signature is empty; it would match"),
        ("id='a'\ntitle='t'\napprovers = '2 oncall'", "line 4: `2 oncall` is no role"),
        ("id='a'\ntitle='t'\nescalate_to = ''", "`escalate_to` is empty"),
        (
            "id='a'\ntitle='t'\n[verify]\nthreshold = 1.0",
            "line 5: there is a threshold without a metric; name",
        ),
        (
            "id='a'\ntitle='t'\n[verify]\nmetric = {namespace='n', name='m', stat='Sum'}",
            "line 5: there is a metric without a threshold",
        ),
        (
            "id='a'\ntitle='t'\n[verify]\nthreshold = nan\nmetric = {namespace='n', name='m', stat='Sum'}",
            "the threshold is no number",
        ),
        ("id='a'\ntitle='t'\n[verify]\nstability_window_s = 86401", "more than a day"),
        (
            "id='a'\ntitle='t'\naction='restart_service'\n[verify]\nstability_window_s = 0",
            "line 6: `restart_service` is verified for no time at all; say",
        ),
        ("id='a'\ntitle='t'\naction='restart_service'\n[verify]\nalarm = false", "nothing verifies whether"),
        (
            "id='a'\ntitle='t'\naction='restart_service'\nnever_actions=['restart_service']",
            "`restart_service` is allowed and never done",
        ),
        (
            "id='a'\ntitle='t'\naction='restart_service'\nrequires=['business_hours', 'outside_business_hours']",
            "business hours cannot be and not be at once",
        ),
        (
            "id='a'\ntitle='t'\naction='rollback_deployment'\nrequires=['deployment_in_progress']",
            "add `safe_during_deployment = true`",
        ),
        (
            "id='a'\ntitle='t'\naction='restart_service'\nsafe_during_deployment=true\nrequires=['no_deployment_in_progress']",
            "requires that there is none",
        ),
        ("id='a'\ntitle='t'\nrequires=['business_hours']", "line 4: something is required, but there is no"),
        ("id='a'\ntitle='t'\n[bounds]\nmax_dependents = 1", "line 4: there are bounds, but no action"),
        (
            "id='a'\ntitle='t'\naction='restart_service'\n[bounds]\nmax_scale_step = 1",
            "line 6: `max_scale_step` bounds nothing of `restart_service`",
        ),
        (
            "id='a'\ntitle='t'\naction='restart_service'\n[bounds]\nmax_tasks_affected_percent = 101",
            "no more than 100 percent",
        ),
        (
            "id='a'\ntitle='t'\naction='restart_service'\n[bounds]\nmax_actions_per_hour = 0",
            "`max_actions_per_hour` is 0",
        ),
        (
            "id='a'\ntitle='t'\naction='scale_service'\n[bounds]\nmin_desired_count=5\nmax_desired_count=4",
            "at least 5 tasks and at most 4",
        ),
    ] {
        let text = format!("+++\n{head}\n+++\n");
        let error = RunbookContract::split(&text).expect_err(head).to_string();
        assert!(error.contains(expected), "{head}\n→ {error}");
    }
    let both = "+++\nid=' '\ntitle=''\napprovers=''\n+++\n";
    assert_eq!(RunbookContract::split(both).unwrap_err().problems(both).len(), 3);
}

#[test]
fn it_holds_for_its_action_and_its_services_only() {
    let own = contract("action = 'restart_service'\nservices = ['shop']");
    assert_eq!(own.objections(&restart(), &CALM), Vec::<String>::new());
    let said = |contract: RunbookContract| contract.objections(&restart(), &CALM).join("; ");
    assert!(
        said(contract("action = 'scale_service'")).contains("for `scale_service`, not for `restart_service`")
    );
    assert!(said(contract("")).contains("allows no action"));
    assert!(
        said(contract("action = 'restart_service'\nservices = ['b']")).contains("is for b, not for `shop`")
    );
    assert!(said(contract("never_actions = ['restart_service']")).contains("never done automatically"));
}

#[test]
fn a_deployment_in_progress_is_objected_to_unless_it_is_safe() {
    let busy = Attested { deployments_in_progress: 1, ..CALM };
    let unsafe_one = contract("action = 'restart_service'");
    assert!(unsafe_one.objections(&restart(), &busy)[0].contains("not safe during one"));
    let required = contract("action = 'restart_service'\nrequires = ['no_deployment_in_progress']");
    assert_eq!(required.objections(&restart(), &busy).len(), 1, "said once");
    let safe = contract("action = 'restart_service'\nsafe_during_deployment = true");
    assert!(safe.objections(&restart(), &busy).is_empty());
}

#[test]
fn every_precondition_is_checked() {
    let night = CALM;
    let day = Attested { business_hours: true, ..CALM };
    let frozen = Attested { change_freeze: true, ..CALM };
    let again = Attested { actions_last_hour: 1, ..CALM };
    let single = Attested { tasks_running: 1, ..CALM };
    let busy = Attested { deployments_in_progress: 1, ..CALM };
    let mut undone = restart();
    undone.inverse.action = Some(scale(4).action);
    for (name, safe, good, bad) in [
        ("no_deployment_in_progress", false, (restart(), CALM), (restart(), busy)),
        ("deployment_in_progress", true, (restart(), busy), (restart(), CALM)),
        ("business_hours", false, (restart(), day), (restart(), night)),
        ("outside_business_hours", false, (restart(), night), (restart(), day)),
        ("no_change_freeze", false, (restart(), CALM), (restart(), frozen)),
        ("no_action_in_last_hour", false, (restart(), CALM), (restart(), again)),
        ("several_tasks_running", false, (restart(), CALM), (restart(), single)),
        ("reversible", false, (undone, CALM), (restart(), CALM)),
    ] {
        let contract = contract(&format!(
            "action = 'restart_service'\nsafe_during_deployment = {safe}\nrequires = ['{name}']"
        ));
        assert!(contract.objections(&good.0, &good.1).is_empty(), "{name}");
        let objections = contract.objections(&bad.0, &bad.1);
        assert_eq!(objections.len(), 1, "{name}");
        assert!(objections[0].contains("requires that"), "{objections:?}");
    }
}

#[test]
fn every_bound_is_kept_and_the_worse_reading_counts() {
    let bounded = |action: &str, bound: &str| contract(&format!("action = '{action}'\n[bounds]\n{bound}"));
    let wide = Attested { tasks_affected: 3, ..CALM };
    let few = Attested { tasks_running: 2, ..CALM };
    let none = Attested { tasks_running: 0, ..CALM };
    let twice = Attested { actions_last_hour: 2, ..CALM };
    for (action, bound, good, bad, expected) in [
        (
            "restart_service",
            "max_tasks_affected = 1",
            (restart(), CALM),
            (restart(), wide),
            "3 tasks affected, at most 1",
        ),
        (
            "restart_service",
            "max_tasks_affected_percent = 25",
            (restart(), CALM),
            (restart(), few),
            "50 percent",
        ),
        (
            "restart_service",
            "max_tasks_affected_percent = 99",
            (restart(), CALM),
            (restart(), none),
            "100 percent",
        ),
        (
            "restart_service",
            "max_actions_per_hour = 2",
            (restart(), CALM),
            (restart(), twice),
            "3 actions within",
        ),
        (
            "scale_service",
            "max_scale_step = 2",
            (scale(6), CALM),
            (scale(7), CALM),
            "a step of 3 tasks from 4 to 7",
        ),
        (
            "scale_service",
            "max_scale_step = 2",
            (scale(2), CALM),
            (scale(1), CALM),
            "a step of 3 tasks from 4 to 1",
        ),
        (
            "scale_service",
            "max_desired_count = 6",
            (scale(6), CALM),
            (scale(7), CALM),
            "7 tasks wanted, at most 6",
        ),
        (
            "scale_service",
            "min_desired_count = 2",
            (scale(2), CALM),
            (scale(1), CALM),
            "1 tasks wanted, at least 2",
        ),
    ] {
        let contract = bounded(action, bound);
        assert!(contract.objections(&good.0, &good.1).is_empty(), "{bound}");
        let found = contract.objections(&bad.0, &bad.1).join("; ");
        assert!(found.contains(expected), "{bound}: {found}");
    }
    let found = |bound: &str| bounded("restart_service", bound).objections(&restart(), &CALM).join("; ");
    assert!(found("max_dependents = 1").contains("2 services depend on it, at most 1"));
    assert!(found("max_dependents = 2").is_empty());
    assert!(found("max_risk = 'low'").contains("the risk is medium, at most low"));
    assert!(found("max_risk = 'medium'").is_empty());
}

#[test]
fn a_step_from_nobody_knows_where_is_too_far() {
    let contract = contract("action = 'scale_service'\n[bounds]\nmax_scale_step = 100");
    let mut odd = scale(5);
    odd.terms.expected = serde_json::from_value(json!({
        "kind": "ecs_deployment", "cluster": "c", "ecs_service": "s",
        "primary_deployment_id": "ecs-svc/1", "task_definition": "t:1",
    }))
    .unwrap();
    assert!(contract.objections(&odd, &CALM)[0].contains("is not known"));
}

#[test]
fn a_contract_holds_whoever_names_it_or_not() {
    use Scope::{Beside, Binds, Forbids};
    let action = restart().action;
    let quiet = Words::none();
    let said = Words::of(["first", "GET /cart: Heap   space!", "java.lang"]);
    let errors = "signatures = ['heap space']\n";
    for (head, unsaid, when_said) in [
        ("services = ['shop', 'ledger']\nnever_actions = ['restart_service']", Some(Forbids), Some(Forbids)),
        ("services = ['ledger']\nnever_actions = ['restart_service']", None, None),
        ("never_actions = ['restart_service']", Some(Forbids), Some(Forbids)),
        ("E never_actions = ['restart_service']", Some(Beside), Some(Forbids)),
        ("E services = ['ledger']\nnever_actions = ['restart_service']", None, None),
        ("services = ['shop']\naction = 'restart_service'", Some(Binds), Some(Binds)),
        ("E services = ['shop']\naction = 'restart_service'", Some(Binds), Some(Binds)),
        ("E services = ['ledger']\naction = 'restart_service'", None, None),
        ("action = 'restart_service'", Some(Binds), Some(Binds)),
        ("E action = 'restart_service'", Some(Beside), Some(Binds)),
        // For another action, or for none.
        ("services = ['shop']\naction = 'scale_service'", None, None),
        ("E services = ['shop']\naction = 'scale_service'", None, Some(Beside)),
        ("E", None, Some(Beside)),
        ("signatures = ['lang first', 'space java']\naction = 'restart_service'", Some(Beside), Some(Beside)),
    ] {
        let contract = contract(&head.replace("E ", errors).replace('E', errors));
        assert_eq!(contract.scope(&action, &quiet), unsaid, "{head}");
        assert_eq!(contract.scope(&action, &said), when_said, "{head}, said");
    }
}

#[test]
fn what_it_demands_is_said_in_words() {
    let full = contract(
        "action = 'scale_service'\napprovers = 'owner'\nrequires = ['no_change_freeze']\npreconditions = ['The queue is full']\n[bounds]\nmax_scale_step = 2\nmax_risk = 'medium'",
    );
    let demands = full.demands(&scale(5).action);
    let wanted = [
        "1 owner approves",
        "requires that no change freeze is on",
        "at most 2 tasks more or fewer at once",
        "a risk of at most medium",
        "a person checks: The queue is full",
    ];
    assert_eq!(demands, wanted);
    assert_eq!(full.demands(&restart().action), ["it is for `scale_service`", wanted[4]]);
    let never = contract("never_actions = ['restart_service']");
    assert_eq!(never.demands(&restart().action), ["`restart_service` is never done automatically"]);
    assert_eq!(never.demands(&scale(5).action), ["it allows no action: a person acts"]);
}

#[test]
fn what_is_new_is_left_out_of_json_where_it_says_nothing() {
    let json = serde_json::to_value(contract("")).unwrap();
    for field in ["requires", "bounds", "never_actions"] {
        assert!(json.get(field).is_none(), "{field}");
    }
    let full = contract("action='scale_service'\nrequires=['reversible']\n[bounds]\nmax_scale_step=2");
    let back: RunbookContract = serde_json::from_value(serde_json::to_value(&full).unwrap()).unwrap();
    assert_eq!(back, full);
}
