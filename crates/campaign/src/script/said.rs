//! A script whose texts are read once and rendered for many.

use std::sync::Arc;

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

impl Script {
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
