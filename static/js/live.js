// One stream of names per page: each becomes a DOM event on <body>, and the fragment that waits for it fetches itself.
(() => {
  const ring = (name) => document.body.dispatchEvent(new CustomEvent(name));
  const address = () => document.querySelector("[data-live]")?.dataset.live;
  const wanted = () => new Set([...document.querySelectorAll("[data-topic]")].map((one) => one.dataset.topic));
  const said = new Map();
  let stream, heard = new Set(), timer, failures = 0, missed = false;

  function open() {
    close();
    if (!address() || document.hidden) return;
    heard = wanted();
    stream = new EventSource(address());
    for (const topic of heard) stream.addEventListener(topic, () => ring(topic));
    stream.onopen = () => {
      if (missed) ring("live-reconnected");
      missed = false;
      failures = 0;
    };
    stream.onerror = () => {
      missed = true;
      if (stream.readyState === EventSource.CLOSED) retry();
    };
  }

  function close() {
    clearTimeout(timer);
    stream?.close();
  }

  // A refused stream may have an outdated address: the refetched page brings a fresh one, or leads to the sign-in page.
  function retry() {
    timer = setTimeout(() => {
      ring("live-reconnected");
      timer = setTimeout(open, 1000);
    }, Math.min(60000, 2000 * 2 ** failures++));
  }

  // A browser opens six connections to one origin at most, so a hidden tab gives its own back.
  document.addEventListener("visibilitychange", () => {
    missed = true;
    document.hidden ? close() : open();
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());

  document.addEventListener("htmx:after:swap", () => {
    if ([...wanted()].some((topic) => !heard.has(topic))) open();
    announce();
  });

  function announce() {
    const news = [];
    for (const one of document.querySelectorAll("[data-announce]")) {
      const text = one.dataset.announce;
      if (said.has(one.id) && said.get(one.id) !== text) news.push(text);
      said.set(one.id, text);
    }
    if (news.length) document.getElementById("announce").textContent = news.join(". ");
  }

  // An answer that came by way of a redirect is another page, such as the sign-in page, not the fragment.
  document.addEventListener("htmx:before:response", (event) => {
    if (!event.detail.ctx.response.raw.redirected) return;
    event.preventDefault();
    location.reload();
  });

  announce();
  open();
})();
