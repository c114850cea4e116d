//! What calls say, rendered before their time. Nobody is claimed whose texts are not ready, so a slow speech engine takes
//! up no place among the calls.
//!
//! Keeps: rendering begins ten minutes before somebody's time at the earliest, for at most 500 people beyond those who were
//! claimed; a text that cannot be rendered counts as ready, because its call says what is wrong.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use campaign::{
    Script, WaveId, ZoneGroup,
    script::Said,
    window::{Opening, Window},
};
use futures::StreamExt;
use jiff::Timestamp;
use store::{COMING, Store, Wave, Work};
use tokio_util::task::AbortOnDropHandle;

use crate::{Engine, Report, Reports};

/// The most people beyond those who were claimed whose texts are rendered: an hour of sound at seven seconds each.
const MOST: i64 = 500;
/// The people who are read at a time.
const PART: i64 = 100;
/// The people whose texts are rendered at once, of each wave.
const AT_ONCE: usize = 2;

/// Renders what calls say.
#[async_trait::async_trait]
pub trait Renderer: Send + Sync {
    /// Renders what a call with this script says, and with `opts_out` what whoever presses that key hears. What cannot be
    /// rendered is told by the call itself.
    async fn render(&self, script: &Script, opts_out: bool);
}

/// How far the texts of each wave are rendered.
#[derive(Default)]
pub(crate) struct Ahead(HashMap<WaveId, Stretch>);

/// The places of a wave that are rendered, or on their way.
struct Stretch {
    /// Of which epoch of its campaign: another has other people, who hear something else.
    epoch: i64,
    /// One past the last place that was asked for.
    asked_to: i64,
    /// One past the last place that is ready, with all before it.
    ready_to: i64,
    /// What renders the rest; it ends with the wave.
    at_work: Option<AbortOnDropHandle<()>>,
}

impl Stretch {
    const fn new(epoch: i64, from: i64) -> Self {
        Self { epoch, asked_to: from, ready_to: from, at_work: None }
    }

    /// The places to render next, where there is room for more; all of them at once where everybody hears the same.
    fn next(&mut self, wave: &Wave, differs: bool) -> Option<Range<i64>> {
        if self.ready_to < self.asked_to {
            return None;
        }
        let from = self.asked_to.max(wave.next_seq);
        let most = if differs { (from + PART).min(wave.next_seq + MOST) } else { wave.to_seq };
        let to = most.min(wave.to_seq);
        // A part that is nearly none is not worth a look.
        let worth = to - from == PART || to == wave.to_seq;
        (from < to && worth).then(|| {
            self.asked_to = to;
            from..to
        })
    }
}

impl Ahead {
    /// A wave's texts are ready up to this place.
    pub(crate) fn ready(&mut self, wave: WaveId, epoch: i64, to: i64) {
        if let Some(stretch) = self.0.get_mut(&wave).filter(|stretch| stretch.epoch == epoch) {
            stretch.ready_to = stretch.ready_to.max(to).min(stretch.asked_to);
        }
    }
}

/// Whether anybody of a wave may be called within the time of [`COMING`].
fn opens(window: Option<&Window>, wave: &Wave, now: Timestamp) -> bool {
    let Some(window) = window else { return true };
    let Ok(zones) = ZoneGroup::parse(&wave.zones) else { return false };
    match window.at(&zones, now.max(wave.due_at)) {
        Opening::Open { .. } => true,
        Opening::Closed { next } => next.duration_since(now) <= COMING,
        Opening::Never => false,
    }
}

/// What one part of a wave needs to be rendered.
struct Part {
    wave: WaveId,
    places: Range<i64>,
    said: Arc<Option<Said>>,
    opts_out: bool,
}

impl Part {
    async fn render(self, store: Store, work: Work, renderer: Arc<dyn Renderer>, reports: Reports) {
        let Self { wave, places, said, opts_out } = self;
        let (Some(said), epoch) = (&*said, work.epoch) else { return };
        let read = if said.differs() { places.clone() } else { places.start..places.start + 1 };
        let people = store.frozen_fields(work.id, read).await.unwrap_or_else(|error| {
            // Whoever claims them meets the same, and says so.
            tracing::error!(%error, campaign = %work.id, "people could not be read to render their texts");
            Vec::new()
        });
        let renderer = &renderer;
        let texts = futures::stream::iter(people).map(|(seq, values)| {
            let script = said.render(&work.fields, &values);
            async move {
                // Who lacks a field hears nothing.
                if let Ok(script) = script {
                    renderer.render(&script, opts_out).await;
                }
                seq
            }
        });
        let mut done = texts.buffered(AT_ONCE);
        while let Some(seq) = done.next().await {
            // An error: the engine has ended.
            let _ = reports.send(Report::Rendered { wave, epoch, to: seq + 1 });
        }
        let _ = reports.send(Report::Rendered { wave, epoch, to: places.end });
    }
}

