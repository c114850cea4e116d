//! What first calls say, rendered before their time. Nobody is claimed from a wave whose texts are not ready, so a slow
//! speech engine takes up no place among the calls. Who is called again heard it before: it is kept, or rendered anew.
//!
//! Keeps: rendering begins ten minutes before somebody's time at the earliest, for at most 500 people of a campaign beyond
//! those who were claimed, in the order in which they are claimed; a text that cannot be rendered counts as ready, because
//! its call says what is wrong.

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

/// The most people of a campaign beyond those who were claimed whose texts are rendered: an hour of sound at seven seconds
/// each.
const MOST: i64 = 500;
/// The people who are read at a time.
const PART: i64 = 100;
/// The people of a campaign whose texts are rendered at once.
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

    /// Whether some of it is being rendered.
    fn is_at_work(&mut self) -> bool {
        // One that ended without a word leaves the rest to the calls.
        if self.at_work.take_if(|work| work.is_finished()).is_some() {
            self.ready_to = self.asked_to;
        }
        self.at_work.is_some() && self.ready_to < self.asked_to
    }

    /// How many people it is ahead of those who were claimed.
    fn is_ahead(&self, wave: &Wave) -> i64 {
        (self.asked_to - wave.next_seq).max(0)
    }

    /// The places to render next, of at most `most` people; all of them at once where everybody hears the same.
    fn next(&mut self, wave: &Wave, differs: bool, most: i64) -> Option<Range<i64>> {
        let from = self.asked_to.max(wave.next_seq);
        let to = if differs { from + PART.min(most) } else { wave.to_seq };
        let to = to.min(wave.to_seq);
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
            let opts_out = voice.opt_out_key.is_some();
            let goes_on = |wave: &&Wave| {
                wave.held.is_none() && voice.until.is_none_or(|until| now.max(wave.due_at) < until)
            };
            // In the order in which they are claimed.
            let mut waves: Vec<&Wave> = w.waves.iter().chain(&w.coming).filter(goes_on).collect();
            waves.sort_by_key(|wave| (wave.due_at, wave.next_seq, wave.id));
            let (mut at_work, mut most) = (false, MOST);
            for wave in waves {
                let begin = || Stretch::new(w.epoch, wave.next_seq);
                let stretch = self.ahead.0.entry(wave.id).or_insert_with(begin);
                if stretch.epoch != w.epoch {
                    *stretch = begin();
                }
                at_work |= stretch.is_at_work();
                if opens(w.definition.window.as_ref(), wave, now) {
                    if differs {
                        most -= stretch.is_ahead(wave);
                    }
                    if !at_work && let Some(places) = stretch.next(wave, differs, most) {
                        most -= places.end - places.start;
                        at_work = true;
                        let part = Part { wave: wave.id, places, said: said.clone(), opts_out };
                        let (store, reports) = (self.store.clone(), self.sender.clone());
                        let render = part.render(store, w.clone(), renderer.clone(), reports);
                        stretch.at_work = Some(AbortOnDropHandle::new(tokio::spawn(render)));
                    }
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
        let more = |stretch: &mut Stretch, next| {
            let wave = wave(next, 10_000);
            let most = MOST - stretch.is_ahead(&wave);
            stretch.next(&wave, true, most)
        };
        while let Some(places) = more(&mut stretch, 0) {
            asked.push(places);
        }
        assert_eq!(asked, [0..100, 100..200, 200..300, 300..400, 400..500]);
        assert_eq!(more(&mut stretch, 99), None, "a part that is nearly none");
        assert_eq!(more(&mut stretch, 100), Some(500..600));
        // Who was claimed without it is not rendered any more, and the last part may be short.
        assert_eq!(stretch.next(&wave(610, 650), true, MOST), Some(610..650));
        assert_eq!(stretch.next(&wave(650, 650), true, MOST), None);
    }

    #[test]
    fn what_everybody_hears_is_rendered_once() {
        let mut stretch = Stretch::new(1, 7);
        assert_eq!(stretch.next(&wave(7, 10_000), false, 0), Some(7..10_000));
        assert_eq!(stretch.next(&wave(7, 10_000), false, MOST), None);
    }

    #[tokio::test]
    async fn a_part_that_ends_without_a_word_holds_nobody_up() {
        let mut stretch = Stretch::new(1, 0);
        assert_eq!(stretch.next(&wave(0, 50), true, MOST), Some(0..50));
        stretch.at_work = Some(AbortOnDropHandle::new(tokio::spawn(std::future::pending())));
        assert!(stretch.is_at_work());
        stretch.at_work = Some(AbortOnDropHandle::new(tokio::spawn(async {})));
        tokio::task::yield_now().await;
        assert!(!stretch.is_at_work());
        assert_eq!(stretch.ready_to, 50);
    }
}
