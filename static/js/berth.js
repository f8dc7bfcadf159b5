// What works better with a script: times in the reader's zone, the theme button and copying a token.
(() => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  document.cookie = `zone=${zone}; path=/; max-age=31536000; samesite=lax`;

  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.scheme ? root.dataset.scheme === "dark" : system.matches);

  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const next = isDark() ? "light" : "dark";
    root.dataset.scheme = next;
    document.cookie = `theme=${next}; path=/; max-age=31536000; samesite=lax`;
  });

  const offerCopies = () => {
    for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
  };
  offerCopies();
  document.addEventListener("htmx:after:swap", offerCopies);
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).value);
    document.getElementById("announce").textContent = "Copied";
    button.textContent = "Copied";
  });
})();