impl Engine {
    /// Has the texts of whoever is called soon rendered. Returns how far each wave is ready; those of routes that render
    /// nothing, and of scripts that say nothing, are not in it.
    pub(crate) fn render_ahead(&mut self, work: &[Work], now: Timestamp) -> HashMap<WaveId, i64> {
        let mut ready = HashMap::new();
        for w in work {
            let Some(voice) = w.definition.content.calls() else { continue };
            let route = w.definition.route_id.and_then(|id| Some(&self.ports.get(&id)?.route));
            let Some(renderer) = route.and_then(|route| route.renderer()) else { continue };
            let Some(script) = &voice.script else { continue };
            if script.prompts().next().is_none() && voice.opt_out_key.is_none() {
                continue;
            }
            let said = self.said(w, script);
            // One that cannot be read fails where it is handed over.
            let Some(differs) = said.as_ref().as_ref().map(Said::differs) else { continue };
            let expired = |wave: &&Wave| voice.until.is_none_or(|until| now.max(wave.due_at) < until);
            let waves = w.waves.iter().chain(&w.coming).filter(expired);
            for wave in waves.filter(|wave| wave.held.is_none()) {
                let begin = || Stretch::new(w.epoch, wave.next_seq);
                let stretch = self.ahead.0.entry(wave.id).or_insert_with(begin);
                if stretch.epoch != w.epoch {
                    *stretch = begin();
                }
                if opens(w.definition.window.as_ref(), wave, now)
                    && let Some(places) = stretch.next(wave, differs)
                {
                    let opts_out = voice.opt_out_key.is_some();
                    let part = Part { wave: wave.id, places, said: said.clone(), opts_out };
                    let (store, reports) = (self.store.clone(), self.sender.clone());
                    let render = part.render(store, w.clone(), renderer.clone(), reports);
                    stretch.at_work = Some(AbortOnDropHandle::new(tokio::spawn(render)));
                }
                ready.insert(wave.id, stretch.ready_to);
            }
        }
        let known: HashSet<WaveId> =
            work.iter().flat_map(|w| w.waves.iter().chain(&w.coming)).map(|wave| wave.id).collect();
        self.ahead.0.retain(|wave, _| known.contains(wave));
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(next_seq: i64, to_seq: i64) -> Wave {
        Wave {
            id: WaveId(1),
            message_no: 1,
            zones: "UTC".into(),
            due_at: Timestamp::UNIX_EPOCH,
            held: None,
            next_seq,
            bound: to_seq,
            bound_moves_at: None,
            to_seq,
        }
    }

    #[test]
    fn texts_are_rendered_part_by_part_and_only_so_far_ahead() {
        let mut stretch = Stretch::new(1, 0);
        let mut asked = Vec::new();
        // Nobody is claimed meanwhile.
        while let Some(places) = stretch.next(&wave(0, 10_000), true) {
            assert_eq!(stretch.next(&wave(0, 10_000), true), None, "one part at a time");
            stretch.ready_to = places.end;
            asked.push(places);
        }
        assert_eq!(asked, [0..100, 100..200, 200..300, 300..400, 400..500]);
        assert_eq!(stretch.next(&wave(99, 10_000), true), None, "a part that is nearly none");
        assert_eq!(stretch.next(&wave(100, 10_000), true), Some(500..600));
        stretch.ready_to = 600;
        // Who was claimed without it is not rendered any more, and the last part may be short.
        assert_eq!(stretch.next(&wave(610, 650), true), Some(610..650));
        stretch.ready_to = 650;
        assert_eq!(stretch.next(&wave(650, 650), true), None);
    }

    #[test]
    fn what_everybody_hears_is_rendered_once() {
        let mut stretch = Stretch::new(1, 7);
        assert_eq!(stretch.next(&wave(7, 10_000), false), Some(7..10_000));
        assert_eq!(stretch.next(&wave(7, 10_000), false), None);
    }
}
