//! The texts of the screens, from one file per language (`texts/en.ftl`, Project Fluent), compiled in.
//!
//! Keeps: a page says nothing that is not in the file, and the file has nothing that no page says (tested). Refusals
//! are worded by the rules themselves, in English, as in the API.

use std::{borrow::Cow, fmt, sync::LazyLock};

use askama::filters::{Escaper as _, Html, HtmlSafe};
use campaign::outcome::TABLE;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use jiff::Timestamp;
use unic_langid::langid;

use super::words::grouped;

const ENGLISH: &str = include_str!("../../texts/en.ftl");

static TEXTS: LazyLock<FluentBundle<FluentResource>> = LazyLock::new(|| {
    // What cannot be read in the file is left out; the tests read all of it.
    let texts = FluentResource::try_new(ENGLISH.to_owned()).unwrap_or_else(|(readable, _)| readable);
    let mut bundle = FluentBundle::new_concurrent(vec![langid!("en")]);
    // Isolating marks are for texts of mixed direction, which names and numbers in English are not.
    bundle.set_use_isolating(false);
    bundle.set_formatter(Some(|value, _| match value {
        FluentValue::Number(n) => Some(grouped(n.value as i64)),
        _ => None,
    }));
    // Of a text that is there twice the first counts; the tests find the second.
    let _ = bundle.add_resource(texts);
    bundle
});

/// A value to fill into a text.
pub(super) trait Arg {
    /// As plain text, or as a number that decides plurals and gets thousands separators.
    fn plain(&self) -> FluentValue<'_>;

    /// As HTML.
    fn html(&self) -> FluentValue<'_> {
        match self.plain() {
            FluentValue::String(text) => FluentValue::from(escaped(&text)),
            other => other,
        }
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    // Writing to a text never fails.
    let _ = Html.write_escaped_str(&mut safe, text);
    safe
}

macro_rules! whole_numbers {
    ($($kind:ty),*) => {$(
        impl Arg for $kind {
            fn plain(&self) -> FluentValue<'_> {
                FluentValue::from(*self)
            }
        }
    )*};
}

whole_numbers!(i64, u16, u32, u64, usize);

impl Arg for str {
    fn plain(&self) -> FluentValue<'_> {
        FluentValue::from(self)
    }
}

impl Arg for String {
    fn plain(&self) -> FluentValue<'_> {
        self.as_str().plain()
    }
}

impl Arg for Cow<'_, str> {
    fn plain(&self) -> FluentValue<'_> {
        FluentValue::from(self.as_ref())
    }
}

impl<T: Arg + ?Sized> Arg for &T {
    fn plain(&self) -> FluentValue<'_> {
        (**self).plain()
    }

    fn html(&self) -> FluentValue<'_> {
        (**self).html()
    }
}

/// An instant as pages show it; the script converts it to the reader's own time.
pub(super) struct Time(Timestamp);

/// Shows an instant.
pub(super) fn time(at: impl super::words::Given<Timestamp>) -> Time {
    Time(at.given())
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<time datetime=\"{}\">{}</time>", self.0, self.0.strftime("%Y-%m-%d %H:%M UTC"))
    }
}

impl HtmlSafe for Time {}

impl Arg for Time {
    fn plain(&self) -> FluentValue<'_> {
        FluentValue::from(self.0.strftime("%Y-%m-%d %H:%M UTC").to_string())
    }

    fn html(&self) -> FluentValue<'_> {
        FluentValue::from(self.to_string())
    }
}

/// A time on the reader's or the recipient's own clock, which no zone changes: `2026-11-26T09:00` or `10:00`.
pub(super) struct Clock(String);

/// Shows a time on a clock, as a schedule has it.
pub(super) fn clock(written: &str) -> Clock {
    // Seconds are left out if they are zero.
    Clock(
        written
            .strip_suffix(":00")
            .filter(|rest| rest.matches(':').count() == 1)
            .unwrap_or(written)
            .to_owned(),
    )
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<time datetime=\"{}\">{}</time>", escaped(&self.0), escaped(&self.0.replace('T', " ")))
    }
}

