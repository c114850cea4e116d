//! The form of a script: each step a group of fields, in the order in which a call comes to them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use campaign::{
    Script,
    script::{Prompt, Step, StepId},
};
use serde_json::{Map, Value, json};

/// The kinds of steps that can be added.
pub(super) const KINDS: [&str; 6] = ["say", "play", "gather", "transfer", "opt_out", "hang_up"];
/// The ways to hand a call over, as the API names them.
pub(super) const MODES: [&str; 2] = ["refer", "bridge"];
/// The most steps of a form: as many as a script has.
const MOST: usize = 100;

/// A form's fields, as typed.
pub(super) type Typed = BTreeMap<String, String>;

/// One step as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct StepForm {
    pub(super) id: String,
    pub(super) kind: String,
    fields: Typed,
}

impl StepForm {
    /// What is typed in a field.
    pub(super) fn of(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }

    /// A new step of a kind.
    pub(super) fn new(kind: &str, id: &str) -> Self {
        let usual: &[(&str, &str)] = match kind {
            "gather" => &[("digits", "1"), ("timeout", "5"), ("tries", "2")],
            "transfer" => &[("mode", "refer")],
            _ => &[],
        };
        let fields = usual.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned())).collect();
        Self { id: id.to_owned(), kind: kind.to_owned(), fields }
    }

    fn shown(id: &StepId, step: &Step) -> Self {
        let json = serde_json::to_value(step).unwrap_or_default();
        let text = |at: &str| json.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |at: &str| json.pointer(at).map(ToString::to_string).unwrap_or_default();
        let kind = match step {
            Step::Say(_) => "say",
            Step::Play(_) => "play",
            Step::Gather(_) => "gather",
            Step::Transfer(_) => "transfer",
            Step::Stream(_) => "stream",
            Step::OptOut(_) => "opt_out",
            Step::HangUp(_) => "hang_up",
        };
        let mut fields = Typed::new();
        let mut set = |field: &str, value: String| drop(fields.insert(field.to_owned(), value));
        for branch in ["next", "none", "other", "failed", "ended"] {
            set(branch, text(&format!("/{branch}")));
        }
        match step {
            Step::Gather(gather) => {
                set("text", text("/gather/prompt/say"));
                set("voice", text("/gather/prompt/voice"));
                set("audio", text("/gather/prompt/play"));
                set("digits", number("/gather/digits"));
                set("tries", number("/gather/tries"));
                set("timeout", gather.gather.timeout.as_secs().to_string());
                let on: Vec<String> = gather.on.iter().map(|(keys, to)| format!("{keys} {to}")).collect();
                set("on", on.join("\n"));
            }
            Step::Transfer(_) | Step::Stream(_) => {
                set("to", text(&format!("/{kind}/to")));
                set("mode", text("/transfer/mode"));
            }
            Step::Say(_) | Step::Play(_) | Step::OptOut(_) | Step::HangUp(_) => {
                set("text", text("/say"));
                set("voice", text("/voice"));
                set("audio", text("/play"));
            }
        }
        Self { id: id.to_string(), kind: kind.to_owned(), fields }
    }

    /// What it says or plays, as typed.
    ///
    /// # Errors
    /// In words, where the step says nothing or cannot be read.
    pub(super) fn prompt(&self) -> Result<Prompt, String> {
        let step: Step = serde_json::from_value(self.value()).map_err(|e| e.to_string())?;
        let said = step.prompts().into_iter().next();
        said.map(|(_, prompt)| prompt).ok_or_else(|| "the step says nothing yet".to_owned())
    }

    /// The step as the API takes it.
    fn value(&self) -> Value {
        let given = |field: &str| Some(self.of(field).trim()).filter(|text| !text.is_empty());
        let number = |field: &str| {
            self.of(field).trim().parse::<u32>().map_or_else(|_| json!(self.of(field)), |n| json!(n))
        };
        let mut step = Map::new();
        let branches: &[&str] = match self.kind.as_str() {
            "gather" => &["none", "other"],
            "transfer" => &["failed"],
            "stream" => &["ended", "failed"],
            "hang_up" => &[],
            _ => &["next"],
        };
        for branch in branches {
            if let Some(to) = given(branch) {
                step.insert((*branch).to_owned(), to.into());
            }
        }
        match self.kind.as_str() {
            "say" => {
                step.insert("say".into(), self.of("text").into());
                step.extend(given("voice").map(|voice| ("voice".to_owned(), voice.into())));
            }
            "play" => drop(step.insert("play".into(), self.of("audio").into())),
            "gather" => {
                let mut asking = json!({"digits": number("digits"), "tries": number("tries"),
                    "timeout": format!("PT{}S", self.of("timeout").trim())});
                let prompt = match (given("audio"), given("text")) {
                    (Some(audio), _) => Some(json!({"play": audio})),
                    (None, Some(text)) => Some(match given("voice") {
                        Some(voice) => json!({"say": text, "voice": voice}),
                        None => json!({"say": text}),
                    }),
                    (None, None) => None,
                };
                if let (Some(prompt), Some(asking)) = (prompt, asking.as_object_mut()) {
                    asking.insert("prompt".into(), prompt);
                }
                step.insert("gather".into(), asking);
                let lines = self.of("on").lines().map(str::trim).filter(|line| !line.is_empty());
                let on: Map<String, Value> = lines
                    .map(|line| line.split_once(char::is_whitespace).unwrap_or((line, "")))
                    .map(|(keys, to)| (keys.to_owned(), to.trim().into()))
                    .collect();
                if !on.is_empty() {
                    step.insert("on".into(), Value::Object(on));
                }
            }
            "transfer" => {
                step.insert("transfer".into(), json!({"to": self.of("to").trim(), "mode": self.of("mode")}));
            }
            "stream" => drop(step.insert("stream".into(), json!({"to": self.of("to").trim()}))),
            kind => drop(step.insert(kind.to_owned(), true.into())),
        }
        Value::Object(step)
    }
}

