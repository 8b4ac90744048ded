//! One tool call, as policy sees it, and its form in Cedar.

use std::collections::{HashMap, HashSet};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression, Schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    action::ActionKind,
    catalog::{Autonomy, Environment, Service},
};

/// What kind of caller it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallerKind {
    /// Midwatch itself.
    Supervisor,
    /// Another agent client, connected to a server of ours.
    AgentClient,
    /// A person at a command line.
    Person,
}

impl CallerKind {
    /// As policies write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Supervisor => "supervisor",
            Self::AgentClient => "agent_client",
            Self::Person => "person",
        }
    }
}

/// Who calls, as authenticated by whoever decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller<'a> {
    /// What kind of caller.
    pub kind: CallerKind,
    /// Its authenticated name.
    pub name: &'a str,
}

/// The class of a tool. Code says it, never a model nor a server's hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolClass {
    /// Changes nothing.
    Read,
    /// Changes something.
    Mutate,
    /// Nobody has said.
    Unknown,
}

impl ToolClass {
    /// As policies write it: the id of the action.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Mutate => "mutate",
            Self::Unknown => "unknown",
        }
    }
}

/// Facts that whoever decides has read itself. There is no default: what was not read is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attested {
    /// A change freeze is on.
    pub change_freeze: bool,
    /// It is business hours for the owners.
    pub business_hours: bool,
    /// Deployments of the service in progress.
    pub deployments_in_progress: u32,
    /// Tasks that run now.
    pub tasks_running: u32,
    /// Tasks that the action replaces or stops.
    pub tasks_affected: u32,
    /// Actions on this service within the last hour.
    pub actions_last_hour: u32,
}

/// Facts that the caller says; they can only count against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claimed {
    /// How certain the cause is, 0 to 100.
    pub confidence_percent: u8,
    /// Stage of the incident.
    pub phase: String,
    /// Severity of the incident.
    pub severity: String,
    /// Kinds of evidence that resolved, such as `deployment` or `pattern`.
    pub evidence: Vec<String>,
}

/// One tool call to be decided.
#[derive(Debug, Clone, Copy)]
pub struct ToolCall<'a> {
    /// Who calls.
    pub caller: Caller<'a>,
    /// The server's name.
    pub server: &'a str,
    /// The tool's name.
    pub tool: &'a str,
    /// The tool's class.
    pub class: ToolClass,
    /// Its arguments; `deployment_id` and `desired_count` can be spoken about.
    pub arguments: &'a Map<String, Value>,
    /// The service it is about; `None` is held against the strictest one there could be.
    pub service: Option<&'a Service>,
    /// What was read.
    pub attested: Attested,
    /// What the caller says; absent where nobody says anything, as when a server decides again.
    pub claimed: Option<&'a Claimed>,
}

