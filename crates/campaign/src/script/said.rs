//! A script whose texts are read once and rendered for many.

use std::{collections::HashSet, sync::Arc};

use super::{Prompt, Script, Step};
use crate::text::{BadText, RenderError, Text};

/// A script with its texts read.
#[derive(Debug)]
pub struct Said {
    script: Arc<Script>,
    /// The texts in the order of the steps.
    texts: Vec<Text>,
    /// Whether any of them has placeholders.
    differs: bool,
}

/// How many characters a speech engine renders: of texts that everybody hears, each once, and of those that differ from
/// person to person, by their bare text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spoken {
    /// Of what everybody hears.
    pub to_all: usize,
    /// Of what is said to each person alone.
    pub to_each: usize,
}

impl Script {
    /// What a speech engine renders for it.
    pub fn spoken(&self) -> Spoken {
        let prompts: HashSet<Prompt> = self.prompts().collect();
        let mut spoken = Spoken::default();
        for text in prompts.iter().filter_map(Prompt::text) {
            // One that cannot be read is refused before anybody is called.
            let plain = Text::parse(text).is_ok_and(|text| text.is_plain());
            let sum = if plain { &mut spoken.to_all } else { &mut spoken.to_each };
            *sum += text.chars().count();
        }
        spoken
    }

    /// Reads its texts.
    ///
    /// # Errors
    /// As for [`Text::parse`].
    pub fn said(&self) -> Result<Said, BadText> {
        let texts: Vec<Text> =
            self.prompts().filter_map(|prompt| prompt.text().map(Text::parse)).collect::<Result<_, _>>()?;
        let differs = texts.iter().any(|text| !text.is_plain());
        Ok(Said { script: Arc::new(self.clone()), texts, differs })
    }
}

impl Said {
    /// Whether it says something else to each person.
    pub const fn differs(&self) -> bool {
        self.differs
    }

    /// The script as one recipient hears it; `values` are in the order of `names`.
    ///
    /// # Errors
    /// As for [`Text::render`].
    pub fn render(
        &self,
        names: &Arc<[String]>,
        values: &[Option<String>],
    ) -> Result<Arc<Script>, RenderError> {
        if !self.differs {
            return Ok(self.script.clone());
        }
        let mut script = (*self.script).clone();
        let places = script.steps.values_mut().flat_map(Step::texts_mut);
        for (place, text) in places.zip(&self.texts) {
            *place = text.render(names, values.to_vec())?.to_string();
        }
        Ok(Arc::new(script))
    }
}

impl Prompt {
    /// Its text, to be rendered.
    pub(super) fn text_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Say { text, .. } => Some(text),
            Self::Play(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_everybody_hears_is_rendered_once_and_uploads_not_at_all() {
        let script: Script = serde_json::from_value(serde_json::json!({"first": "hello", "steps": {
            "hello": {"say": "Hello {{ first_name }}.", "next": "ask"},
            "ask": {"gather": {"digits": 1, "timeout": "PT5S", "tries": 2, "prompt": {"say": "Press 1."}},
                "on": {"1": "again"}, "none": "again", "other": "ask"},
            "again": {"say": "Press 1.", "next": "sound"},
            "sound": {"play": "aud_7", "next": "bye"}, "bye": {"hang_up": true}}}))
        .unwrap();
        assert_eq!(script.spoken(), Spoken { to_all: 8, to_each: 23 });
    }
}