/// The steps of a script in the order in which a call comes to them; steps that no call comes to are last.
pub(super) fn shown(script: &Script) -> Vec<StepForm> {
    let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
    let mut to_look_at = VecDeque::from([&script.first]);
    to_look_at.extend(script.steps.keys());
    // The first way is followed before any step that is only listed.
    while let Some(id) = to_look_at.pop_front() {
        let Some(step) = script.steps.get(id).filter(|_| seen.insert(id)) else { continue };
        order.push(StepForm::shown(id, step));
        for to in step.branches().into_iter().rev().filter_map(|branch| branch.to) {
            to_look_at.push_front(to);
        }
    }
    order
}

/// The steps in a form.
pub(super) fn typed(form: &Typed) -> Vec<StepForm> {
    (0..MOST)
        .map_while(|n| {
            let prefix = format!("s{n}_");
            let mut fields: Typed = form
                .range(prefix.clone()..)
                .take_while(|(field, _)| field.starts_with(&prefix))
                .map(|(field, value)| (field[prefix.len()..].to_owned(), value.clone()))
                .collect();
            let kind = fields.remove("kind")?;
            Some(StepForm { id: fields.remove("id").unwrap_or_default().trim().to_owned(), kind, fields })
        })
        .collect()
}

/// The script as the API takes it; none where there are no steps.
pub(super) fn value(first: &str, steps: &[StepForm]) -> Value {
    if steps.is_empty() {
        return Value::Null;
    }
    let all: Map<String, Value> = steps.iter().map(|step| (step.id.clone(), step.value())).collect();
    let first = if first.trim().is_empty() { steps[0].id.as_str() } else { first.trim() };
    json!({"first": first, "steps": all})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_is_shown_and_sent_back_is_the_same() {
        let script = json!({"first": "hello", "steps": {
            "ask": {"gather": {"digits": 2, "timeout": "PT7S", "tries": 3, "prompt": {"say": "Press 12.", "voice": "en"}},
                "on": {"12": "thanks", "3": "agent"}, "none": "bye", "other": "ask"},
            "agent": {"transfer": {"to": "sip:agents@pbx.example", "mode": "bridge"}, "failed": "bye"},
            "bye": {"hang_up": true},
            "hello": {"say": "Hello {{ first_name }}.", "next": "ask"},
            "out": {"opt_out": true, "next": "bye"},
            "thanks": {"play": "aud_7", "next": "bye"}}});
        let read: Script = serde_json::from_value(script.clone()).unwrap();
        let forms = shown(&read);
        let order: Vec<&str> = forms.iter().map(|step| step.id.as_str()).collect();
        assert_eq!(order, ["hello", "ask", "thanks", "bye", "agent", "out"]);
        let mut fields = Typed::new();
        for (n, step) in forms.iter().enumerate() {
            fields.insert(format!("s{n}_id"), step.id.clone());
            fields.insert(format!("s{n}_kind"), step.kind.clone());
            fields.extend(step.fields.iter().map(|(field, value)| (format!("s{n}_{field}"), value.clone())));
        }
        let sent = value("hello", &typed(&fields));
        assert_eq!(serde_json::from_value::<Script>(sent).unwrap(), read);
        assert_eq!(value("", &[]), Value::Null);
    }
}
