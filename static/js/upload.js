// Uploads in pieces that go on where they stood, after a lost connection as well as after a reload of the page.
(() => {
  if (document.querySelector("[data-being-made]")) setTimeout(() => location.reload(), 3000);

  const PIECE = 8 * 1024 * 1024;
  const form = document.getElementById("upload");
  const list = document.getElementById("uploads");
  if (!form) return;
  const token = form.elements.csrfmiddlewaretoken.value;
  const say = (text) => { document.getElementById("announce").textContent = text; };
  const rest = (ms) => new Promise((done) => setTimeout(done, ms));
  const headers = (more = {}) => ({ "Tus-Resumable": "1.0.0", "X-CSRFToken": token, ...more });
  const encoded = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

  // What the server refuses for good; all else is a connection that may come back.
  class Refused extends Error {}

  async function ask(method, url, more, body, signal) {
    const answer = await fetch(url, { method, headers: headers(more), body, signal, redirect: "error" });
    if (answer.ok || [409, 423, 404].includes(answer.status)) return answer;
    if (answer.status >= 500 && answer.status !== 507) throw new Error(answer.statusText);
    throw new Refused(await answer.text() || `The upload was refused (${answer.status}).`);
  }

  const remembered = (file) => `upload ${form.dataset.create} ${file.name} ${file.size} ${file.lastModified}`;

  async function create(file, signal) {
    const told = { "Upload-Length": String(file.size), "Upload-Metadata": `filename ${encoded(file.name)}` };
    const answer = await ask("POST", form.dataset.create, told, undefined, signal);
    if (!answer.ok) throw new Refused(await answer.text());
    const url = answer.headers.get("Location");
    if (file.size) localStorage.setItem(remembered(file), url);
    return url;
  }

  // Where it stands; null when the server knows nothing of it.
  async function offset(url, signal) {
    const answer = await ask("HEAD", url, {}, undefined, signal);
    return answer.ok ? Number(answer.headers.get("Upload-Offset")) : null;
  }

  async function pieces(file, url, at, row, signal) {
    while (at < file.size) {
      row.show(at);
      const more = { "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(at) };
      const answer = await ask("PATCH", url, more, file.slice(at, at + PIECE), signal);
      if (!answer.ok) throw new Error("It stands elsewhere");
      at = Number(answer.headers.get("Upload-Offset"));
    }
  }

  async function upload(file, row, signal) {
    let url = localStorage.getItem(remembered(file));
    for (let failures = 0; ; ) {
      try {
        let at = url ? await offset(url, signal) : null;
        if (at === null) {
          url = await create(file, signal);
          at = 0;
        }
        await pieces(file, url, at, row, signal);
        localStorage.removeItem(remembered(file));
        return row.done();
      } catch (error) {
        if (signal.aborted || error instanceof Refused) throw error;
        failures += 1;
        row.wait(Math.min(30, 2 ** failures));
        await rest(1000 * Math.min(30, 2 ** failures));
      }
    }
  }

  const element = (name, text = "") => Object.assign(document.createElement(name), { textContent: text });

  function added(file, abort) {
    const item = element("li");
    const bar = Object.assign(element("progress"), { max: file.size || 1, value: 0 });
    bar.setAttribute("aria-label", `Upload of ${file.name}`);
    const text = element("span", "Waits");
    const cancel = Object.assign(element("button", "Cancel"), { type: "button", className: "btn btn-sm" });
    cancel.setAttribute("aria-label", `Cancel the upload of ${file.name}`);
    cancel.addEventListener("click", () => abort.abort());
    item.append(element("b", file.name), bar, text, cancel);
    list.append(item);
    return {
      show(at) { bar.value = at; text.textContent = `${Math.floor((100 * at) / file.size)} %`; },
      wait(seconds) { text.textContent = `The connection is lost; it goes on in ${seconds} s`; },
      done() { bar.value = bar.max; text.textContent = "Here"; cancel.remove(); },
      fail(sentence) { text.textContent = sentence; text.className = "field-error"; cancel.remove(); say(`${file.name}: ${sentence}`); },
    };
  }

  async function run(file) {
    const abort = new AbortController();
    const row = added(file, abort);
    try {
      await upload(file, row, abort.signal);
      return true;
    } catch (error) {
      const url = localStorage.getItem(remembered(file));
      localStorage.removeItem(remembered(file));
      if (url) fetch(url, { method: "DELETE", headers: headers() }).catch(() => {});
      row.fail(error instanceof Refused ? error.message : "Cancelled");
      return false;
    }
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    const files = [...form.elements.files.files];
    button.disabled = true;
    list.hidden = false;
    list.replaceChildren();
    say(`${files.length} to upload`);
    let all = true;
    for (const file of files) all = (await run(file)) && all;
    button.disabled = false;
    if (all) location.assign(location.pathname.replace("/form/", "/browse/"));
  });

  addEventListener("beforeunload", (event) => {
    if (form.querySelector("[type=submit]").disabled) event.preventDefault();
  });
})();
