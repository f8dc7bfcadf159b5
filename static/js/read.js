// What only reads is asked for again when no answer came: a browser drops what it has not sent yet whenever a network of
// its machine comes or goes, be it a cable, a VPN or that of a container.
async function read(address, request, waits = [100, 500, 2000]) {
  try {
    return await fetch(address, request);
  } catch (error) {
    if (request.signal?.aborted || !waits.length) throw error;
    await new Promise((done) => setTimeout(done, waits[0]));
    return read(address, request, waits.slice(1));
  }
}

document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
  if (ctx.request.method === "GET") ctx.fetch = (address, request) => read(address, request);
});
