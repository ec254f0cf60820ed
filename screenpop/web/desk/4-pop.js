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
