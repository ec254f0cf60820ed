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
  mode: { caller_id: 'Caller ID mode', ivr: 'IVR mode' },
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

/** ago says a span of time in words that do not change too often. */
function ago(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  return s < 3600 ? `${Math.floor(s / 60)} min` : `${Math.floor(s / 3600)} h`;
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

