//! Application specifications of CodeDeploy for Lambda: which function moves from which version to which.

use aws_sdk_codedeploy::types::RevisionLocation;
use serde_json::Value;

/// What a deployment of a Lambda function does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LambdaSpec {
    pub(crate) function: String,
    pub(crate) alias: String,
    /// The version that the alias points to.
    pub(crate) current: Option<String>,
    /// The version that it will point to.
    pub(crate) target: String,
}

impl LambdaSpec {
    /// Of a revision, where it is one of Lambda.
    pub(crate) fn of(revision: &RevisionLocation) -> Option<Self> {
        let content = revision
            .app_spec_content()
            .and_then(|spec| spec.content())
            .or_else(|| revision.string().and_then(|raw| raw.content()))?;
        Self::parse(content)
    }

    /// One version of the function as one text.
    pub(crate) fn text(&self, version: &str) -> String {
        format!("lambda:{}:{version}", self.function)
    }

    fn parse(content: &str) -> Option<Self> {
        if !content.contains("AWS::Lambda::Function") {
            return None;
        }
        let mut found = Self::default();
        match serde_json::from_str::<Value>(content) {
            Ok(json) => {
                let resources = json.get("Resources")?.as_array()?;
                let mut all = resources.iter().filter_map(Value::as_object).flat_map(serde_json::Map::values);
                let properties = all.find_map(|resource| resource.get("Properties")?.as_object())?;
                for (name, value) in properties {
                    let number = || value.as_u64().map(|number| number.to_string());
                    found.put(name, &value.as_str().map(str::to_owned).or_else(number).unwrap_or_default());
                }
            }
            // YAML as CodeDeploy takes it: one property a line.
            Err(_) => {
                for line in content.lines() {
                    let line = line.trim().trim_start_matches("- ");
                    let Some((name, value)) = line.split_once(':') else { continue };
                    let value = value.split(" #").next().unwrap_or_default();
                    let bare = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
                    found.put(&bare(name), &bare(value));
                }
            }
        }
        (!found.function.is_empty() && !found.target.is_empty()).then_some(found)
    }

    /// The first of each name: a specification has one function.
    fn put(&mut self, name: &str, value: &str) {
        let field = match name {
            "Name" => &mut self.function,
            "Alias" => &mut self.alias,
            "TargetVersion" => &mut self.target,
            "CurrentVersion" => self.current.get_or_insert_default(),
            _ => return,
        };
        if field.is_empty() {
            value.clone_into(field);
        }
        self.current = self.current.take().filter(|current| !current.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_codedeploy::types::AppSpecContent;

    use super::*;

    const JSON: &str = r#"{"version":0.0,"Resources":[{"checkout-fn":{"Type":"AWS::Lambda::Function",
        "Properties":{"Name":"checkout-fn","Alias":"live","CurrentVersion":"41","TargetVersion":"42"}}}],
        "Hooks":[{"BeforeAllowTraffic":"check-before"},{"AfterAllowTraffic":"check-after"}]}"#;
    const YAML: &str = "version: 0.0\n# Of the console\nResources:\n  - checkout-fn:\n      Type: AWS::Lambda::Function\n      \
        Properties:\n        Name: \"checkout-fn\" # the function\n        Alias: 'live'\n        CurrentVersion: 41\n        \
        TargetVersion: \"42\"\nHooks:\n  - BeforeAllowTraffic: \"check-before\"\n";

    fn checkout() -> LambdaSpec {
        let text = str::to_owned;
        LambdaSpec {
            function: text("checkout-fn"),
            alias: text("live"),
            current: Some(text("41")),
            target: text("42"),
        }
    }

    #[test]
    #[allow(deprecated, reason = "older groups still hold it")]
    fn both_notations_say_the_same() {
        assert_eq!(LambdaSpec::parse(JSON), Some(checkout()));
        assert_eq!(LambdaSpec::parse(YAML), Some(checkout()));
        let spec = AppSpecContent::builder().content(YAML).build();
        let new = RevisionLocation::builder().app_spec_content(spec).build();
        let old = RevisionLocation::builder()
            .string(aws_sdk_codedeploy::types::RawString::builder().content(JSON).build())
            .build();
        assert_eq!(LambdaSpec::of(&new), LambdaSpec::of(&old));
        assert_eq!(checkout().text("42"), "lambda:checkout-fn:42");
    }

    #[test]
    fn what_is_no_function_or_names_no_version_is_none() {
        let ecs = JSON.replace("AWS::Lambda::Function", "AWS::ECS::Service");
        for none in [ecs.as_str(), "AWS::Lambda::Function", &JSON.replace("TargetVersion", "Target"), ""] {
            assert_eq!(LambdaSpec::parse(none), None, "{none}");
        }
        let first = LambdaSpec::parse(&JSON.replace("CurrentVersion", "Was")).unwrap();
        assert_eq!(first.current, None, "the first deployment of an alias");
    }
}
