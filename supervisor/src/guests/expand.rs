//! References to the environment: `${NAME}`, `${NAME:-instead}`, and `${env:NAME}` as some clients
//! write it. So no secret has to stand in the file.

/// The text with its references replaced, or the name of one that is not set.
pub(super) fn expand(text: &str, set: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((inner, behind)) = after.split_once('}') else { break };
        let (name, instead) = match inner.split_once(":-") {
            Some((name, instead)) => (name, Some(instead)),
            None => (inner, None),
        };
        let name = name.strip_prefix("env:").unwrap_or(name);
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(midwatch_mcp::clip(inner, 40).into_owned());
        }
        out.push_str(before);
        match (set(name), instead) {
            (Some(value), _) => out.push_str(&value),
            (None, Some(instead)) => out.push_str(instead),
            (None, None) => return Err(name.to_owned()),
        }
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_once_and_what_is_not_set_is_named() {
        let set = |name: &str| (name == "TOKEN").then(|| "s${TOKEN}3".to_owned());
        let of = |text: &str| expand(text, &set);
        assert_eq!(of("Bearer ${TOKEN}!").unwrap(), "Bearer s${TOKEN}3!");
        assert_eq!(of("${env:TOKEN}").unwrap(), "s${TOKEN}3");
        assert_eq!(of("${NONE:-here}${NONE:-}").unwrap(), "here");
        assert_eq!(of("$TOKEN ${ $").unwrap(), "$TOKEN ${ $");
        assert_eq!(of("${NONE}").unwrap_err(), "NONE");
        assert_eq!(of("${input:key}").unwrap_err(), "input:key");
    }
}
