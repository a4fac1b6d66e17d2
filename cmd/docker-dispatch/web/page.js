'use strict';
(() => {
  const page = document.body.dataset, lost = document.getElementById('lost'), at = document.getElementById('at'), log = document.getElementById('log');
  let source, skew = 0, heard = Date.now();

  const age = ms => { // as age in page_view.go
    const s = Math.max(0, Math.floor(ms / 1000)), m = Math.floor(s / 60), h = Math.floor(m / 60);
    return s < 60 ? s + ' s' : m < 60 ? m + ' min' : h < 48 ? h + ' h ' + m % 60 + ' min' : Math.floor(h / 24) + ' d ' + h % 24 + ' h';
  };
  const ages = root => {
    for (const t of root.querySelectorAll('time')) {
      const text = age(Date.now() + skew - Date.parse(t.dateTime));
      if (!t.firstChild) t.append(text);
      else if (t.firstChild.data !== text) t.firstChild.data = text;
    }
  };

  // morph gives an element the attributes and the children of another one. What is the same stays untouched: it keeps the
  // focus, the selection and its place.
  const morph = (old, next) => {
    for (const a of next.attributes) if (old.getAttribute(a.name) !== a.value) old.setAttribute(a.name, a.value);
    for (const a of [...old.attributes]) if (!next.hasAttribute(a.name) && a.name !== 'open') old.removeAttribute(a.name);
    const wanted = new Set([...next.children].map(c => c.id));
    for (const c of [...old.children]) if (c.id && !wanted.has(c.id)) c.remove();
    const rows = new Map([...old.children].map(c => [c.id, c]));
    let at = old.firstChild;
    for (const n of [...next.childNodes]) {
      const same = n.id ? rows.get(n.id) : at && !at.id && at.nodeName === n.nodeName ? at : null;
      if (!same) {
        old.insertBefore(n, at);
        continue;
      }
      if (same === at) at = at.nextSibling;
      else old.insertBefore(same, at);
      if (n.nodeType === Node.ELEMENT_NODE) morph(same, n);
      else if (same.data !== n.data) same.data = n.data;
    }
    while (at) {
      const last = at;
      at = at.nextSibling;
      last.remove();
    }
  };

  const update = e => {
    const news = JSON.parse(e.data);
    if (news.Version !== page.version) return location.reload();
    heard = Date.now();
    skew = Date.parse(news.At) - heard;
    lost.hidden = true;
    at.textContent = news.At.slice(11, 19) + ' UTC';
    for (const [id, html] of Object.entries(news.Sections ?? {})) {
      const old = document.getElementById(id), next = old.cloneNode();
      next.append(...new DOMParser().parseFromString(html, 'text/html').body.childNodes);
      ages(next);
      morph(old, next);
    }
    const title = document.querySelector('[data-title]')?.dataset.title;
    if (title && title !== document.title) document.title = title;
    follow();
  };

  // A page that nobody sees has no stream: browsers have only six connections to a server.
  const connect = () => {
    source?.close();
    if (document.hidden) return;
    source = new EventSource(page.url);
    source.onmessage = update;
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) setTimeout(connect, 5000); };
  };
  document.addEventListener('visibilitychange', () => {
    heard = Date.now();
    connect();
  });
  setInterval(() => {
    ages(document);
    if (document.hidden || !lost.hidden || Date.now() - heard < 5000) return;
    lost.textContent = `Not updated since ${at.textContent}. Trying again.`;
    lost.hidden = false;
  }, 1000);

  let followed = '', size = 0;
  const say = text => {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(text);
    for (size += text.length; size > 2e6; log.firstChild.remove()) size -= log.firstChild.length;
    if (atEnd) log.scrollTop = log.scrollHeight;
  };
  // follow shows the log of the job's present container, once it has one.
  const follow = async () => {
    const container = document.querySelector('[data-log]')?.dataset.log;
    if (!container || container === followed) return;
    followed = container;
    log.className = 'followed';
    try {
      const answer = await fetch(log.dataset.href), text = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      log.textContent = '';
      size = 0;
      for (let piece; !(piece = await text.read()).done;) {
        if (container !== followed) return text.cancel();
        say(piece.value);
      }
    } catch {
      if (container !== followed) return;
      say('\n--- the connection was lost; trying again\n');
      setTimeout(() => { followed = ''; follow(); }, 5000);
    }
  };

  ages(document);
  connect();
  follow();
})();
