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
  $('empty').append(el('div', { className: 'rings' }), el('p', { className: 'calm' }, T.noCall), el('p', {}, T.noCallDo));
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
    if (over(c.v) && !c.item.matches(':hover, :focus-within')) {
      remove(call, c);
      tidy();
    }
  }
  showSecond();
  if (!$('banner').hidden) showBanner();
}

