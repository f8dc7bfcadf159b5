// A log: follows it as it is written, and shows other parts of it in place. Its rows come from the server, escaped there.
(() => {
  const MOST_ROWS = 2000;
  const card = document.getElementById("log-card");
  if (!card) return;
  const part = (id) => document.getElementById(id);
  const lines = () => part("log");
  const atEnd = () => lines().scrollHeight - lines().scrollTop - lines().clientHeight < 40;
  const toEnd = () => { lines().scrollTop = lines().scrollHeight; };
  let shown = Number(card.dataset.total), newest = shown, ended = !("tail" in card.dataset), source = card.dataset.source;
  let following = false, turns = 0, stream, timer;

  function setFollowing(now) {
    following = now && !ended;
    part("log-follow").setAttribute("aria-pressed", String(following));
    part("log-follow").hidden = ended;
    tellNew();
  }

  function tellNew() {
    const count = newest - shown;
    part("log-new").hidden = following || !count;
    part("log-new").textContent = `${count.toLocaleString("en")} new line${count === 1 ? "" : "s"}`;
  }

  function choose(row) {
    lines().querySelector(".log-chosen")?.classList.remove("log-chosen");
    row.classList.add("log-chosen");
  }

  // Another part of the log, in place of what is there. A part that says where the search goes on is followed at once.
  async function show(query) {
    const turn = ++turns;
    setFollowing(false);
    const fresh = await fetched(query);
    if (turn !== turns) return;
    if (!fresh) return location.assign(`${location.pathname}${query}#log`);
    adopt(fresh);
    history.replaceState(null, "", `${location.pathname}${query}`);
    place(new URLSearchParams(query));
    const on = card.querySelector("[data-place=proceed]");
    if (on) await show(on.search);
  }

  async function fetched(query) {
    const answer = await read(card.dataset.fragment + query, { headers: { "HX-Request": "true" } });
    return answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("log-card") : null;
  }

  function adopt(fresh) {
    for (const id of ["log-note", "log-places", "log"]) part(id).replaceWith(fresh.querySelector(`#${id}`));
    part("log-sentence").textContent = fresh.querySelector("#log-sentence").textContent;
    newest = shown = Number(fresh.dataset.total);
    source = fresh.dataset.source;
    ended = !("tail" in fresh.dataset);
    card.dataset.tail = fresh.dataset.tail ?? "";
    setFollowing(following);
  }

  // Another run has another log.
  async function renew() {
    if (!following && !ended) return;
    const fresh = await fetched("?");
    if (!fresh || (fresh.dataset.source === source && "tail" in fresh.dataset === !ended)) return;
    adopt(fresh);
    toEnd();
    setFollowing(true);
    open();
  }

  function place(query) {
    const chosen = lines().querySelector(".log-chosen");
    if (chosen) lines().scrollTop = chosen.offsetTop - lines().clientHeight / 2;
    else if (!query.has("after") && !query.has("at")) toEnd();
  }

  async function followOn() {
    await show(card.querySelector("[data-place=end]").search || "?");
    setFollowing(true);
    open();
  }

  function take(frame) {
    newest = frame.last;
    if (!following) return tellNew();
    const made = document.createElement("template");
    made.innerHTML = frame.rows;
    const only = card.querySelector("[name=stream]").value;
    if (only) for (const row of [...made.content.children]) if (row.dataset.stream !== only) row.remove();
    if (frame.skipped) lines().append(skipped(frame.skipped));
    lines().append(made.content);
    shown = newest;
    tidy();
    part("log-sentence").textContent = `Up to line ${shown.toLocaleString("en")}`;
    toEnd();
  }

  function skipped(count) {
    const row = document.createElement("div"), link = document.createElement("a");
    row.className = "log-line log-berth";
    link.href = `?after=${shown}#log`;
    link.textContent = `${count.toLocaleString("en")} lines skipped, show them`;
    row.append(link);
    return row;
  }

  // As on a terminal: what its stream's next line was written over goes. And only so many rows stay.
  function tidy() {
    const later = new Set();
    for (const row of [...lines().children].reverse()) {
      if ("returned" in row.dataset && later.has(row.dataset.stream)) row.remove();
      later.add(row.dataset.stream);
    }
    while (lines().childElementCount > MOST_ROWS) lines().firstElementChild.remove();
    const first = lines().querySelector("[id]"), older = card.querySelector("[data-place=older]");
    if (first) older.search = older.search.replace(/before=\d+/, `before=${first.id.slice(1)}`);
  }

  function open() {
    close();
    if (ended || document.hidden) return;
    stream = new EventSource(`${card.dataset.tail}?after=${newest}`);
    stream.onmessage = (event) => take(JSON.parse(event.data));
    stream.addEventListener("end", () => { ended = true; setFollowing(false); close(); });
    stream.onerror = () => {
      if (stream.readyState === EventSource.CLOSED) timer = setTimeout(open, 5000);
    };
  }

  function close() {
    clearTimeout(timer);
    stream?.close();
  }

  card.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
    if (link.matches(".log-number")) {
      event.preventDefault();
      choose(link.closest(".log-line"));
      history.replaceState(null, "", link.hash);
    } else if (link.closest("#log-places, #log") && link.hash === "#log") {
      event.preventDefault();
      link.dataset.place === "end" && !ended ? followOn() : show(link.search || "?");
    }
  });
  card.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const filled = [...new FormData(event.target)].filter(([, value]) => value);
    show(`?${new URLSearchParams(filled)}`);
  });
  card.addEventListener("scroll", () => { if (following && !atEnd()) setFollowing(false); }, true);
  part("log-follow").addEventListener("click", () => (following ? setFollowing(false) : followOn()));
  part("log-new").addEventListener("click", followOn);
  document.body.addEventListener(card.dataset.topic, renew);
  document.addEventListener("visibilitychange", open);
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());

  const named = /^#L(\d+)$/.exec(location.hash), row = named && part(`L${named[1]}`);
  if (row) choose(row);
  else if (named) show(`?line=${named[1]}`);
  if (!named || row) place(new URLSearchParams(location.search));
  setFollowing("atEnd" in card.dataset && !named);
  open();
})();
