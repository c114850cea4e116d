//! How long a call through a script lasts: over its shortest and its longest course, each step once.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::{Prompt, Script, Step, StepId};

/// Courses that are looked at; a script with more of them is taken for one that may last as long as a call may.
const MOST_COURSES: u32 = 20_000;

/// The least and the most time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The least.
    pub least: SignedDuration,
    /// The most.
    pub most: SignedDuration,
}

impl Span {
    /// Always the same time.
    pub(super) const fn exactly(time: SignedDuration) -> Self {
        Self { least: time, most: time }
    }

    /// Anything up to `most`.
    pub(super) const fn up_to(most: SignedDuration) -> Self {
        Self { least: SignedDuration::ZERO, most }
    }

    fn and(self, then: Self) -> Self {
        Self { least: self.least.saturating_add(then.least), most: self.most.saturating_add(then.most) }
    }
}

/// A walk through all courses of a script.
struct Walk<'a> {
    script: &'a Script,
    /// How long all prompts of each step sound.
    prompts: BTreeMap<&'a StepId, SignedDuration>,
    longest: SignedDuration,
    on_course: BTreeSet<&'a StepId>,
    looked_at: u32,
    found: Option<Span>,
}

impl<'a> Walk<'a> {
    /// Walks on to a step, `so_far` into the call.
    fn come_to(&mut self, id: &'a StepId, so_far: Span) {
        self.looked_at += 1;
        let script = self.script;
        let Some(step) = script.steps.get(id).filter(|_| self.looked_at <= MOST_COURSES) else { return };
        // A course that comes to a step again repeats itself.
        if !self.on_course.insert(id) {
            return;
        }
        let prompts = self.prompts.get(id).copied().unwrap_or_default();
        if let Some(stays) = step.kind().ends() {
            self.end(so_far.and(stays));
        }
        for branch in step.branches() {
            let stays = step.kind().stays(branch.name, prompts);
            match branch.to {
                Some(to) => self.come_to(to, so_far.and(stays)),
                // An unfinished way ends the call.
                None => self.end(so_far.and(stays)),
            }
        }
        self.on_course.remove(id);
    }

    fn end(&mut self, whole: Span) {
        let whole = Span { least: whole.least.min(self.longest), most: whole.most.min(self.longest) };
        let found = *self.found.get_or_insert(whole);
        self.found = Some(Span { least: found.least.min(whole.least), most: found.most.max(whole.most) });
    }
}

impl Script {
    /// How long a call lasts from answer to end, where the person hears it out: over the shortest and the longest course
    /// that comes to no step twice, at most `longest`. `length` tells how long each prompt sounds.
    pub fn span(&self, length: &dyn Fn(&Prompt) -> SignedDuration, longest: SignedDuration) -> Span {
        let sound = |step: &Step| step.prompts().iter().map(|(_, prompt)| length(prompt)).sum();
        let prompts = self.steps.iter().map(|(id, step)| (id, sound(step))).collect();
        let mut walk =
            Walk { script: self, prompts, longest, on_course: BTreeSet::new(), looked_at: 0, found: None };
        walk.come_to(&self.first, Span::exactly(SignedDuration::ZERO));
        let found = walk.found.unwrap_or(Span::up_to(longest));
        if walk.looked_at > MOST_COURSES { Span { most: longest, ..found } } else { found }
    }
}
