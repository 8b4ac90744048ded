//! What differs between two revisions.
//!
//! A revision is flattened to fields with short values and two maps are compared. Of environment
//! variables and secrets only the names are told, with the fact that a value differs: values never
//! leave this file.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::{ContainerDefinition, TaskDefinition};
use schemars::JsonSchema;
use serde::Serialize;

/// One field that differs. A side is absent where the field was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Change {
    /// Which field, such as `container.app.image`.
    pub field: String,
    /// Before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// After.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// A field's value: shown, or only compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// May be read by anybody.
    Open(String),
    /// Only whether it differs may be told.
    Hidden(String),
}

/// The fields of a revision.
pub type Fields = BTreeMap<String, Value>;

/// What differs between two sets of fields, by field name.
pub fn changes(from: &Fields, to: &Fields) -> Vec<Change> {
    let mut fields: Vec<&String> = from.keys().chain(to.keys()).collect();
    fields.sort_unstable();
    fields.dedup();
    fields.into_iter().filter_map(|field| change(field, from.get(field), to.get(field))).collect()
}

fn change(field: &str, from: Option<&Value>, to: Option<&Value>) -> Option<Change> {
    if from == to {
        return None;
    }
    let both = from.is_some() && to.is_some();
    let show = |value: &Value, word: &str| match value {
        Value::Open(text) => text.clone(),
        Value::Hidden(_) if both => word.to_owned(),
        Value::Hidden(_) => "(a value)".to_owned(),
    };
    Some(Change {
        field: field.to_owned(),
        from: from.map(|value| show(value, "(a value)")),
        to: to.map(|value| show(value, "(another value)")),
    })
}

/// The fields of a task definition that can change how a service behaves.
pub fn task_fields(task: &TaskDefinition) -> Fields {
    let mut fields = Fields::new();
    open(&mut fields, "cpu", task.cpu.as_deref());
    open(&mut fields, "memory", task.memory.as_deref());
    open(&mut fields, "task_role", task.task_role_arn.as_deref());
    open(&mut fields, "execution_role", task.execution_role_arn.as_deref());
    open(
        &mut fields,
        "network_mode",
        task.network_mode.as_ref().map(aws_sdk_ecs::types::NetworkMode::as_str),
    );
    for container in task.container_definitions() {
        container_fields(&mut fields, container);
    }
    fields
}

fn container_fields(fields: &mut Fields, container: &ContainerDefinition) {
    let name = container.name().unwrap_or("unnamed");
    let mut put = |field: &str, value: Option<String>| {
        if let Some(value) = value {
            fields.insert(format!("container.{name}.{field}"), Value::Open(value));
        }
    };
    put("image", container.image.clone());
    put("cpu", (container.cpu != 0).then(|| container.cpu.to_string()));
    put("memory", container.memory.map(|mb| mb.to_string()));
    put("memory_reservation", container.memory_reservation.map(|mb| mb.to_string()));
    put("essential", container.essential.map(|yes| yes.to_string()));
    put("command", container.command.as_ref().map(|words| words.join(" ")));
    put("entry_point", container.entry_point.as_ref().map(|words| words.join(" ")));
    put("health_check", container.health_check.as_ref().map(|check| check.command().join(" ")));
    put("stop_timeout", container.stop_timeout.map(|seconds| seconds.to_string()));
    let ports: Vec<String> =
        container.port_mappings().iter().filter_map(|p| p.container_port).map(|p| p.to_string()).collect();
    put("ports", (!ports.is_empty()).then(|| ports.join(",")));
    put("log_driver", container.log_configuration.as_ref().map(|log| log.log_driver.as_str().to_owned()));
    for pair in container.environment() {
        if let Some(key) = pair.name() {
            let value = pair.value().unwrap_or_default().to_owned();
            fields.insert(format!("container.{name}.environment.{key}"), Value::Hidden(value));
        }
    }
    for secret in container.secrets() {
        let (field, value) =
            (format!("container.{name}.secret.{}", secret.name()), secret.value_from().to_owned());
        fields.insert(field, Value::Hidden(value));
    }
}

fn open(fields: &mut Fields, field: &str, value: Option<&str>) {
    if let Some(value) = value {
        fields.insert(field.to_owned(), Value::Open(value.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{KeyValuePair, Secret};

    use super::*;

    fn task(image: &str, variables: &[(&str, &str)], memory: &str) -> TaskDefinition {
        let pair = |(name, value): &(&str, &str)| KeyValuePair::builder().name(*name).value(*value).build();
        TaskDefinition::builder()
            .memory(memory)
            .container_definitions(
                ContainerDefinition::builder()
                    .name("app")
                    .image(image)
                    .set_environment(Some(variables.iter().map(pair).collect()))
                    .secrets(Secret::builder().name("DB").value_from(format!("arn:{image}")).build().unwrap())
                    .build(),
            )
            .build()
    }

    #[test]
    fn images_sizes_and_names_of_variables_are_told_and_values_are_not() {
        let from = task("api:1", &[("POOL", "hunter2"), ("OLD", "hunter3"), ("SAME", "x")], "512");
        let to = task("api:2", &[("POOL", "hunter4"), ("NEW", "hunter5"), ("SAME", "x")], "1024");
        let found = changes(&task_fields(&from), &task_fields(&to));
        let line = |c: &Change| {
            format!("{}: {} -> {}", c.field, c.from.as_deref().unwrap_or("-"), c.to.as_deref().unwrap_or("-"))
        };
        insta::assert_snapshot!(found.iter().map(line).collect::<Vec<_>>().join("\n"), @r"
        container.app.environment.NEW: - -> (a value)
        container.app.environment.OLD: (a value) -> -
        container.app.environment.POOL: (a value) -> (another value)
        container.app.image: api:1 -> api:2
        container.app.secret.DB: (a value) -> (another value)
        memory: 512 -> 1024
        ");
        assert!(!format!("{found:?}").contains("hunter"));
    }

    #[test]
    fn a_revision_does_not_differ_from_itself() {
        let fields = task_fields(&task("api:1", &[("POOL", "9")], "512"));
        assert_eq!(changes(&fields, &fields), []);
    }
}
