//! The virtual tools that end a run. Written by hand: derived schemas carry references that some
//! models cannot follow, and descriptions for programmers.

use serde_json::{Value, json};

use super::{CONCLUDE, ROUTE};
use crate::{json::Json, model::ToolSpec, specialist::Output};

pub(super) fn ending(output: Output) -> ToolSpec {
    let (name, description, input_schema) = match output {
        Output::Finding => (CONCLUDE, "Ends the investigation with what was found. Call it once.", finding()),
        Output::Route => (ROUTE, "Ends routing with the decision. Call it once.", route()),
        Output::Proposal => (CONCLUDE, "Ends with at most one proposed action. Call it once.", proposal()),
    };
    ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        input_schema: Json::of(&input_schema),
    }
}

fn claims() -> Value {
    json!({
        "type": "array",
        "description": "What the conclusion rests on, one short sentence each.",
        "items": {
            "type": "object",
            "properties": {
                "text": { "type": "string", "description": "One sentence that states what is there." },
                "citations": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "evidence": { "type": "string", "description": "Evidence id, such as E7." },
                            "quote": { "type": "string", "description": "Text, number or field=value, copied exactly from that evidence." }
                        },
                        "required": ["evidence", "quote"]
                    }
                }
            },
            "required": ["text", "citations"]
        }
    })
}

fn finding() -> Value {
    let kinds: Vec<&str> = midwatch_policy::CauseKind::ALL.iter().map(|kind| kind.as_str()).collect();
    json!({
        "type": "object",
        "properties": {
            "summary": { "type": "string", "description": "Two or three sentences for the person on call." },
            "verdict": { "type": "string", "enum": ["real", "transient", "unclear"] },
            "causes": {
                "type": "array",
                "description": "Probable causes, best first.",
                "items": {
                    "type": "object",
                    "properties": {
                        "kind": { "type": "string", "enum": kinds },
                        "ref": { "type": "string", "description": "Deployment id, dependency, service or throttled resource." },
                        "confidence": { "type": "number", "minimum": 0, "maximum": 1 },
                        "why": { "type": "string" }
                    },
                    "required": ["kind", "confidence"]
                }
            },
            "claims": claims(),
            "next_steps": { "type": "array", "items": { "type": "string" } },
            "not_checked": { "type": "array", "items": { "type": "string" } }
        },
        "required": ["summary", "verdict", "causes", "claims"]
    })
}

fn route() -> Value {
    json!({
        "type": "object",
        "properties": {
            "route": { "type": "string", "enum": ["close_transient", "investigate", "page_now"] },
            "reason": { "type": "string", "description": "One or two sentences." },
            "claims": claims()
        },
        "required": ["route", "reason"]
    })
}

fn proposal() -> Value {
    json!({
        "type": "object",
        "properties": {
            "action": {
                "description": "The one action; leave it out when none is safe or none fits.",
                "type": "object",
                "properties": {
                    "tool": { "type": "string", "enum": ["rollback_deployment", "restart_service", "scale_service"] },
                    "service": { "type": "string" },
                    "deployment_id": { "type": "string", "description": "For rollback_deployment only." },
                    "desired_count": { "type": "integer", "description": "For scale_service only." }
                },
                "required": ["tool", "service"]
            },
            "reason": { "type": "string", "description": "One or two sentences." },
            "evidence": { "type": "array", "items": { "type": "string" }, "description": "Evidence ids of the brief." }
        },
        "required": ["reason"]
    })
}
