// Keeps an open page true: server-sent events carry each campaign as it then is.
"use strict";

const words = { in_doubt: "in doubt" };

function put(root, field, text) {
  const at = root.querySelector(`[data-field="${field}"]`);
  if (at && at.textContent !== text) at.textContent = text;
}

function show(root, campaign) {
  const totals = campaign.totals;
  const all = Object.values(totals).reduce((sum, n) => sum + n, 0);
  const settled = all - totals.pending - totals.sending;
  const percent = all === 0 ? 0 : Math.floor((settled * 100) / all);
  const status = root.querySelector('[data-field="status"]');
  if (status) {
    status.textContent = campaign.status;
    status.className = `status ${campaign.status}`;
  }
  const progress = root.querySelector('[data-field="progress"]');
  if (progress) progress.value = percent;
  put(root, "percent", `${percent} %`);
  put(root, "audience", String(campaign.audience));
  put(root, "total", String(all));
  for (const [name, count] of Object.entries(totals)) {
    const at = root.querySelector(`[data-total="${words[name] || name}"]`);
    if (at) at.textContent = String(count);
  }
  for (const message of campaign.messages) {
    const row = root.querySelector(`[data-message="${message.n}"]`);
    if (!row) continue;
    const t = message.totals;
    put(row, "sent", String(t.sent + t.delivered + t.undelivered));
    put(row, "pending", String(t.pending));
  }
  const waiting = root.querySelector('[data-field="waiting"]');
  if (waiting) {
    waiting.replaceChildren(...campaign.waiting.map((w) => {
      const item = document.createElement("li");
      item.textContent = w.reason + (w.detail ? `: ${w.detail}` : "") + (w.until ? ` until ${local(w.until)}` : "");
      return item;
    }));
  }
}

function local(at) {
  return new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

for (const time of document.querySelectorAll("time")) time.textContent = local(time.dateTime);

if (document.querySelector("[data-live]")) {
  let opened = false;
  const events = new EventSource("/api/v1/events");
  events.addEventListener("campaign", (event) => {
    const campaign = JSON.parse(event.data);
    const root = document.querySelector(`[data-campaign="${campaign.id}"]`);
    if (root) show(root, campaign);
    else if (document.querySelector('[data-live="index"]')) location.reload();
  });
  events.addEventListener("reload", () => {
    // The first one comes with the connection; a later one says that something was missed.
    if (opened) location.reload();
    opened = true;
  });
}
