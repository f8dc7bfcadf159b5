// The log of a workspace as it is written. Lines are put in as text, never as markup.
(() => {
  const MOST_LINES = 5000;
  const log = document.getElementById("log");
  const follow = document.getElementById("log-follow");
  let after = Number(log.dataset.after) || 0;
  let stream, timer, ended = !log.dataset.stream;

  const atEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const toEnd = () => { log.scrollTop = log.scrollHeight; };
  const following = () => follow.getAttribute("aria-pressed") === "true";

  function element(name, text, className = "") {
    const made = document.createElement(name);
    made.textContent = text;
    made.className = className;
    return made;
  }

  function line(iso, kind, text) {
    const row = element("div", "", `log-line log-${/^\w+$/.test(kind) ? kind : "stdout"}`);
    const time = element("time", iso.slice(11, 19));
    time.dateTime = iso;
    row.append(time, " ", element("span", text));
    return row;
  }

  function take(frame) {
    const stay = atEnd();
    log.querySelector(".log-empty")?.remove();
    if (frame.skipped) log.append(element("div", `${frame.skipped} lines skipped; they are in the whole log`, "log-line log-berth"));
    log.append(...frame.lines.map(([, iso, kind, text]) => line(iso, kind, text)));
    while (log.childElementCount > MOST_LINES) log.firstElementChild.remove();
    after = frame.last;
    if (stay) toEnd();
  }

  function open() {
    close();
    if (ended || document.hidden || !following()) return;
    stream = new EventSource(`${log.dataset.stream}?after=${after}`);
    stream.onmessage = (event) => take(JSON.parse(event.data));
    stream.addEventListener("end", () => { ended = true; follow.hidden = true; close(); });
    stream.onerror = () => {
      if (stream.readyState === EventSource.CLOSED) timer = setTimeout(open, 5000);
    };
  }

  function close() {
    clearTimeout(timer);
    stream?.close();
  }

  follow.hidden = ended;
  follow.addEventListener("click", () => {
    follow.setAttribute("aria-pressed", String(!following()));
    if (following()) toEnd();
    open();
  });
  document.addEventListener("visibilitychange", open);
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());

  toEnd();
  open();
})();
