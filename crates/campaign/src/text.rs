//! The text of a message: `{{ first_name | default("there") }}` over the contact's fields.
//!
//! Rendering is minijinja's, with fuel, so that a template cannot loop for ever. Which fields a text needs is known at
//! save; a contact that lacks one without a default is skipped, not sent a gap. A text may also be sent word for word
//! ([`Text::literal`]): carriers register some texts that way.

use std::{fmt, sync::Arc};

use minijinja::{
    Environment, Error, ErrorKind, Output, State, UndefinedBehavior, escape_formatter,
    syntax::SyntaxConfig,
    value::{Enumerator, Object, Value, ValueKind},
};

/// Instructions a rendering may take: ample for a text, nothing for a loop.
const FUEL: u64 = 20_000;
/// Characters a rendered text may have: 255 segments of 153.
const LONGEST: usize = 255 * 153;
const NAME: &str = "text";

/// A text that was checked and can be rendered.
#[derive(Clone)]
pub struct Text {
    source: Arc<str>,
    /// `None` for a text without placeholders: it is sent as it stands.
    template: Option<Arc<Environment<'static>>>,
    fields: Vec<String>,
}

/// What is wrong with a text, at save.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// The text is empty.
    #[error("the text is empty")]
    Empty,
    /// Bad syntax.
    #[error("the text cannot be read: {0}")]
    Syntax(String),
    /// A comment, which is left out when the text is sent.
    #[error(
        "'{{#' begins a comment, which is left out; put a field such as {{{{ first_name }}}} in the place of {{#var#}}, or \
         have the text sent word for word (\"template\": false)"
    )]
    Comment,
    /// A character that no phone shows.
    #[error("the text has a control character (U+{0:04X}) in it; delete it")]
    Control(u32),
    /// A field that no contact can have.
    #[error("there is no field '{0}'{1}")]
    UnknownField(String, String),
    /// Too long, or a loop without end.
    #[error("{0}")]
    TooMuch(String),
}

/// Why a text could not be rendered for one recipient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The contact lacks a field.
    #[error("a field that the text needs is missing")]
    MissingField,
    /// The template failed in another way.
    #[error("the text could not be rendered: {0}")]
    Broken(String),
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Text").field(&self.source).finish()
    }
}

/// A contact's fields, as the template sees them.
#[derive(Debug)]
struct Fields {
    names: Arc<[String]>,
    values: Vec<Option<String>>,
}

impl Object for Fields {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        let at = self.names.iter().position(|name| name == key)?;
        self.values.get(at)?.as_deref().filter(|v| !v.is_empty()).map(Value::from)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}

impl Text {
    /// Reads a text that is sent word for word: nothing in it is a placeholder.
    pub fn literal(source: &str) -> Result<Self, BadText> {
        if source.trim().is_empty() {
            return Err(BadText::Empty);
        }
        if source.len() > LONGEST * 4 {
            return Err(BadText::TooMuch("the text is too long".into()));
        }
        if let Some(c) = source.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{C}'))
        {
            return Err(BadText::Control(c.into()));
        }
        Ok(Self { source: source.into(), template: None, fields: Vec::new() })
    }

    /// Reads a text with placeholders. Syntax is checked here; which fields exist is checked by [`Text::check`].
    pub fn parse(source: &str) -> Result<Self, BadText> {
        let literal = Self::literal(source)?;
        if source.contains("{#") {
            return Err(BadText::Comment);
        }
        if !source.contains("{{") && !source.contains("{%") {
            return Ok(literal);
        }
        let source = literal.source;
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
        environment.set_syntax(syntax.map_err(|e| BadText::Syntax(e.to_string()))?);
        environment.set_formatter(write);
        // These functions show the engine's insides, or make what no text needs.
        for function in ["debug", "dict", "namespace"] {
            environment.remove_global(function);
        }
        environment
            .add_template_owned(NAME, source.to_string())
            .map_err(|e| BadText::Syntax(e.detail().map_or_else(|| e.kind().to_string(), str::to_owned)))?;
        let template = environment.get_template(NAME).map_err(|e| BadText::Syntax(e.to_string()))?;
        let mut fields: Vec<_> = template
            .undeclared_variables(false)
            .into_iter()
            .filter(|name| environment.globals().all(|(global, _)| global != name))
            .collect();
        fields.sort();
        Ok(Self { source, template: Some(Arc::new(environment)), fields })
    }

    /// Checks the text against the fields that contacts have, and that rendering ends.
    pub fn check(&self, known: &[String]) -> Result<(), BadText> {
        for field in &self.fields {
            if !known.contains(field) {
                let names = known.join(", ");
                return Err(BadText::UnknownField(field.clone(), format!("; there are: {names}")));
            }
        }
        let names: Arc<[String]> = known.into();
        let sample = vec![Some("sample".to_owned()); known.len()];
        match self.render(&names, sample) {
            Ok(text) if text.chars().count() > LONGEST => {
                Err(BadText::TooMuch("the text is too long".into()))
            }
            Ok(_) => Ok(()),
            // Every field is there: only a part of one, such as first_name.short, can be missing.
            Err(RenderError::MissingField) => {
                Err(BadText::TooMuch("a placeholder names something that no contact can have".into()))
            }
            Err(RenderError::Broken(why)) => Err(BadText::TooMuch(why)),
        }
    }

