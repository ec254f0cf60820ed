// ---- the desk

const cards = new Map(); // call -> card
const met = new Set(JSON.parse(sessionStorage.getItem('met') || '[]')); // PopIDs that were announced
const gone = new Set(JSON.parse(sessionStorage.getItem('gone') || '[]')); // cards that were put away
let leaving = false;
let second = null; // the tab that the agent armed

const keep = (name, set) => sessionStorage.setItem(name, JSON.stringify([...set].slice(-200)));
const keyOf = (v) => `${v.call} ${v.pop || ''}`;
const running = (v) => v.state !== 'ended';
/** over tells that a call's wrap-up has passed. */
const over = (v) => !running(v) && serverNow() - Date.parse(v.since) > wrapUp;
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
  setText(c.age, running(v) ? age(serverNow() - Date.parse(v.since)) : '');
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
  c.about.classList.toggle('box', Boolean(v.opens === 'ticket' || v.opens === 'popup'));
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

