// Puts the parts that the server has rendered anew into the page. The server decides what changed; nothing is computed here.
"use strict";
(() => {
  const stream = document.body.dataset.stream;
  if (!stream) return;
  const live = document.getElementById("live");
  let lost = 0;

  function say(state) {
    live.textContent = live.dataset[state];
    live.className = "live " + (state === "live" ? "on" : state === "connecting" ? "" : "off");
  }

  // Whoever is on a link in this part, or has text of it selected, keeps both.
  function swap(part, html) {
    const selected = document.getSelection();
    if (selected && !selected.isCollapsed && part.contains(selected.anchorNode)) return;
    const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    part.innerHTML = html;
    if (focused) {
      const same = [...part.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused);
      if (same) same.focus({ preventScroll: true });
    }
  }

  function listen() {
    const source = new EventSource(stream);
    source.addEventListener("parts", (event) => {
      clearTimeout(lost);
      lost = 0;
      say("live");
      for (const [name, html] of Object.entries(JSON.parse(event.data))) {
        const part = document.querySelector(`[data-part="${name}"]`);
        if (part) swap(part, html);
      }
    });
    source.addEventListener("ended", () => {
      source.close();
      say("ended");
    });
    source.addEventListener("error", () => {
      // A short break is no news: the browser is already trying again.
      if (!lost) lost = setTimeout(() => say("lost"), 3000);
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
    });
  }

  say("connecting");
  listen();
})();