    /// Renders the text for one recipient; `values` are in the order of `names`.
    pub fn render(
        &self,
        names: &Arc<[String]>,
        values: Vec<Option<String>>,
    ) -> Result<Arc<str>, RenderError> {
        let Some(environment) = &self.template else {
            return Ok(self.source.clone());
        };
        let fields = Fields { names: names.clone(), values };
        environment
            .get_template(NAME)
            .and_then(|template| template.render(Value::from_object(fields)))
            .map(Into::into)
            .map_err(|e| match e.kind() {
                ErrorKind::UndefinedError => RenderError::MissingField,
                ErrorKind::OutOfFuel => RenderError::Broken("the text has a loop without end".into()),
                _ => RenderError::Broken(e.detail().map_or_else(|| e.kind().to_string(), str::to_owned)),
            })
    }

    /// Whether everybody gets the same.
    pub fn is_plain(&self) -> bool {
        self.template.is_none() || !self.source.contains('{')
    }

    /// The text as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The fields that the text uses, sorted.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }
}

/// Writes texts, numbers and booleans; a list, a function or a part of the engine is refused.
fn write(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::String | ValueKind::Number | ValueKind::Bool => escape_formatter(out, state, value),
        _ => {
            Err(Error::new(ErrorKind::InvalidOperation, "a placeholder stands for something that is no text"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Arc<[String]> {
        ["first_name".to_owned(), "city".to_owned()].into()
    }

    fn render(source: &str, first_name: Option<&str>) -> Result<String, RenderError> {
        let text = Text::parse(source).unwrap();
        text.render(&names(), vec![first_name.map(Into::into), None]).map(|t| t.to_string())
    }

    #[test]
    fn placeholders_take_the_contacts_fields_and_defaults() {
        let source = "Hello {{ first_name | default(\"there\") }}!";
        assert_eq!(render(source, Some("Ana")).unwrap(), "Hello Ana!");
        assert_eq!(render(source, None).unwrap(), "Hello there!");
        assert_eq!(render(source, Some("")).unwrap(), "Hello there!");
        assert_eq!(render("Hi {{ first_name }}<&>", Some("O'Neil <b>")).unwrap(), "Hi O'Neil <b><&>");
        assert_eq!(render("no placeholders", None).unwrap(), "no placeholders");
    }

    #[test]
    fn a_missing_field_is_said_not_sent_as_a_gap() {
        assert_eq!(render("Hello {{ first_name }}", None), Err(RenderError::MissingField));
        assert_eq!(render("{% if city %}{{ city }}{% else %}Hi{% endif %}", None).unwrap(), "Hi");
    }

    #[test]
    fn unknown_fields_and_bad_syntax_are_refused_at_save() {
        let check = |s: &str| Text::parse(s).and_then(|t| t.check(&names()));
        assert_eq!(check("Hello {{ first_name }}"), Ok(()));
        assert_eq!(
            check("{{ frist_name }}"),
            Err(BadText::UnknownField("frist_name".into(), "; there are: first_name, city".into()))
        );
        assert!(matches!(check("Hello {{ first_name"), Err(BadText::Syntax(_))));
        assert!(matches!(check("{{ first_name | nosuch }}"), Err(BadText::TooMuch(_) | BadText::Syntax(_))));
        assert_eq!(check("  "), Err(BadText::Empty));
    }

    #[test]
    fn a_line_break_at_the_end_is_kept() {
        assert_eq!(render("Hi {{ first_name }}\n", Some("Ana")).unwrap(), "Hi Ana\n");
        assert_eq!(render("Hi\r\n", None).unwrap(), "Hi\r\n");
    }

    #[test]
    fn a_comment_is_refused_with_what_to_write_instead_unless_the_text_goes_word_for_word() {
        let registered = "Dear {#var#}, your code is {#var#}. -ABC";
        assert_eq!(Text::parse(registered).unwrap_err(), BadText::Comment);
        assert!(
            BadText::Comment.to_string().contains("{{ first_name }}")
                && BadText::Comment.to_string().contains("{#var#}")
        );
        for source in [registered, "{{ nothing }} {% if", "100 %}"] {
            let text = Text::literal(source).unwrap();
            assert_eq!(text.check(&[]), Ok(()));
            assert_eq!(&*text.render(&names(), Vec::new()).unwrap(), source);
            assert!(text.fields().is_empty());
        }
        assert_eq!(Text::literal(" ").unwrap_err(), BadText::Empty);
    }

    #[test]
    fn the_engines_insides_are_never_sent() {
        for source in [
            "{{ debug() }}",
            "{{ debug }}",
            "{{ range }}",
            "{{ range(3) }}",
            "{{ dict(a=1) }}",
            "{{ [first_name] }}",
            "{{ {'a': 1} }}",
            "{{ self }}",
            "{{ first_name.short }}",
            "{{ first_name | list }}",
            "{{ none }}",
        ] {
            let checked = Text::parse(source).and_then(|text| text.check(&names()));
            assert!(checked.is_err(), "{source}");
        }
    }

    #[test]
    fn control_characters_are_refused_and_breaks_are_not() {
        for c in ['\0', '\u{7}', '\u{1B}', '\u{7F}', '\u{85}'] {
            assert_eq!(Text::parse(&format!("Hi{c}")).unwrap_err(), BadText::Control(c.into()));
        }
        assert!(Text::parse("a\tb\r\nc\u{C}d").is_ok());
    }

    #[test]
    fn an_endless_loop_runs_out_of_fuel() {
        let text =
            Text::parse("{% for i in range(9000) %}{% for j in range(9000) %}x{% endfor %}{% endfor %}")
                .unwrap();
        assert_eq!(text.check(&names()), Err(BadText::TooMuch("the text has a loop without end".into())));
    }
}