impl HtmlSafe for Clock {}

impl Arg for Clock {
    fn plain(&self) -> FluentValue<'_> {
        FluentValue::from(self.0.replace('T', " "))
    }

    fn html(&self) -> FluentValue<'_> {
        FluentValue::from(self.to_string())
    }
}

impl Arg for Markup {
    fn plain(&self) -> FluentValue<'_> {
        FluentValue::from(self.0.as_str())
    }

    fn html(&self) -> FluentValue<'_> {
        FluentValue::from(self.0.as_str())
    }
}

/// A number within a text that the page's script keeps up to date, by its name.
pub(super) struct Counted {
    field: &'static str,
    n: i64,
}

/// Shows such a number.
pub(super) fn counted(field: &'static str, n: i64) -> Counted {
    Counted { field, n }
}

impl Arg for Counted {
    fn plain(&self) -> FluentValue<'_> {
        FluentValue::from(self.n)
    }

    fn html(&self) -> FluentValue<'_> {
        FluentValue::from(format!("<span data-field=\"{}\">{}</span>", self.field, grouped(self.n)))
    }
}

/// Names with their values: `("name", value)`, and so on with up to three.
pub(super) trait Args {
    /// Passes each name and value to `set`.
    fn each<'a>(&'a self, set: &mut dyn FnMut(&'a str, &'a dyn Arg));
}

impl<A: Arg> Args for (&str, A) {
    fn each<'a>(&'a self, set: &mut dyn FnMut(&'a str, &'a dyn Arg)) {
        set(self.0, &self.1);
    }
}

impl<A: Arg, B: Arg> Args for (&str, A, &str, B) {
    fn each<'a>(&'a self, set: &mut dyn FnMut(&'a str, &'a dyn Arg)) {
        set(self.0, &self.1);
        set(self.2, &self.3);
    }
}

impl<A: Arg, B: Arg, C: Arg> Args for (&str, A, &str, B, &str, C) {
    fn each<'a>(&'a self, set: &mut dyn FnMut(&'a str, &'a dyn Arg)) {
        set(self.0, &self.1);
        set(self.2, &self.3);
        set(self.4, &self.5);
    }
}

impl Args for () {
    fn each<'a>(&'a self, _: &mut dyn FnMut(&'a str, &'a dyn Arg)) {}
}

impl<T: Args> Args for &T {
    fn each<'a>(&'a self, set: &mut dyn FnMut(&'a str, &'a dyn Arg)) {
        (**self).each(set);
    }
}

fn format(key: &str, args: Option<&FluentArgs<'_>>) -> Option<Cow<'static, str>> {
    let pattern = TEXTS.get_message(key)?.value()?;
    let mut errors = Vec::new();
    let text = TEXTS.format_pattern(pattern, args, &mut errors);
    debug_assert!(errors.is_empty(), "{key}: {errors:?}");
    Some(match text {
        Cow::Borrowed(text) => Cow::Borrowed(text),
        Cow::Owned(text) => Cow::Owned(text),
    })
}

/// A key without a text shows itself: the tests find it before a person does.
fn missing(key: &str) -> Cow<'static, str> {
    debug_assert!(false, "no text for {key}");
    Cow::Owned(key.to_owned())
}

/// A text.
pub(super) fn say(key: &str) -> Cow<'static, str> {
    format(key, None).unwrap_or_else(|| missing(key))
}

/// The words of the places of deliveries that nothing became of: the page's script leaves them out of the progress.
pub(super) fn unsettled() -> String {
    let words: Vec<_> = TABLE.iter().filter(|row| !row.place.is_settled()).map(|row| row.word).collect();
    words.join(" ")
}

