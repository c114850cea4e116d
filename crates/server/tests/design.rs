//! The design system holds what it promises: one place for colours and sizes, colours that can be read, plain words.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{collections::BTreeMap, fs, path::Path};

const DESIGN: &str = include_str!("../assets/design.css");
const ENGLISH: &str = include_str!("../texts/en.ftl");
/// Words that nobody says on a screen.
const UNSPOKEN: [&str; 7] = ["so many", "anew", "mend", "told of", "is noted", "goes", "are planned"];
/// The contrast that texts need, and that controls and series need (WCAG 2.2, 1.4.3 and 1.4.11).
const FOR_TEXT: f64 = 4.5;
const FOR_SHAPES: f64 = 3.0;

fn sources(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// Whether a text has a colour or a size of its own.
fn has_own_value(text: &str) -> bool {
    let hex = text.match_indices('#').any(|(at, _)| {
        let digits = text[at + 1..].chars().take_while(char::is_ascii_hexdigit).count();
        digits >= 3 && !text[at + 1 + digits..].starts_with(|c: char| c.is_alphanumeric() || c == '-')
    });
    let px = text.match_indices("px").any(|(at, _)| text[..at].ends_with(|c: char| c.is_ascii_digit()));
    hex || px || text.contains("rgb(") || text.contains("hsl(")
}

#[test]
fn nothing_but_the_tokens_holds_a_colour_or_a_size() {
    let (tokens, rest) = DESIGN.split_once("/* Base */").unwrap();
    assert!(has_own_value(tokens));
    let own: Vec<&str> = rest.lines().filter(|line| has_own_value(line)).collect();
    assert!(own.is_empty(), "{own:#?}");
    for (name, text) in sources("templates") {
        let styled = text.lines().find(|line| line.contains("style=") || line.contains("<style"));
        assert_eq!(styled, None, "{name}");
    }
    // Every token that is used exists, and every one that exists is used.
    let defined: BTreeMap<&str, &str> = tokens_of(tokens).into_iter().collect();
    let used = |text: &str| -> Vec<String> {
        let names = text.split("var(--").skip(1);
        names.map(|rest| rest.split([')', ',']).next().unwrap().to_owned()).collect()
    };
    let all = used(DESIGN);
    for name in &all {
        assert!(defined.contains_key(name.as_str()) || name == "series" || name == "f-field", "--{name}");
    }
    let unused: Vec<_> = defined.keys().filter(|name| !all.iter().any(|used| used == *name)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

/// The custom properties that a text sets, in its order.
fn tokens_of(text: &str) -> Vec<(&str, &str)> {
    let set = text.split(['{', '}', ';']).filter_map(|part| part.trim().strip_prefix("--"));
    set.filter_map(|part| part.split_once(':')).map(|(name, value)| (name, value.trim())).collect()
}

/// The relative luminance of a colour (WCAG 2.2).
fn luminance(hex: &str) -> f64 {
    let digits = hex.strip_prefix('#').unwrap();
    let digits =
        if digits.len() == 3 { digits.chars().flat_map(|d| [d, d]).collect() } else { digits.to_owned() };
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(&digits[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
}

fn contrast(one: &str, other: &str) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn every_colour_can_be_read_on_light_and_on_dark_paper() {
    assert!((contrast("#000", "#ffffff") - 21.0).abs() < 1e-9);
    let tokens = DESIGN.split_once("/* Base */").unwrap().0;
    let (light, dark) = tokens.split_once("prefers-color-scheme: dark").unwrap();
    let light: BTreeMap<&str, &str> = tokens_of(light).into_iter().collect();
    let dark_only: BTreeMap<&str, &str> = tokens_of(dark).into_iter().collect();
    let colours = |all: &BTreeMap<&str, &str>| all.iter().filter(|(_, v)| v.starts_with('#')).count();
    // Each colour has its dark twin.
    assert_eq!(colours(&light), colours(&dark_only));
    for (paper, tokens) in [("light", &light), ("dark", &dark_only)] {
        let told = |one: &str, other: &str, least: f64| {
            let found = contrast(tokens[one], tokens[other]);
            assert!(
                found >= least,
                "{paper}: --{one} on --{other} has a contrast of {found:.2}, needs {least}"
            );
        };
        for text in ["text", "text-2", "text-3", "accent"] {
            for ground in ["bg", "bg-subtle", "bg-inset"] {
                told(text, ground, FOR_TEXT);
            }
        }
        for kind in ["ok", "info", "plan", "warn", "bad", "mute"] {
            told(kind, &format!("{kind}-bg"), FOR_TEXT);
            told(kind, "bg", FOR_TEXT);
        }
        told("accent", "accent-bg", FOR_TEXT);
        told("on-accent", "accent", FOR_TEXT);
        told("on-accent", "accent-hover", FOR_TEXT);
        told("border-control", "bg", FOR_SHAPES);
        for series in ["delivered", "sent", "failed", "doubt", "skipped"] {
            told(&format!("s-{series}"), "bg", FOR_SHAPES);
        }
    }
}

#[test]
fn the_screens_say_nothing_that_nobody_says() {
    let mut found = Vec::new();
    for line in ENGLISH.lines().filter(|line| !line.starts_with('#')) {
        let said = line.split_once(" = ").map_or(line, |(_, said)| said).to_lowercase();
        found.extend(
            UNSPOKEN.iter().filter(|word| said.contains(**word)).map(|word| format!("{word}: {line}")),
        );
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_icon_that_is_shown_is_drawn() {
    let icons = include_str!("../assets/icons.svg");
    for (name, text) in sources("templates") {
        for call in text.split("icon(\"").skip(1) {
            let icon = call.split('"').next().unwrap();
            assert!(icons.contains(&format!("<symbol id=\"{icon}\"")), "{name}: {icon}");
        }
    }
}
