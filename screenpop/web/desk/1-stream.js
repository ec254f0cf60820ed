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
    if (leading) tabs.postMessage({ kind: 'all', skew, ...last, calls: last.calls.filter((c) => !over(c)) });
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
      last.calls = last.calls.filter((c) => c === m.data || !over(c)); // a desk is open all day
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
      return 'lost'; // and nothing of theirs is shown or told here
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
  if (page.page === 'desk') tidy();
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
  setText(b, T.banner(new Date(last.heard).toLocaleTimeString(), ago(Date.now() - last.heard)));
}