/// The text for one of the program's words: `word("status", "running")`.
pub(super) fn word(kind: &str, word: impl AsRef<str>) -> Cow<'static, str> {
    let word = word.as_ref();
    // Histories also hold words of earlier versions.
    format(&format!("{kind}-{}", word.replace('_', "-")), None)
        .unwrap_or_else(|| Cow::Owned(word.replace('_', " ")))
}

/// A text with its values filled in.
pub(super) fn with(key: &str, args: impl Args) -> Cow<'static, str> {
    let mut values = FluentArgs::new();
    args.each(&mut |name, value| values.set(name, value.plain()));
    format(key, Some(&values)).map_or_else(|| missing(key), |text| Cow::Owned(text.into_owned()))
}

/// A text with our own HTML in it or filled in; what people wrote is escaped.
#[derive(Clone)]
pub(super) struct Markup(String);

impl Markup {
    /// A text that shows as it reads.
    pub(super) fn text(text: &str) -> Self {
        Self(escaped(text))
    }
}

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Markup {}

/// As [`with`], as HTML.
pub(super) fn html(key: &str, args: impl Args) -> Markup {
    let mut values = FluentArgs::new();
    args.each(&mut |name, value| values.set(name, value.html()));
    Markup(format(key, Some(&values)).unwrap_or_else(|| missing(key)).into_owned())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    /// Every file of the templates and the pages, as one text.
    fn sources() -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut all = String::new();
        let mut folders = vec![root.join("templates"), root.join("src")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with("pages/texts.rs") {
                    all.push_str(&fs::read_to_string(path).unwrap());
                }
            }
        }
        all
    }

    /// The first argument of each call of `function`.
    fn asked(sources: &str, function: &str) -> BTreeSet<String> {
        let call = format!("t::{function}(");
        sources
            .split(&call)
            .skip(1)
            .map(|call| {
                let literal = call.trim_start().strip_prefix('"').unwrap_or_else(|| {
                    panic!("a text is asked for by its literal key: {}", call.get(..40).unwrap_or(call))
                });
                literal.split('"').next().unwrap().to_owned()
            })
            .collect()
    }

    #[test]
    fn every_text_that_is_asked_for_is_there_and_every_one_that_is_there_is_asked_for() {
        assert!(FluentResource::try_new(ENGLISH.to_owned()).is_ok());
        let keys: Vec<&str> = ENGLISH
            .lines()
            .filter_map(|line| line.split_once(" =").map(|(key, _)| key))
            .filter(|key| key.starts_with(|c: char| c.is_ascii_lowercase()))
            .collect();
        let there: BTreeSet<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        assert_eq!(keys.len(), there.len(), "one stands twice");
        let sources = sources();
        let mut wanted = BTreeSet::new();
        for function in ["say", "with", "html"] {
            wanted.extend(asked(&sources, function));
        }
        let absent: Vec<_> = wanted.difference(&there).collect();
        assert!(absent.is_empty(), "no text: {absent:?}");
        let kinds = asked(&sources, "word");
        let unasked: Vec<_> = there
            .difference(&wanted)
            .filter(|key| {
                !kinds
                    .iter()
                    .any(|kind| key.strip_prefix(kind.as_str()).is_some_and(|rest| rest.starts_with('-')))
            })
            .collect();
        assert!(unasked.is_empty(), "nobody says: {unasked:?}");
    }

    #[test]
    fn what_people_wrote_is_escaped_and_numbers_are_counted() {
        let at = time("2026-11-24T15:00:00Z".parse::<Timestamp>().unwrap());
        let shown = html("why-text-until", ("why", "<script>", "until", at)).to_string();
        assert!(shown.starts_with("&#60;script&#62;. Continues <time datetime="), "{shown}");
        assert_eq!(with("contacts-lack", ("n", 1_i64)).split(' ').next(), Some("1"));
        assert!(with("contacts-lack", ("n", 1_200_i64)).starts_with("1,200 people"));
    }
}
