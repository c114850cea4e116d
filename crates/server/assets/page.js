// Keeps an open page true: server-sent events carry each campaign as it then is. Everything here only adds to
// what the pages do without it.
"use strict";

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

const language = document.documentElement.lang;
// How the reader writes times and numbers, as far as that goes with the language of the page.
const locale = navigator.languages.find((one) => one.split("-")[0] === language) ?? language;
const grouped = (n) => n.toLocaleString(language);
const percentage = (n) => (n / 100).toLocaleString(locale, { style: "percent" });

// An instant in the reader's zone, or a time on some clock as it is: "Today 9:00 AM", "Nov 26, 9:00 AM", with the year where
// it is another.
function local(at) {
  const time = (of) => of.toLocaleTimeString(locale, { timeStyle: "short" });
  if (/^\d\d:\d\d/.test(at)) return time(new Date(`2000-01-01T${at}`));
  const then = new Date(at);
  const day = (of) => new Date(of.getFullYear(), of.getMonth(), of.getDate());
  const away = Math.round((day(then) - day(new Date())) / 86400000);
  if (Math.abs(away) <= 1) {
    const near = new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(away, "day");
    return `${near.charAt(0).toLocaleUpperCase(language)}${near.slice(1)} ${time(then)}`;
  }
  const year = then.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return then.toLocaleString(locale, { year, month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
}

function localTimes(root) {
  for (const time of root.querySelectorAll("time")) {
    time.title = time.dateTime.replace("T", " ").replace(/Z$/, " UTC");
    time.textContent = local(time.dateTime);
  }
  const short = (at) => new Date(at).toLocaleTimeString(locale, { timeStyle: "short" });
  for (const text of root.querySelectorAll("[data-at]:not(input)")) {
    const at = new Date(text.dataset.at);
    const day = "days" in text.dataset ? `${at.toLocaleDateString(locale, { month: "short", day: "numeric" })} ` : "";
    text.textContent = day + short(at);
  }
  for (const title of root.querySelectorAll("[data-says]")) {
    title.textContent = `${short(title.dataset.from)} – ${short(title.dataset.to)}: ${title.dataset.says}`;
  }
  const city = zone.split("/").pop().replaceAll("_", " ");
  for (const line of root.querySelectorAll("[data-zone-line]")) {
    line.textContent = line.dataset.zoneLine.replace("%", city);
    line.title = zone;
  }
}

// Forms ask for times in the zone that pages show them in, and say so.
function localForms() {
  for (const name of document.querySelectorAll("input[data-zone-of]")) {
    const at = name.parentElement.querySelector("input[data-at]");
    if (!name.value && at?.dataset.at) {
      const there = new Date(at.dataset.at);
      at.value = new Date(there - there.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
    }
    if (!name.value || !at) name.value = zone;
    const shown = name.parentElement.querySelector("[data-zone-name]");
    if (shown) shown.textContent = name.value;
  }
  // A zone that is asked for is most likely the one where the browser is.
  for (const name of document.querySelectorAll("input[data-own-zone]")) name.value ||= zone;
}

function put(root, field, text) {
  const at = root.querySelector(`[data-field="${field}"]`);
  if (at && at.textContent !== text) at.textContent = text;
}

function show(root, campaign) {
  const totals = campaign.totals;
  const all = Object.values(totals).reduce((sum, n) => sum + n, 0);
  const unsettled = document.getElementById("main").dataset.unsettled.split(" ");
  const settled = unsettled.reduce((left, name) => left - (totals[name] ?? 0), all);
  const percent = all === 0 ? 0 : Math.floor((settled * 100) / all);
  const progress = root.querySelector('[data-field="progress"]');
  if (progress) progress.value = percent;
  put(root, "percent", percentage(percent));
  put(root, "settled", grouped(settled));
  put(root, "total", grouped(all));
  for (const figure of root.querySelectorAll("[data-sum]")) {
    if (!figure.dataset.sum) continue;
    const words = figure.dataset.sum.split(" ");
    figure.textContent = grouped(words.reduce((sum, name) => sum + (totals[name] ?? 0), 0));
  }
  for (const [name, count] of Object.entries(totals)) {
    const at = root.querySelector(`[data-total="${name}"]`);
    if (!at) continue;
    at.textContent = grouped(count);
    at.parentElement.classList.toggle("none", count === 0);
  }
  for (const message of campaign.messages ?? []) {
    const row = root.querySelector(`[data-message="${message.n}"]`);
    if (!row) continue;
    for (const [name, count] of Object.entries(message.totals)) {
      const at = row.querySelector(`[data-outcome="${name}"]`);
      if (at) at.textContent = grouped(count);
    }
  }
}

// Makes `old` read as `fresh` does, node by node: what stays the same stays where it is, with its focus and selection.
function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  const own = (name) => name === "open" || name === "data-sent";
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !own(name)) old.removeAttribute(name);
  for (const { name, value } of [...fresh.attributes]) if (old.getAttribute(name) !== value && !own(name)) old.setAttribute(name, value);
  let at = old.firstChild;
  for (const node of [...fresh.childNodes]) {
    const part = node.dataset?.part;
    const same = part ? [...old.children].find((child) => child.dataset.part === part) : at?.dataset?.part ? null : at;
    if (!same) {
      old.insertBefore(node, at);
      continue;
    }
    while (at && at !== same) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
    at = same.nextSibling;
    morph(same, node);
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

// What is shown may be out of date, and the page says so.
function lost(how) {
  const at = document.getElementById("lost");
  if ((at.dataset.how ?? "") === how || at.dataset.how === "signed-out") return;
  at.dataset.how = how;
  at.replaceChildren(...(how ? document.getElementById(`lost-${how}`).content.cloneNode(true).childNodes : []));
}

// Loads the page's live part anew, in place: what is open or typed stays, and so does where one was.
let refreshing = null;
function refresh() {
  refreshing ??= (async () => {
    try {
      const address = new URL(location.href);
      address.searchParams.delete("did");
      // An answer that never comes must not keep later changes away.
      const answer = await fetch(address, { headers: { accept: "text/html" }, signal: AbortSignal.timeout(15000) });
      if (answer.redirected && new URL(answer.url).pathname === "/sign-in") return lost("signed-out");
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
      const old = document.getElementById("live");
      if (!answer.ok || !fresh || !old) return;
      localTimes(fresh);
      morph(old, fresh);
    } catch {
      lost("offline");
    } finally {
      refreshing = null;
    }
  })();
  return refreshing;
}

// Tabs of one browser share a session.
const signedOut = new BroadcastChannel("signed-out");

function keepTrue() {
  const live = document.getElementById("live");
  if (!live?.dataset.live) return;
  const waits = new Map();
  let events = null;
  // Chart, reasons and history follow the totals within a second or two, however often these change.
  let soon = null;
  function refreshSoon() {
    soon ??= setTimeout(() => refresh().finally(() => (soon = null)), 1000);
  }
  function campaignChanged(event) {
    const campaign = JSON.parse(event.data);
    const root = document.querySelector(`[data-campaign="${campaign.id}"]`);
    if (!root) {
      if (["index", "overview"].includes(live.dataset.live)) refresh();
      return;
    }
    show(root, campaign);
    if (["details", "overview"].includes(live.dataset.live)) refreshSoon();
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
    events.addEventListener("open", () => lost(""));
    events.addEventListener("error", () => {
      // A connection that is made again at once was no loss.
      setTimeout(() => events?.readyState === EventSource.OPEN || document.hidden || look(), 1500);
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
      if (["routes", "overview"].includes(live.dataset.live)) refresh();
    });
    for (const kind of ["import", "webhook"]) {
      events.addEventListener(kind, (event) => {
        if (live.dataset.live === kind && live.dataset.id === JSON.parse(event.data).id) refresh();
      });
    }
  }
  // Whether there is a server, and whether it still knows who looks.
  async function look() {
    try {
      const answer = await fetch("/account", { redirect: "manual" });
      if (answer.type === "opaqueredirect" || answer.status === 401) lost("signed-out");
      else if (!answer.ok || events?.readyState !== EventSource.OPEN) lost("offline");
    } catch {
      lost("offline");
    }
  }
  window.addEventListener("offline", () => lost("offline"));
  // Another tab was signed out; an ended session is noticed within half a minute.
  signedOut.addEventListener("message", () => lost("signed-out"));
  setInterval(() => document.hidden || look(), 30000);
  function disconnect() {
    events?.close();
    events = null;
  }
  document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
  window.addEventListener("pagehide", disconnect);
  window.addEventListener("pageshow", connect);
  connect();
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
// The side bar is a menu where there is no room for it.
const wide = matchMedia("(min-width: 64rem)");
const side = document.getElementById("menu");
const unfold = () => side && (side.open = wide.matches);
wide.addEventListener("change", unfold);
unfold();
localForms();
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
// The search of a page is a key away, and filters apply as they are chosen.
document.addEventListener("keydown", (event) => {
  const wanted = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!wanted || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, [contenteditable]")) return;
  event.preventDefault();
  wanted.focus();
});
for (const form of document.querySelectorAll("form[role=search]")) {
  form.addEventListener("change", (event) => event.target.matches(".sheet select, .sheet [type=checkbox]") && form.requestSubmit());
}
// The actions of a campaign in a list are fetched when they are asked for, and open beside their button.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-menu]");
  if (!button) return;
  event.preventDefault();
  const answer = await fetch(button.dataset.menu);
  if (!answer.ok || answer.redirected) return location.assign(button.href);
  const part = new DOMParser().parseFromString(await answer.text(), "text/html");
  const sheet = document.getElementById("actions");
  sheet.replaceChildren(...part.body.childNodes);
  sheet.showPopover();
  const [at, size] = [button.getBoundingClientRect(), sheet.getBoundingClientRect()];
  sheet.style.left = `${Math.max(0, at.right - size.width)}px`;
  sheet.style.top = `${Math.max(0, Math.min(at.bottom, innerHeight - size.height))}px`;
  sheet.querySelector("a, button")?.focus();
});
// A form is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) event.preventDefault();
  else if (form.method === "post") form.dataset.sent = "1";
  if (new URL(form.action).pathname === "/sign-out") signedOut.postMessage("out");
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// What was done is said once: neither a reload nor a copied address says it again.
const here = new URL(location.href);
if (here.searchParams.has("did")) {
  here.searchParams.delete("did");
  history.replaceState(history.state, "", here);
}
localTimes(document);
keepTrue();
