// Keeps the page live: listens to the server, fetches the live part of this view, and says when it last heard anything.
import { morph } from "./morph.js";

const STALE_MS = 5000;
const FETCH_MS = 900;
const root = document.documentElement;
const live = document.getElementById("live");

// --- times ---------------------------------------------------------------------------------------------------------

const STYLES = {
  seconds: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
  minutes: { hour: "2-digit", minute: "2-digit" },
  day: { day: "numeric", month: "short" },
};

function write(ms, style) {
  const zone = root.dataset.zone === "local" ? undefined : "UTC";
  const text = (options) => new Intl.DateTimeFormat("en-GB", { hourCycle: "h23", timeZone: zone, ...options }).format(ms);
  if (style) return text(STYLES[style]);
  const today = new Intl.DateTimeFormat("en-GB", { dateStyle: "short", timeZone: zone });
  const clock = text(STYLES.seconds);
  return today.format(ms) === today.format(Date.now()) ? clock : `${text(STYLES.day)} ${clock}`;
}

function writeTimes(element) {
  for (const node of element.querySelectorAll("[data-ms]:not(#live, .pulse-time)")) {
    const text = write(Number(node.dataset.ms), node.dataset.style);
    if (node.textContent !== text) node.textContent = text;
  }
}

// --- switches ------------------------------------------------------------------------------------------------------

const CHOICES = { theme: ["auto", "light", "dark"], zone: ["utc", "local"] };
const LABELS = { auto: "auto", light: "light", dark: "dark", utc: "UTC", local: "local" };

function label(button) {
  button.textContent = LABELS[root.dataset[button.dataset.switch]];
}

function turn(button) {
  const name = button.dataset.switch;
  const choices = CHOICES[name];
  root.dataset[name] = choices[(choices.indexOf(root.dataset[name]) + 1) % choices.length];
  try {
    localStorage.setItem(`sloburn.${name}`, root.dataset[name]);
  } catch {
    // storage is forbidden: the choice lasts until the page is left
  }
  label(button);
  writeTimes(document);
  showPulse();
}

async function copy(button) {
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "copied";
  } catch {
    document.getSelection().selectAllChildren(code); // no clipboard on plain HTTP: Ctrl-C is one key away
    button.textContent = "selected";
  }
  setTimeout(() => (button.textContent = "copy"), 1500);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.switch) return turn(button);
  if (button?.dataset.copy) return copy(button);
  const row = event.target.closest("[data-href]");
  const busy = event.target.closest("a, button") || !document.getSelection().isCollapsed;
  if (row && !busy && !event.defaultPrevented) location.assign(row.dataset.href);
});

// --- pulse ---------------------------------------------------------------------------------------------------------

const pulse = {
  box: document.querySelector(".pulse"),
  word: document.querySelector(".pulse-word"),
  time: document.querySelector(".pulse-time"),
  lost: document.querySelector(".lost"),
};
const heard = { server: Date.now(), numbers: Date.now() };

function trouble() {
  const now = Date.now();
  if (now - heard.server > STALE_MS) {
    return `Nothing heard from the server since ${write(heard.server)}. Is “sloburn serve” still running? Trying again …`;
  }
  if (now - heard.numbers > STALE_MS) {
    return `The server answers, but its numbers stand still since ${write(heard.numbers)}. Look at its log.`;
  }
  return "";
}

function showPulse() {
  const text = trouble();
  const zone = root.dataset.zone === "local" ? "" : " UTC";
  pulse.word.textContent = text ? "stale" : "live";
  pulse.time.textContent = write(heard.server, "seconds") + zone;
  pulse.time.dateTime = new Date(heard.server).toISOString();
  if (pulse.lost.textContent !== text) pulse.lost.textContent = text;
  pulse.lost.hidden = !text;
  document.body.classList.toggle("is-stale", Boolean(text));
}

// --- updates -------------------------------------------------------------------------------------------------------

let fetching = false;
let waiting = false;

async function update() {
  waiting = fetching || document.hidden;
  if (waiting) return;
  fetching = true;
  try {
    const address = new URL(location.href);
    address.searchParams.set("part", "live");
    address.hash = "";
    const answer = await fetch(address, { signal: AbortSignal.timeout(STALE_MS) });
    if (answer.status === 404) location.reload(); // the SLO is gone: the server's page says so
    if (!answer.ok) throw new Error(answer.statusText);
    show(await answer.text());
    heard.numbers = Date.now();
  } catch {
    // the pulse says it
  }
  setTimeout(() => {
    fetching = false;
    if (waiting) update();
  }, FETCH_MS);
}

function show(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").getElementById("live");
  if (!fresh) return;
  writeTimes(fresh);
  morph(live, fresh);
  document.title = live.dataset.title;
}

function listen() {
  const source = new EventSource("/api/v1/stream?view=summary");
  source.addEventListener("status", (event) => {
    heard.server = Date.now();
    if (document.hidden) {
      heard.numbers = heard.server;
      document.title = `${JSON.parse(event.data).summary.text} · sloburn`; // a tab in the background tells of a page
    }
    showPulse();
    update();
  });
  source.addEventListener("heartbeat", () => {
    heard.server = Date.now();
    showPulse();
  });
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    setTimeout(listen, 2000);
  });
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) update();
});

if (live) {
  document.querySelectorAll("[data-switch]").forEach(label);
  writeTimes(document);
  showPulse();
  listen();
  setInterval(showPulse, 1000);
}
