//! What calls say is rendered before their time, and nobody is called before it is ready.

use std::time::Duration;

use tokio::sync::Semaphore;

use super::*;

/// A speech engine that renders as many texts as the test lets it.
struct Slow {
    may: Semaphore,
    /// What it rendered, and what it is at.
    asked: Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl Renderer for Slow {
    async fn render(&self, script: &campaign::Script, _: bool) {
        let said = script.prompts().filter_map(|prompt| prompt.text().map(str::to_owned)).collect();
        self.asked.lock().unwrap().push(said);
        self.may.acquire().await.unwrap().forget();
    }
}

impl Slow {
    fn new() -> Arc<Self> {
        Arc::new(Self { may: Semaphore::new(0), asked: Mutex::default() })
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn reasons(w: &World, id: CampaignId) -> Vec<String> {
    w.engine.handle().waiting(id).iter().map(|wait| wait.reason.word().to_owned()).collect()
}

impl World {
    /// Takes turns without letting time pass until `so`: rendering takes its own time.
    async fn until(&mut self, so: impl Fn(&Self) -> bool) {
        for _ in 0..2_000 {
            self.engine.cycle(self.now).await.unwrap();
            if so(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it does not come to it");
    }
}

#[tokio::test]
async fn nobody_is_called_before_what_they_hear_is_rendered_and_the_campaign_says_so() {
    let slow = Slow::new();
    let mut w = World::rendering(30, json!({}), Some(slow.clone())).await;
    let id = w.schedule("Slow", json!({})).await;
    w.until(|_| slow.asked() == 2).await;
    w.run(60).await;
    assert_eq!((w.up(), w.status(id).await, reasons(&w, id)), (0, Status::Running, vec!["rendering".into()]));
    assert_eq!(slow.asked(), 2, "two at a time");
    slow.may.add_permits(7);
    w.until(|w| w.up() == 7).await;
    w.run(1).await;
    assert_eq!((w.up(), reasons(&w, id)), (7, vec![]), "what goes on needs no reason");
    w.all_came_to(Called::Human);
    slow.may.add_permits(100);
    w.until(|w| slow.asked() == 30 && w.up() > 0).await;
    w.run(2).await;
    assert_eq!(w.up(), 23);
    w.all_came_to(Called::Human);
    w.run(1).await;
    assert_eq!(
        (w.totals(id).await, w.status(id).await),
        (totals([("answered_human", 30)]), Status::Completed)
    );
    assert_eq!(slow.asked(), 30, "each once");
    w.data.assert_sound().await;
}

#[tokio::test]
async fn rendering_begins_ten_minutes_before_a_call_may_be_made() {
    let slow = Slow::new();
    let mut w = World::rendering(3, json!({}), Some(slow.clone())).await;
    let at = w.now + SignedDuration::from_mins(30);
    w.schedule("Planned", json!({"start": {"at": at.to_string()}})).await;
    w.run(19 * 60).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(slow.asked(), 0);
    w.run(62).await;
    w.until(|_| slow.asked() == 2).await;
    // Of a window, too, and though the start has passed.
    let other = Slow::new();
    let mut w = World::rendering(3, json!({}), Some(other.clone())).await;
    let hours =
        json!({"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "11:30", "to": "21:00"});
    let id = w.schedule("Hours", json!({"window": hours})).await;
    w.run(60).await;
    let opens = w.engine.handle().waiting(id)[0].until.unwrap();
    let early = opens.duration_since(w.now).as_secs() - 660;
    w.run(early).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!((other.asked(), reasons(&w, id)), (0, vec!["window_closed".into()]));
    w.run(90).await;
    w.until(|_| other.asked() == 2).await;
    assert_eq!(w.up(), 0);
}

#[tokio::test]
async fn what_everybody_hears_is_rendered_once_and_a_script_without_a_word_not_at_all() {
    let slow = Slow::new();
    slow.may.add_permits(1_000);
    let mut w = World::rendering(40, json!({"max_calls": 100}), Some(slow.clone())).await;
    let script = |text: Value| json!({"first": "hello", "steps": {"hello": text, "bye": {"hang_up": true}}});
    w.schedule("Same", json!({"script": script(json!({"say": "Hello.", "next": "bye"}))})).await;
    w.until(|w| w.up() > 0).await;
    w.run(1).await;
    assert_eq!((w.up(), slow.asked()), (40, 1));
    w.all_came_to(Called::Human);
    w.run(1).await;
    w.schedule("Silent", json!({"script": script(json!({"hang_up": true}))})).await;
    w.run(1).await;
    assert_eq!((w.up(), slow.asked()), (40, 1));
}

#[tokio::test]
async fn a_stop_ends_what_is_being_rendered_and_an_edit_has_it_rendered_anew() {
    let slow = Slow::new();
    let mut w = World::rendering(5, json!({}), Some(slow.clone())).await;
    let at = w.now + SignedDuration::from_mins(5);
    let id = w.schedule("Edited", json!({"start": {"at": at.to_string()}})).await;
    w.until(|_| slow.asked() == 2).await;
    let version = w.data.store.campaign(id).await.unwrap().version;
    let script = json!({"first": "hello", "steps": {
        "hello": {"say": "Good day {{ first_name | default('there') }}.", "next": "bye"}, "bye": {"hang_up": true}}});
    let changed = w.definition("Edited", json!({"start": {"at": at.to_string()}, "script": script}));
    let changed = serde_json::from_value(changed).unwrap();
    w.data.store.edit_campaign(id, version, changed, by(w.now)).await.unwrap();
    w.until(|_| slow.asked() == 4).await;
    let asked = slow.asked.lock().unwrap().clone();
    assert!(asked[..2].iter().all(|said| said.starts_with("Hello")), "{asked:?}");
    assert!(asked[2..].iter().all(|said| said.starts_with("Good day")), "{asked:?}");
    let stopped = w.engine.stop(id, by(w.now)).await.unwrap();
    w.engine.cycle(w.now).await.unwrap();
    drop(stopped);
    slow.may.add_permits(100);
    tokio::time::sleep(Duration::from_millis(50)).await;
    w.run(1).await;
    assert_eq!(slow.asked(), 4, "nobody is to hear it any more");
}

#[tokio::test]
async fn a_call_that_is_made_again_later_is_no_reason_while_others_wait_for_their_texts() {
    let slow = Slow::new();
    let mut w = World::rendering(10, json!({}), Some(slow.clone())).await;
    let retry = json!({"most": 2, "busy": {"after": "PT1H", "times": 1}});
    let id = w.schedule("Slow", json!({"retry": retry})).await;
    slow.may.add_permits(1);
    w.until(|w| w.up() == 1).await;
    w.all_came_to(Called::Busy);
    w.run(1).await;
    assert_eq!(reasons(&w, id), Vec::<String>::new());
    w.run(3).await;
    assert_eq!(reasons(&w, id), ["rendering"]);
    // A trunk that takes no calls is told of whether or not anything is ready.
    w.trunk.exchange.lock().unwrap().state = Some(RouteState::Connecting);
    w.run(1).await;
    assert_eq!(reasons(&w, id), ["route_down"]);
}

#[tokio::test]
async fn rendering_is_so_far_ahead_of_a_campaign_and_not_of_each_of_its_waves() {
    let slow = Slow::new();
    slow.may.add_permits(100_000);
    let zones = ["America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"];
    let data = fixture::people(4_000, &zones);
    let now = tuesday();
    let trunk = json!({"numbers": ["+12025550100"], "max_calls": 5, "calls_per_second": 100});
    let data = Data::with_trunk(data, trunk, now).await;
    let (engine, trunk) = begin(&data, now, Some(slow.clone())).await;
    let mut w = World { data, engine, trunk, now };
    w.schedule("Many", json!({})).await;
    w.until(|w| w.up() == 5 && slow.asked() >= 500).await;
    for _ in 0..50 {
        w.until(|_| true).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!((500..=505).contains(&slow.asked()), "{}", slow.asked());
}