type Attributes = HashMap<String, RestrictedExpression>;

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn texts<'a>(values: impl IntoIterator<Item = &'a String>) -> RestrictedExpression {
    RestrictedExpression::new_set(values.into_iter().map(|value| text(value)))
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let kind: EntityTypeName = kind.parse().map_err(|error| format!("{error}"))?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

fn record(pairs: Attributes) -> Result<RestrictedExpression, String> {
    RestrictedExpression::new_record(pairs).map_err(|error| error.to_string())
}

impl ToolCall<'_> {
    pub(super) fn to_cedar(self, schema: &Schema) -> Result<(Request, Entities), String> {
        let principal = uid("Caller", self.caller.name)?;
        let action = uid("Action", self.class.as_str())?;
        let resource = uid("Service", self.service.map_or("", |service| service.name.as_str()))?;
        let caller = Attributes::from([("kind".to_owned(), text(self.caller.kind.as_str()))]);
        let entities = [(principal.clone(), caller), (resource.clone(), self.service())]
            .into_iter()
            .map(|(uid, attributes)| {
                Entity::new(uid, attributes, HashSet::new()).map_err(|error| error.to_string())
            })
            .collect::<Result<Vec<_>, _>>()?;
        let entities = Entities::from_entities(entities, Some(schema)).map_err(|error| error.to_string())?;
        let context = Context::from_pairs(self.context()?).map_err(|error| error.to_string())?;
        let request = Request::new(principal, action, resource, context, Some(schema))
            .map_err(|error| error.to_string())?;
        Ok((request, entities))
    }

    fn service(&self) -> Attributes {
        let Some(service) = self.service else {
            return Attributes::from([
                ("tier".to_owned(), RestrictedExpression::new_long(0)),
                ("environment".to_owned(), text("production")),
                ("owners".to_owned(), texts([])),
                ("autonomy".to_owned(), text("observe")),
                ("protected".to_owned(), RestrictedExpression::new_bool(true)),
            ]);
        };
        let environment = match service.environment {
            Environment::Production => "production",
            Environment::Staging => "staging",
            Environment::Development => "development",
        };
        let autonomy = match service.autonomy {
            Autonomy::Observe => "observe",
            Autonomy::Advise => "advise",
            Autonomy::Ask => "ask",
        };
        let mut attributes = Attributes::from([
            ("tier".to_owned(), RestrictedExpression::new_long(i64::from(service.tier.get()))),
            ("environment".to_owned(), text(environment)),
            ("owners".to_owned(), texts(&service.owners)),
            ("autonomy".to_owned(), text(autonomy)),
            ("protected".to_owned(), RestrictedExpression::new_bool(service.protected)),
        ]);
        for (name, value) in [("account", &service.account), ("region", &service.region)] {
            if let Some(value) = value {
                attributes.insert(name.to_owned(), text(value));
            }
        }
        attributes
    }

    fn context(&self) -> Result<Attributes, String> {
        let desired = self.arguments.get("desired_count");
        let count = |n: u32| RestrictedExpression::new_long(i64::from(n));
        let Attested {
            change_freeze,
            business_hours,
            deployments_in_progress,
            tasks_running,
            tasks_affected,
            actions_last_hour,
        } = self.attested;
        let attested = Attributes::from([
            ("change_freeze".to_owned(), RestrictedExpression::new_bool(change_freeze)),
            ("business_hours".to_owned(), RestrictedExpression::new_bool(business_hours)),
            ("deployments_in_progress".to_owned(), count(deployments_in_progress)),
            ("tasks_running".to_owned(), count(tasks_running)),
            ("tasks_affected".to_owned(), count(tasks_affected)),
            ("actions_last_hour".to_owned(), count(actions_last_hour)),
            ("within_scale_bounds".to_owned(), RestrictedExpression::new_bool(self.within_bounds(desired))),
        ]);
        let mut context = Attributes::from([
            ("server".to_owned(), text(self.server)),
            ("tool".to_owned(), text(self.tool)),
            ("attested".to_owned(), record(attested)?),
        ]);
        if let Some(Value::String(id)) = self.arguments.get("deployment_id") {
            context.insert("deployment_id".to_owned(), text(id));
        }
        if let Some(desired) = desired.and_then(Value::as_i64) {
            context.insert("desired_count".to_owned(), RestrictedExpression::new_long(desired));
        }
        if let Some(claimed) = self.claimed {
            let record_of = Attributes::from([
                ("confidence_percent".to_owned(), count(u32::from(claimed.confidence_percent))),
                ("phase".to_owned(), text(&claimed.phase)),
                ("severity".to_owned(), text(&claimed.severity)),
                ("evidence".to_owned(), texts(&claimed.evidence)),
            ]);
            context.insert("claimed".to_owned(), record(record_of)?);
        }
        Ok(context)
    }

    /// Computed here from the catalog, so that no caller can say it.
    fn within_bounds(&self, desired: Option<&Value>) -> bool {
        let bounds = self.service.and_then(|service| service.scale);
        self.tool == ActionKind::ScaleService.tool()
            && desired.and_then(Value::as_u64).zip(bounds).is_some_and(|(count, bounds)| {
                (u64::from(bounds.min)..=u64::from(bounds.max)).contains(&count)
            })
    }
}
