// Keeps an open page true: server-sent events carry each campaign as it then is. Everything here only adds to
// what the pages do without it.
"use strict";

const grouped = (n) => n.toLocaleString(document.documentElement.lang);

function local(at) {
  return new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

function localTimes(root) {
  for (const time of root.querySelectorAll("time")) {
    time.title = time.dateTime;
    time.textContent = local(time.dateTime);
  }
}

function put(root, field, text) {
  const at = root.querySelector(`[data-field="${field}"]`);
  if (at && at.textContent !== text) at.textContent = text;
}

function show(root, campaign) {
  const totals = campaign.totals;
  const all = Object.values(totals).reduce((sum, n) => sum + n, 0);
  const settled = all - totals.pending - totals.sending - totals.cancelled;
  const percent = all === 0 ? 0 : Math.floor((settled * 100) / all);
  const progress = root.querySelector('[data-field="progress"]');
  if (progress) progress.value = percent;
  put(root, "percent", `${percent} %`);
  put(root, "total", grouped(all));
  for (const [name, count] of Object.entries(totals)) {
    const at = root.querySelector(`[data-total="${name}"]`);
    if (!at) continue;
    at.textContent = grouped(count);
    at.parentElement.classList.toggle("none", count === 0);
  }
  for (const message of campaign.messages) {
    const row = root.querySelector(`[data-message="${message.n}"]`);
    if (!row) continue;
    const t = message.totals;
    put(row, "sent", grouped(t.sent + t.delivered + t.undelivered));
    put(row, "failed", grouped(t.failed + t.undelivered));
    put(row, "pending", grouped(t.pending + t.sending));
  }
}

// Loads the page's live part anew, in place: what is open or typed elsewhere stays.
let refreshing = null;
function refresh() {
  refreshing ??= (async () => {
    try {
      const address = new URL(location.href);
      address.searchParams.delete("did");
      const answer = await fetch(address, { headers: { accept: "text/html" } });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
      const old = document.getElementById("live");
      if (answer.ok && fresh && old && !old.querySelector("details[open]")) {
        localTimes(fresh);
        old.replaceWith(fresh);
      }
    } finally {
      refreshing = null;
    }
  })();
  return refreshing;
}

function keepTrue() {
  const live = document.getElementById("live");
  if (!live?.dataset.live) return;
  const waits = new Map();
  let events = null;
  function campaignChanged(event) {
    const campaign = JSON.parse(event.data);
    const root = document.querySelector(`[data-campaign="${campaign.id}"]`);
    if (!root) {
      if (document.querySelector('[data-live="index"]')) refresh();
      return;
    }
    show(root, campaign);
    const waiting = JSON.stringify(campaign.waiting);
    const before = waits.get(campaign.id);
    waits.set(campaign.id, waiting);
    if (root.dataset.status !== campaign.status || (before !== undefined && before !== waiting)) refresh();
  }
  // Only a page that is looked at is connected: browsers allow few connections, and one may have many tabs.
  // A lost connection is made again by the browser itself; either way the server says "reload" first.
  function connect() {
    if (document.hidden || events) return;
    events = new EventSource("/api/v1/events");
    events.addEventListener("campaign", campaignChanged);
    events.addEventListener("error", () => {
      // The browser itself tries again, but not after an answer that is no stream.
      if (events?.readyState !== EventSource.CLOSED) return;
      events = null;
      setTimeout(connect, 2000);
    });
    // Refreshed only where something changed since what is shown was read.
    events.addEventListener("reload", (event) => {
      const shown = document.getElementById("live")?.dataset.seen;
      if (shown !== undefined && shown !== event.data) refresh();
    });
    events.addEventListener("routes", () => {
      if (live.dataset.live === "routes") refresh();
    });
    for (const kind of ["import", "webhook"]) {
      events.addEventListener(kind, (event) => {
        if (live.dataset.live === kind && live.dataset.id === JSON.parse(event.data).id) refresh();
      });
    }
  }
  function disconnect() {
    events?.close();
    events = null;
  }
  document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
  window.addEventListener("pagehide", disconnect);
  window.addEventListener("pageshow", connect);
  connect();
  // The chart and the history grow more slowly than the totals.
  if (live.dataset.live === "details") {
    setInterval(() => { if (!document.hidden && document.getElementById("live")?.dataset.status === "running") refresh(); }, 10000);
  }
}

// What is rare among many is looked for in stretches: while there was nothing, the next one is looked at by itself.
const further = document.querySelector("[data-look-on]");
if (further) location.replace(further.href);

// The editor: only the fields that the choice needs, placeholders by click, counts and samples while one types.
function showKind(select) {
  const set = select.closest("fieldset");
  for (const part of set.querySelectorAll("[data-kind]")) part.hidden = part.dataset.kind !== select.value;
}

function editMessage(set, form) {
  const text = set.querySelector("textarea");
  const preview = set.querySelector("[data-preview]");
  const chips = set.querySelector(".chips");
  const plain = set.querySelector('[name="plain"]');
  chips.hidden = false;
  chips.addEventListener("click", (event) => {
    const field = event.target.dataset.insert;
    if (!field) return;
    const fallback = field === "first_name" ? ' | default("there")' : "";
    text.setRangeText(`{{ ${field}${fallback} }}`, text.selectionStart, text.selectionEnd, "end");
    text.focus();
    // Like what is typed: counted, shown, kept as a draft.
    text.dispatchEvent(new Event("input", { bubbles: true }));
  });
  let latest = 0;
  async function look() {
    const mine = ++latest;
    await new Promise((done) => setTimeout(done, 200));
    if (mine !== latest) return;
    const asked = new URLSearchParams({ text: text.value, campaign: form.dataset.campaign, see: form.elements.see.value });
    if (plain.checked) asked.set("plain", "yes");
    const answer = await fetch("/preview", { method: "POST", body: asked });
    if (!answer.ok || mine !== latest) return;
    // The server's own page part, as it stands there without a script.
    const seen = new DOMParser().parseFromString(await answer.text(), "text/html");
    preview.replaceChildren(...seen.body.childNodes);
  }
  text.addEventListener("input", look);
  plain.addEventListener("change", look);
  form.elements.see.addEventListener("input", look);
}

// What is typed and not yet saved outlives an accident: a closed tab, a lost connection.
function keepDraft(form) {
  const key = `draft-${form.dataset.draft}`;
  const state = () => JSON.stringify([...new FormData(form)].filter(([name]) => name !== "action" && name !== "version" && name !== "over"));
  const saved = state();
  const draft = localStorage.getItem(key);
  if (draft === saved) localStorage.removeItem(key);
  else if (draft) {
    const offer = document.getElementById("draft").content.firstElementChild.cloneNode(true);
    const take = offer.querySelector("button");
    take.addEventListener("click", () => {
      const left = new Map();
      for (const [name, value] of JSON.parse(draft)) left.set(name, [...(left.get(name) ?? []), value]);
      for (const input of form.elements) {
        if (!left.has(input.name) && input.type !== "checkbox") continue;
        if (input.type === "checkbox" || input.type === "radio") input.checked = (left.get(input.name) ?? []).includes(input.value);
        else if (input.name !== "version" && input.type !== "submit") input.value = left.get(input.name).shift() ?? input.value;
      }
      for (const select of form.querySelectorAll('select[name="kind"]')) showKind(select);
      offer.remove();
    });
    form.prepend(offer);
  }
  form.addEventListener("input", () => localStorage.setItem(key, state()));
}

for (const select of document.querySelectorAll('select[name="kind"]')) {
  showKind(select);
  select.addEventListener("change", () => showKind(select));
}
for (const form of document.querySelectorAll("form[data-draft]")) {
  keepDraft(form);
  for (const set of form.querySelectorAll("fieldset.message")) editMessage(set, form);
}

// One open menu at a time; Escape and a click elsewhere close it.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
// A form is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) event.preventDefault();
  else if (form.method === "post") form.dataset.sent = "1";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

localTimes(document);
keepTrue();
