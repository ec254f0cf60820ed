// The agent's desk and the page behind a link. Everything that came from a
// caller is put in as text, never as markup.

// Texts, in one place; a second language is a second object.
const T = {
  connecting: 'Connecting…',
  live: 'Live',
  lost: 'Reconnecting…',
  out: 'Signed out',
  banner: (time, age) => `Connection lost. You see what was known at ${time}, ${age} ago. Trying again by ourselves…`,
  bannerNew: 'No connection yet. Trying again by ourselves…',
  signedOut: 'You have been signed out. Your calls go on.',
  signIn: 'Sign in',
  crowded: 'Your desk is open in too many places. Close one, and this one comes to life.',
  noCall: 'No call right now',
  noCallDo: 'The next one appears here by itself, with its caller.',
  state: { ringing: 'Ringing', talking: 'Talking', held: 'On hold', ended: 'Ended' },
  mode: { caller_id: 'Caller ID', ivr: 'IVR' },
  cause: {
    transfer: 'Transferred', answered_elsewhere: 'Answered elsewhere', no_answer: 'Missed',
    caller_gave_up: 'Missed: the caller gave up', lost: 'Lost sight of this call', expired: 'Lost sight of this call',
  },
  with: (name) => `With ${name} now`,
  withheld: 'Number withheld',
  noNumber: 'No caller ID',
  unknown: 'Not in the directory yet',
  looking: 'Looking in the directory…',
  several: (n) => `${n} people share this number. Ask who is calling.`,
  called: 'Called',
  ticket: 'Ticket',
  ticketState: { open: 'Open', closed: 'Closed' },
  foreign: 'This ticket belongs to another organization. Check who is calling.',
  noTicket: 'No call exists against that call number',
  keyed: 'Keyed',
  nothing: 'No caller ID and no call number to go by',
  degraded: 'The call’s record is still being written; it can be opened in a moment.',
  open: { ticket: 'Open ticket', caller_info: 'Open caller', popup: 'Open call', pending: 'Open call' },
  opening: 'Opening…',
  openFailed: 'That did not open. Please try again.',
  away: 'Put away',
  ended: 'Just ended',
  enter: 'Enter',
  arm: 'Open calls in a second tab by themselves',
  armed: 'Calls open in the second tab by themselves',
  disarm: 'Stop',
  sayRinging: (who) => `Ringing: ${who}`,
  sayAnswered: (who, what) => `You answered ${who}. ${what}`,
  sayEnded: (who) => `Call ended: ${who}`,
  sayUpdated: 'The details of this call were updated.',
  app: 'Ringlink',
  desk: 'Desk',
};

const $ = (id) => document.getElementById(id);
const page = document.body.dataset;
const wrapUp = 30_000; // ms that an ended call stays
const silence = 40_000; // ms without a heartbeat (due every 15 s) after which the connection is dead
let skew = 0; // server's clock minus ours, ms
const serverNow = () => Date.now() + skew;

/** el makes an element; strings become text. */
function el(tag, props = {}, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(props)) {
    if (k in e) e[k] = v;
    else e.setAttribute(k, v);
  }
  e.append(...children);
  return e;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
  node.hidden = text === '';
}

