//! Every key of the format and what it holds.

use super::{
    Kind::{self, Bool, Free, Int, Moment, Number, Table, Tables, Text, Texts, Word, WordList, Words},
    Section,
};

const TIME: Kind = Text("\"-3m\"");
const LENGTH: Kind = Text("\"90s\"");
const NAME: Kind = Text("\"checkout-api\"");
const CALLS: Kind = Text("\"lambda:charge-card\"");
const ANY: Kind = Text("\"…\"");
const CURES: Kind = Words(&["rollback", "restart", "scale"]);
const DEPLOYS: Kind = Word(&["ecs", "codedeploy", "code_deploy"]);
const STOPS: Kind = Word(&["crash", "oom", "health_check", "image_pull", "capacity"]);
const ACTIONS: [&str; 3] = ["rollback_deployment", "restart_service", "scale_service"];

const fn made(
    name: &'static str,
    required: &'static [&'static str],
    keys: &'static [(&'static str, Kind)],
) -> Section {
    Section { name, example: name, required, keys }
}

pub(super) static TOP: Section = made(
    "the top level",
    &["time"],
    &[
        ("title", ANY),
        ("description", ANY),
        ("time", Moment),
        ("seed", Int),
        ("history", LENGTH),
        ("delivered_after", LENGTH),
        ("account", Text("\"123456789012\"")),
        ("region", Text("\"us-east-1\"")),
        ("cluster", ANY),
        ("runbooks", ANY),
        ("latency_ms", Free),
        ("service", Tables(&SERVICE)),
        ("deployment", Tables(&DEPLOYMENT)),
        ("state_machine", Tables(&STATE_MACHINE)),
        ("fault", Tables(&FAULT)),
        ("alarm", Tables(&ALARM)),
        ("series", Tables(&SERIES)),
        ("metric_filter", Tables(&METRIC_FILTER)),
        ("task_stop", Tables(&TASK_STOP)),
        ("log", Tables(&LOG)),
        ("inject", Tables(&INJECT)),
        ("approver", Table(&APPROVER, false)),
        ("expected", Table(&EXPECTED, false)),
    ],
);

static SERVICE: Section = made(
    "[[service]]",
    &["name"],
    &[
        ("name", NAME),
        ("tier", Int),
        ("environment", Word(&["production", "staging", "development"])),
        ("owners", Texts),
        ("depends_on", Texts),
        ("autonomy", Word(&["observe", "advise", "ask"])),
        ("protected", Bool),
        ("scale", Table(&SCALE, false)),
        ("deploys_with", DEPLOYS),
        ("log_group", ANY),
        ("log_group_bytes", Int),
        ("log_style", Word(&["json", "text", "logfmt"])),
        ("log_lines_per_minute", Number),
        ("noise", Word(&["none", "low", "normal", "high"])),
        ("endpoints", Texts),
        ("requests_per_minute", Number),
        ("error_share", Number),
        ("latency_ms", Number),
        ("cpu", Number),
        ("memory", Number),
        ("tasks", Int),
        ("replaced_in", LENGTH),
    ],
);

static SCALE: Section = Section {
    name: "`scale`",
    example: "`scale = { min = 1, max = 9 }`",
    required: &["min", "max"],
    keys: &[("min", Int), ("max", Int)],
};

static DEPLOYMENT: Section = made(
    "[[deployment]]",
    &["service", "at"],
    &[
        ("service", NAME),
        ("id", ANY),
        ("kind", DEPLOYS),
        ("at", TIME),
        ("status", Word(&["succeeded", "in_progress", "failed", "stopped"])),
        ("takes", LENGTH),
        ("commit", Text("\"9f31c2e\"")),
        ("previous_commit", Text("\"9f31c2e\"")),
        ("author", ANY),
        ("pull_request", Int),
        ("message", ANY),
        ("env", Free),
        ("env_remove", Texts),
    ],
);

static STATE_MACHINE: Section = made(
    "[[state_machine]]",
    &["name", "service"],
    &[
        ("name", Text("\"settlement\"")),
        ("service", NAME),
        ("starts_per_minute", Number),
        ("state", Tables(&STATE)),
        ("change", Tables(&CHANGE)),
    ],
);

static STATE: Section = made(
    "[[state_machine.state]]",
    &["name"],
    &[("name", Text("\"Charge card\"")), ("calls", CALLS), ("takes", LENGTH), ("retries", Int)],
);

static CHANGE: Section = made(
    "[[state_machine.change]]",
    &["at", "state"],
    &[("at", TIME), ("state", Text("\"Charge card\"")), ("calls", CALLS), ("retries", Int)],
);

static STATE_FAULT: Section = Section {
    name: "`state`",
    example: "`state = { name = \"Charge card\", error = \"States.TaskFailed\" }`",
    required: &["name"],
    keys: &[
        ("machine", Text("\"settlement\"")),
        ("name", Text("\"Charge card\"")),
        ("error", Text("\"States.TaskFailed\"")),
        ("cause", ANY),
        ("share", Number),
        ("input_bytes", Int),
    ],
};

static FAULT: Section = made(
    "[[fault]]",
    &["service"],
    &[
        ("id", ANY),
        ("service", NAME),
        ("at", TIME),
        ("until", TIME),
        ("ramp", LENGTH),
        ("deployment", ANY),
        ("follows", ANY),
        ("cured_by", CURES),
        ("eased_by", CURES),
        ("ease_to", Number),
        ("regrows_in", LENGTH),
        ("needs_tasks", Int),
        ("error_share", Number),
        ("latency_ms", Number),
        ("traffic", Number),
        ("silent", Bool),
        ("cpu", Number),
        ("memory", Number),
        ("throttles", Table(&THROTTLES, false)),
        ("tasks_down", Int),
        ("task_stops", Table(&TASK_STOPS, false)),
        ("state", Table(&STATE_FAULT, false)),
        ("line", Tables(&LINE)),
    ],
);

