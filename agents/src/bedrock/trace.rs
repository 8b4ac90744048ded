//! The guardrail's trace of an answer, without the words that it matched.

use aws_sdk_bedrockruntime::types::{ConverseTrace, GuardrailAssessment, GuardrailTraceAssessment};

use crate::model::{GuardedSide, GuardrailFinding, GuardrailTrace};

pub(super) fn guardrail(trace: &ConverseTrace) -> Option<GuardrailTrace> {
    let GuardrailTraceAssessment { input_assessment, output_assessments, action_reason, .. } =
        trace.guardrail.as_ref()?;
    let mut findings = Vec::new();
    for assessment in input_assessment.iter().flat_map(|all| all.values()) {
        take(&mut findings, GuardedSide::Input, assessment);
    }
    for assessment in output_assessments.iter().flat_map(|all| all.values()).flatten() {
        take(&mut findings, GuardedSide::Output, assessment);
    }
    // The SDK keeps them in a hash map.
    findings.sort();
    findings.dedup();
    let found = GuardrailTrace { reason: action_reason.clone(), findings };
    (found != GuardrailTrace::default()).then_some(found)
}

fn take(findings: &mut Vec<GuardrailFinding>, side: GuardedSide, found: &GuardrailAssessment) {
    let mut add = |policy: &str, rule: &str, action: &str| {
        findings.push(GuardrailFinding {
            side,
            policy: policy.to_owned(),
            rule: rule.chars().take(120).collect(),
            action: action.to_owned(),
        });
    };
    for topic in found.topic_policy.iter().flat_map(|p| &p.topics) {
        add("topic", &topic.name, topic.action.as_str());
    }
    for filter in found.content_policy.iter().flat_map(|p| &p.filters) {
        add("content", filter.r#type.as_str(), filter.action.as_str());
    }
    if let Some(words) = &found.word_policy {
        for word in &words.custom_words {
            add("word", "a custom word", word.action.as_str());
        }
        for word in &words.managed_word_lists {
            add("word", word.r#type.as_str(), word.action.as_str());
        }
    }
    if let Some(sensitive) = &found.sensitive_information_policy {
        for entity in &sensitive.pii_entities {
            add("sensitive_information", entity.r#type.as_str(), entity.action.as_str());
        }
        for regex in &sensitive.regexes {
            add("sensitive_information", regex.name.as_deref().unwrap_or("a pattern"), regex.action.as_str());
        }
    }
    for filter in found.contextual_grounding_policy.iter().flat_map(|p| p.filters.iter().flatten()) {
        add("grounding", filter.r#type.as_str(), filter.action.as_str());
    }
}
