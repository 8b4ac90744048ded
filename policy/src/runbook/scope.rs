//! Which contracts an action falls under, whether its asker names them or not.
//!
//! A contract is about services, about an action, and about errors by their texts. Service and action are
//! known to whoever judges the action. Of the errors it has only what the asker says: a text that is found
//! there brings the contract to bear, and one that is left out does not, so that words can only count
//! against who says them. What is left to the asker is therefore shown to the approver as
//! [`Scope::Beside`].

use super::RunbookContract;
use crate::action::Action;

/// How a contract stands to an action that does not cite it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// It says that this is never done automatically.
    Forbids,
    /// It is for this: what it objects to does not happen, and whom it asks is asked.
    Binds,
    /// It may be for this: it is for another error, or for none that the asker names, or allows another
    /// action for this one. Shown, and no more.
    Beside,
}

/// What an asker says, in the form in which signatures are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(String);

impl Words {
    /// Nothing was said.
    pub const fn none() -> Self {
        Self(String::new())
    }

    /// These texts. No signature is found across two of them.
    pub fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        Self(texts.into_iter().map(folded).collect::<Vec<_>>().join("\n"))
    }

    fn name(&self, signature: &str) -> bool {
        let signature = folded(signature);
        !signature.is_empty() && self.0.contains(&signature)
    }
}

impl RunbookContract {
    /// How it stands to this action; nothing where it is about something else.
    pub fn scope(&self, action: &Action, words: &Words) -> Option<Scope> {
        let (kind, service) = (action.kind(), action.service());
        if !self.is_for(service) {
            return None;
        }
        let named = self.signatures.iter().any(|signature| words.name(signature));
        // One that names neither services nor errors is about everything.
        let meant = !self.services.is_empty() || self.signatures.is_empty() || named;
        if self.never_actions.contains(&kind) {
            Some(if meant { Scope::Forbids } else { Scope::Beside })
        } else if self.action == Some(kind) {
            Some(if meant { Scope::Binds } else { Scope::Beside })
        } else {
            named.then_some(Scope::Beside)
        }
    }

    /// What it wants where it is followed, for the person who is asked.
    pub fn demands(&self, action: &Action) -> Vec<String> {
        let kind = action.kind();
        let mut all = Vec::new();
        if self.never_actions.contains(&kind) {
            all.push(format!("`{kind}` is never done automatically"));
        }
        match self.action {
            Some(own) if own == kind => {
                all.push(format!("{} approves", self.ask()));
                all.extend(self.requires.iter().map(|wanted| format!("requires that {wanted}")));
                all.extend(self.bounds.in_words());
            }
            Some(own) => all.push(format!("it is for `{own}`")),
            None if self.never_actions.contains(&kind) => {}
            None => all.push("it allows no action: a person acts".to_owned()),
        }
        all.extend(self.preconditions.iter().map(|text| format!("a person checks: {text}")));
        all
    }
}

/// Lower case, with runs of anything but letters and digits as one space.
fn folded(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() {
            all.extend(c.to_lowercase());
        } else if !all.ends_with(' ') {
            all.push(' ');
        }
    }
    all.trim().to_owned()
}