function age(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, '0');
  if (s < 3600) return `${Math.floor(s / 60)}:${two(s % 60)}`;
  return `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}

const post = (path) => fetch(path, { method: 'POST', cache: 'no-store', redirect: 'error' });
const popPath = (pop, verb) => `/api/pops/${encodeURIComponent(pop)}/${verb}`;
const sleep = (ms) => new Promise((done) => {
  const t = setTimeout(finish, ms);
  function finish() {
    clearTimeout(t);
    removeEventListener('online', finish);
    document.removeEventListener('visibilitychange', finish);
    done();
  }
  addEventListener('online', finish);
  document.addEventListener('visibilitychange', finish);
});

// ---- the stream: one tab of the browser holds it, the others listen to that tab

const tabs = new BroadcastChannel(`ringlink/${page.desk}`);
let leading = false;
let lastID = '';
let last = { calls: [], link: 'connecting', heard: 0 }; // what a new tab is told

function tell(message) {
  tabs.postMessage(message);
  take(message);
}

tabs.onmessage = ({ data }) => {
  if (data.kind === 'ask') {
    if (leading) tabs.postMessage({ kind: 'all', skew, ...last });
    return;
  }
  if (!leading) take(data);
};

/** take handles a message, from our own stream or from the leading tab. */
function take(m) {
  if (m.skew !== undefined) skew = m.skew;
  switch (m.kind) {
    case 'all':
      last = { calls: m.calls, link: m.link, heard: m.heard };
      showState(m.calls);
      showLink();
      break;
    case 'state':
      last.calls = m.data;
      showState(m.data);
      break;
    case 'call': {
      const at = last.calls.findIndex((c) => c.call === m.data.call);
      if (at < 0) last.calls.push(m.data);
      else last.calls[at] = m.data;
      showCall(m.data);
      break;
    }
    case 'link':
      last.link = m.link;
      last.heard = m.heard;
      showLink();
  }
}

async function lead() {
  leading = true;
  let wait = 500;
  for (;;) {
    const began = Date.now();
    const link = await readStream();
    if (last.link !== link) tell({ kind: 'link', link, heard: last.heard });
    if (Date.now() - began > 20_000) wait = 500;
    await sleep(wait * (0.5 + Math.random()));
    wait = Math.min(wait * 2, 10_000);
  }
}

/** readStream reads until the stream ends and says what the link is then. */
async function readStream() {
  const stop = new AbortController();
  let heard = Date.now();
  const watch = setInterval(() => {
    if (Date.now() - heard > silence) stop.abort();
  }, 5000);
  try {
    const headers = lastID ? { 'Last-Event-ID': lastID } : {};
    const res = await fetch('/api/stream', { headers, cache: 'no-store', redirect: 'error', signal: stop.signal });
    if (res.status === 401 || res.status === 403) return 'out';
    if (res.status === 429) return 'crowded';
    if (!res.ok) return 'lost';
    if (res.headers.get('Ringlink-Desk') !== page.desk) { // somebody else signed in here
      leaving = true;
      location.reload();
    }
    const off = Date.parse(res.headers.get('Date')) - Date.now();
    skew = Math.abs(off) > 2000 ? off : 0;
    const reader = res.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 'lost';
      heard = Date.now();
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop();
      blocks.forEach(takeBlock);
      last.heard = heard;
      if (last.link !== 'live') tell({ kind: 'link', link: 'live', heard, skew });
    }
  } catch {
    return 'lost';
  } finally {
    clearInterval(watch);
  }
}

function takeBlock(block) {
  const field = { id: '', event: '', data: '' };
  for (const line of block.split('\n')) {
    const at = line.indexOf(': ');
    if (at > 0) field[line.slice(0, at)] = line.slice(at + 2);
  }
  if (field.id) lastID = field.id;
  if (field.event === 'state' || field.event === 'call') {
    tell({ kind: field.event, data: JSON.parse(field.data), skew });
  }
}

function showLink() {
  const chip = $('link');
  const link = last.link === 'crowded' ? 'lost' : last.link;
  chip.dataset.link = link;
  setText(chip, T[link]);
  showBanner();
}

/** showBanner tells what to make of a page that is not live. */
function showBanner() {
  const b = $('banner');
  b.hidden = last.link === 'live' || last.link === 'connecting';
  if (b.hidden) return;
  if (last.link === 'out') {
    if (!b.querySelector('a')) {
      const next = page.page === 'desk' ? '/login' : `/login?next=${encodeURIComponent(location.pathname)}`;
      b.replaceChildren(T.signedOut, ' ', el('a', { href: next }, T.signIn));
    }
    return;
  }
  if (last.link === 'crowded') return setText(b, T.crowded);
  if (!last.heard) return setText(b, T.bannerNew);
  // The age changes each second; a screen reader hears the banner once.
  b.setAttribute('aria-live', 'off');
  setText(b, T.banner(new Date(last.heard).toLocaleTimeString(), age(Date.now() - last.heard)));
}

// ---- the desk

const cards = new Map(); // call -> card
const met = new Set(JSON.parse(sessionStorage.getItem('met') || '[]')); // PopIDs that were announced
const gone = new Set(JSON.parse(sessionStorage.getItem('gone') || '[]')); // cards that were put away
let leaving = false;
let second = null; // the tab that the agent armed

const keep = (name, set) => sessionStorage.setItem(name, JSON.stringify([...set].slice(-200)));
const keyOf = (v) => `${v.call} ${v.pop || ''}`;
const running = (v) => v.state !== 'ended';
const inCall = (v) => v.state === 'talking' || v.state === 'held';

function who(v) {
  if (v.person) return v.person;
  if (v.callerName && !v.withheld && !(v.candidates > 1) && !v.organization) return v.callerName;
  if (v.caller) return v.caller;
  return v.withheld ? T.withheld : T.noNumber;
}

/** about says what the call is about, in a line. */
function about(v) {
  if (v.pending) return T.looking;
  if (v.opens === 'ticket') return `${T.ticket} ${v.ticket}`;
  if (v.opens === 'popup') return v.callNumber ? T.noTicket : T.nothing;
  if (v.candidates > 1) return '';
  if (!v.person && !v.organization && v.caller) return T.unknown;
  return '';
}

function showState(calls) {
  if (page.page === 'pop') return refreshPop();
  const now = new Set(calls.map((v) => v.call));
  for (const [call, card] of cards) if (!now.has(call)) remove(call, card);
  calls.forEach(showCall);
  tidy();
}

function showCall(v) {
  if (page.page === 'pop') {
    if (v.pop === page.pop) refreshPop();
    return;
  }
  let card = cards.get(v.call);
  if (gone.has(keyOf(v)) || (!running(v) && v.cause === 'answered_elsewhere' && !v.pop)) {
    if (card) remove(v.call, card);
    return tidy();
  }
  const before = card?.v;
  if (!card) {
    card = makeCard();
    cards.set(v.call, card);
  }
  card.v = v;
  fill(card);
  place(card);
  announce(v, before);
  drawn(card);
  tidy();
}

function makeCard() {
  const c = {
    state: el('span', { className: 'tag state' }), mode: el('span', { className: 'tag mode' }),
    age: el('time', { className: 'age' }), name: el('bdi'), number: el('bdi', { className: 'number' }),
    org: el('bdi'), note: el('p', { className: 'note' }), aboutText: el('span'), aboutNumber: el('bdi', { className: 'number' }),
    ticketTitle: el('bdi', { className: 'title' }), ticketState: el('span', { className: 'tag' }),
    called: el('bdi', { className: 'number' }), calledOrg: el('bdi'), calledLabel: el('span', {}, T.called),
    fault: el('p', { className: 'fault', role: 'alert', hidden: true }), openLabel: el('span'),
    key: el('kbd', { 'aria-hidden': 'true', hidden: true }, T.enter),
  };
  c.about = el('p', { className: 'about' }, c.aboutText, ' ', c.aboutNumber, ' ', c.ticketState, c.ticketTitle);
  c.sub = el('p', { className: 'sub' }, c.number, c.org);
  c.via = el('p', { className: 'via' }, c.calledLabel, ' ', c.called, c.calledOrg);
  c.open = el('button', { className: 'main', type: 'button' }, c.openLabel, c.key);
  c.away = el('button', { className: 'quiet', type: 'button' }, T.away);
  c.acts = el('p', { className: 'acts' }, c.open, c.away);
  c.item = el('li', { className: 'card' },
    el('p', { className: 'tags' }, c.state, c.mode, c.age), el('h2', {}, c.name), c.sub, c.about, c.note, c.via, c.fault, c.acts);
  c.open.addEventListener('click', () => openPop(c));
  c.away.addEventListener('click', () => putAway(c));
  return c;
}

function fill(c) {
  const v = c.v;
  Object.assign(c.item.dataset, { call: v.call, state: v.state, pop: v.pop || '', popState: v.popState || '', opens: v.opens || '' });
  const moved = v.to ? T.with(v.to) : T.cause[v.cause];
  setText(c.state, !running(v) && moved ? moved : T.state[v.state] || v.state);
  setText(c.mode, v.pop ? T.mode[v.mode] || '' : '');
  const name = who(v);
  setText(c.name, name);
  setText(c.number, v.caller && v.caller !== name ? v.caller : '');
  setText(c.org, v.organization || '');
  c.sub.hidden = c.number.hidden && c.org.hidden;
  fillAbout(c, v);
  setText(c.called, v.dialled || '');
  setText(c.calledOrg, v.dialledOrganization || '');
  c.via.hidden = c.called.hidden && c.calledOrg.hidden;
  setText(c.note, v.foreign ? T.foreign : v.candidates > 1 ? T.several(v.candidates) : v.degraded && running(v) ? T.degraded : '');
  c.note.classList.toggle('warned', Boolean(v.foreign));
  c.open.hidden = !v.pop;
  c.open.disabled = Boolean(v.degraded);
  setText(c.openLabel, v.opens === 'ticket' ? `${T.open.ticket} ${v.ticket}` : T.open[v.opens] || T.open.popup);
  c.open.classList.toggle('main', running(v));
  c.away.hidden = running(v);
  c.acts.hidden = c.open.hidden && c.away.hidden;
}

function fillAbout(c, v) {
  setText(c.aboutText, v.opens === 'ticket' ? T.ticket : about(v));
  setText(c.aboutNumber, v.opens === 'ticket' ? v.ticket : v.callNumber || '');
  setText(c.ticketTitle, v.opens === 'ticket' ? v.ticketTitle || '' : '');
  setText(c.ticketState, v.opens === 'ticket' ? T.ticketState[v.ticketState] || '' : '');
  c.ticketState.className = `tag ${v.ticketState || ''}`;
  c.about.hidden = c.aboutText.hidden && c.aboutNumber.hidden;
}

/** place puts the card into its list, once; a card that is in use stays put. */
function place(c) {
  const list = running(c.v) ? $('calls') : $('ended');
  if (c.item.parentNode === list) return;
  const focused = c.item.contains(document.activeElement) ? document.activeElement : null;
  list.append(c.item);
  focused?.focus({ preventScroll: true });
}

function remove(call, c) {
  const had = c.item.contains(document.activeElement);
  c.item.remove();
  cards.delete(call);
  if (had) $('main').focus({ preventScroll: true });
}

function announce(v, before) {
  const name = who(v);
  if (v.state === 'ringing' && before?.state !== 'ringing') $('say-calm').textContent = T.sayRinging(name);
  if (!running(v) && before && running(before)) $('say-calm').textContent = T.sayEnded(name);
  if (!v.pop || !inCall(v) || met.has(v.pop)) return;
  met.add(v.pop);
  keep('met', met);
  $('say-now').textContent = T.sayAnswered(name, about(v));
  openBySelf(v);
}

/** drawn reports a pop once it has really been painted: not in a hidden tab. */
function drawn(c) {
  const pop = c.v.pop;
  if (!pop || c.drawn === pop) {
    if (pop && c.v.popState === 'offered') shown(c, pop);
    return;
  }
  c.drawn = pop;
  const received = performance.timeOrigin + performance.now();
  requestAnimationFrame(() => setTimeout(() => {
    performance.mark('ringlink:drawn', { detail: { pop } });
    c.item.dataset.receivedAt = received.toFixed(1);
    c.item.dataset.drawnAt = (performance.timeOrigin + performance.now()).toFixed(1);
    c.painted = pop;
    shown(c, pop);
  }));
}

async function shown(c, pop) {
  if (c.painted !== pop || c.reporting === pop) return;
  c.reporting = pop; // for good once it is known; cleared to be tried at the next message
  const res = await post(popPath(pop, 'shown')).catch(() => null);
  if (!res || res.status >= 500) c.reporting = '';
}

/** freshLink asks for a link that opens the pop once, within the minute. */
async function freshLink(pop) {
  const res = await post(popPath(pop, 'link'));
  if (!res.ok) throw new Error(await res.text());
  return (await res.json()).url;
}

/** openPop opens a pop in the second tab, on the agent's own click or key. */
async function openPop(c) {
  if (c.open.disabled) return;
  setText(c.fault, '');
  // Before the first await, while the browser still sees the click.
  const tab = window.open('', 'ringlink-pop');
  try {
    const url = await freshLink(c.v.pop);
    if (tab && !tab.closed) {
      tab.location.replace(url);
    } else {
      leaving = true;
      location.assign(url);
    }
  } catch {
    if (tab && tab.location.href === 'about:blank') tab.close();
    setText(c.fault, T.openFailed);
  }
}

async function putAway(c) {
  gone.add(keyOf(c.v));
  keep('gone', gone);
  remove(c.v.call, c);
  tidy();
  if (c.v.pop) await post(popPath(c.v.pop, 'acknowledge')).catch(() => null);
}

/** tidy keeps what depends on all cards together. */
function tidy() {
  const live = [...cards.values()].filter((c) => running(c.v));
  const empty = last.link !== 'connecting' && live.length === 0;
  $('empty').hidden = !empty;
  $('just-ended').hidden = cards.size === live.length;
  const first = current();
  for (const c of cards.values()) c.key.hidden = c !== first;
  const call = live.find((c) => inCall(c.v)) || live[0];
  document.title = call ? `${inCall(call.v) ? '●' : '☎'} ${who(call.v)} · ${T.app}` : `${T.desk} · ${T.app}`;
}

/** current is the pop that Enter opens: the first that was not opened yet. */
function current() {
  const open = [...cards.values()].filter((c) => running(c.v) && !c.open.hidden && !c.open.disabled);
  return open.find((c) => c.v.popState !== 'acknowledged') || open[0];
}

// ---- the second tab: only a tab that the agent opened by a click is ever filled

function openBySelf(v) {
  if (!second || second.closed || v.degraded) return;
  freshLink(v.pop).then((url) => second.location.replace(url)).catch(() => null);
}

function showSecond() {
  const armed = Boolean(second && !second.closed);
  const b = $('arm');
  b.setAttribute('aria-pressed', String(armed));
  setText(b, armed ? T.armed : T.arm);
}

function toggleSecond() {
  if (second && !second.closed) second = null;
  else second = window.open('/standby', 'ringlink-pop');
  showSecond();
}

function startDesk() {
  $('empty').append(el('p', { className: 'calm' }, T.noCall), el('p', {}, T.noCallDo));
  $('just-ended').prepend(el('h2', {}, T.ended));
  $('tools').append(el('button', { id: 'arm', className: 'quiet', type: 'button' }));
  $('tools').hidden = false;
  $('arm').addEventListener('click', toggleSecond);
  showSecond();
  document.addEventListener('keydown', (e) => {
    const free = e.target === document.body || e.target.id === 'main';
    if (e.key !== 'Enter' || e.repeat || e.altKey || e.ctrlKey || e.metaKey || !free) return;
    const c = current();
    if (c) openPop(c);
  });
  addEventListener('beforeunload', (e) => {
    if (!leaving && [...cards.values()].some((c) => inCall(c.v))) e.preventDefault();
  });
  setInterval(tick, 1000);
}

function tick() {
  const now = serverNow();
  for (const [call, c] of cards) {
    const since = Date.parse(c.v.since);
    setText(c.age, running(c.v) ? age(now - since) : '');
    if (!running(c.v) && now - since > wrapUp && !c.item.matches(':hover, :focus-within')) {
      remove(call, c);
      tidy();
    }
  }
  showSecond();
  if (!$('banner').hidden) showBanner();
}

// ---- the page behind a link: the server draws it, we ask for it again when the facts change

let asked = 0;
function refreshPop() {
  clearTimeout(asked);
  asked = setTimeout(async () => {
    const res = await fetch(location.pathname, { cache: 'no-store', redirect: 'error' }).catch(() => null);
    if (!res?.ok) return;
    const fresh = new DOMParser().parseFromString(await res.text(), 'text/html').getElementById('window');
    if (fresh && swap($('window'), fresh)) $('say-calm').textContent = T.sayUpdated;
  }, 50);
}

/** swap brings in the parts that differ and leaves the others, and the focus, alone. */
function swap(old, fresh) {
  localTimes(fresh);
  const parts = (root) => [...root.children].filter((e) => e.dataset.part);
  old.dataset.state = fresh.dataset.state;
  const a = parts(old);
  const b = parts(fresh);
  const same = a.length === b.length && a.every((e, i) => e.dataset.part === b[i].dataset.part);
  if (!same) {
    old.replaceChildren(...b);
    return true;
  }
  let changed = false;
  a.forEach((e, i) => {
    if (e.outerHTML === b[i].outerHTML) return;
    const focus = e.contains(document.activeElement) ? document.activeElement.tagName : '';
    e.replaceWith(b[i]);
    if (focus) b[i].querySelector(focus)?.focus({ preventScroll: true });
    changed = true;
  });
  return changed;
}

/** localTimes shows times in the agent's own zone. */
function localTimes(root) {
  for (const t of root.querySelectorAll('time[data-clock]')) {
    t.textContent = new Date(t.dateTime).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  }
  for (const t of root.querySelectorAll('time[data-day]')) {
    t.textContent = new Date(t.dateTime).toLocaleDateString([], { dateStyle: 'medium' });
  }
}

function startPop() {
  localTimes(document);
  requestAnimationFrame(() => setTimeout(() => {
    performance.mark('ringlink:pop-drawn', { detail: { pop: page.pop } });
    $('window').dataset.drawnAt = (performance.timeOrigin + performance.now()).toFixed(1);
  }));
  setInterval(() => { if (!$('banner').hidden) showBanner(); }, 1000);
}

if (page.page === 'desk') startDesk();
else startPop();
showLink();
tabs.postMessage({ kind: 'ask' });
if (navigator.locks) navigator.locks.request(`ringlink/${page.desk}`, lead);
else lead();