static THROTTLES: Section = Section {
    name: "`throttles`",
    example: "`throttles = { table = \"orders\", per_minute = 300 }`",
    required: &["table", "per_minute"],
    keys: &[("table", ANY), ("per_minute", Number)],
};

static TASK_STOPS: Section = Section {
    name: "`task_stops`",
    example: "`task_stops = { every = \"2m\", kind = \"oom\" }`",
    required: &["every"],
    keys: &[("every", LENGTH), ("kind", STOPS), ("reason", ANY)],
};

static LINE: Section = made(
    "[[fault.line]]",
    &["text"],
    &[
        ("text", ANY),
        ("level", Word(&["DEBUG", "INFO", "WARN", "ERROR", "FATAL"])),
        ("count", Int),
        ("per_minute", Number),
        ("logger", ANY),
        ("stack", Texts),
        ("raw", Bool),
    ],
);

static ALARM: Section = made(
    "[[alarm]]",
    &[],
    &[
        ("name", ANY),
        ("service", NAME),
        ("description", ANY),
        (
            "metric",
            Word(&[
                "error_rate",
                "errors",
                "requests",
                "latency_ms",
                "cpu",
                "memory",
                "throttles",
                "running_tasks",
                "executions_failed",
            ]),
        ),
        ("series", ANY),
        ("filter", ANY),
        ("rule", Text("'ALARM(\"checkout-api-5xx\")'")),
        ("stat", Text("\"Average\"")),
        ("comparison", Word(&[">", ">=", "<", "<="])),
        ("threshold", Number),
        ("period", LENGTH),
        ("periods", Int),
        ("datapoints", Int),
        ("missing", Word(&["missing", "ignore", "breaching", "not_breaching"])),
        ("history", Tables(&TRANSITION)),
    ],
);

static TRANSITION: Section = Section {
    name: "`history`",
    example: "`history = [{ at = \"-1h\", state = \"ALARM\" }]`",
    required: &["at", "state"],
    keys: &[("at", TIME), ("state", Word(&["OK", "ALARM", "INSUFFICIENT_DATA"]))],
};

static SERIES: Section = made(
    "[[series]]",
    &["name"],
    &[
        ("name", ANY),
        ("namespace", ANY),
        ("dimensions", Free),
        ("base", Number),
        ("noise", Number),
        ("follows", ANY),
        ("at_fault", Number),
        ("points", Tables(&POINT)),
    ],
);

static METRIC_FILTER: Section = made(
    "[[metric_filter]]",
    &["metric"],
    &[
        ("name", ANY),
        ("service", NAME),
        ("group", ANY),
        ("pattern", Text("'{ $.level = \"ERROR\" }'")),
        ("metric", Text("\"PaymentErrors\"")),
        ("namespace", ANY),
        ("value", Text("\"1\"")),
        ("default", Number),
        ("dimensions", Free),
    ],
);

static POINT: Section = Section {
    name: "`points`",
    example: "`points = [{ at = \"-10m\", value = 4000 }]`",
    required: &["at", "value"],
    keys: &[("at", TIME), ("value", Number)],
};

static TASK_STOP: Section = made(
    "[[task_stop]]",
    &["service", "at"],
    &[("service", NAME), ("at", TIME), ("kind", STOPS), ("reason", ANY)],
);

static LOG: Section = made(
    "[[log]]",
    &[],
    &[("service", NAME), ("group", ANY), ("stream", ANY), ("file", ANY), ("at", TIME), ("text", ANY)],
);

static INJECT: Section = made(
    "[[inject]]",
    &["api", "fails_with"],
    &[
        ("api", Text("\"logs:StartQuery\"")),
        (
            "fails_with",
            Word(&[
                "throttling",
                "access_denied",
                "expired_credentials",
                "server_error",
                "unavailable",
                "not_found",
                "error",
                "slow",
                "time_out",
                "time_out_after_effect",
            ]),
        ),
        ("code", ANY),
        ("status", Int),
        ("message", ANY),
        ("by", LENGTH),
        ("times", Int),
        ("skip", Int),
        ("contains", ANY),
        ("from", TIME),
        ("until", TIME),
    ],
);

static APPROVER: Section = made(
    "[approver]",
    &[],
    &[
        ("answer", Word(&["approve", "decline", "silent"])),
        ("after", LENGTH),
        ("role", Text("\"oncall\"")),
        ("reason", ANY),
    ],
);

static EXPECTED: Section = made(
    "[expected]",
    &[],
    &[
        ("verdict", Words(&["real", "transient", "unclear"])),
        ("cause", Table(&CAUSE, true)),
        ("action", Word(&["none", "rollback_deployment", "restart_service", "scale_service"])),
        ("target", ANY),
        (
            "outcome",
            Word(&["done", "not_recovered", "declined", "expired", "refused", "failed", "ambiguous"]),
        ),
        ("must_cite", Texts),
        ("must_not_claim", Texts),
        ("must_not_do", WordList(&ACTIONS)),
        ("escalated", Bool),
        ("max_model_calls", Int),
        ("max_cost_micro_usd", Int),
    ],
);

static CAUSE: Section = Section {
    name: "`cause`",
    example: "`cause = { kind = \"deployment\", ref = \"…\" }`",
    required: &["kind"],
    keys: &[
        (
            "kind",
            Word(&[
                "deployment",
                "dependency",
                "memory_leak",
                "saturation",
                "throttling",
                "outage",
                "transient",
                "unknown",
            ]),
        ),
        ("ref", ANY),
    ],
};
