// Light or dark: as the system has it, until the visitor chooses. Runs before the page is drawn, so that it does not flash.

(() => {
  const NAME = "remaster.theme";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try {
      return localStorage.getItem(NAME);
    } catch {
      return null;
    }
  };
  const isDark = () => (chosen() ? chosen() === "dark" : system.matches);

  function show() {
    root.dataset.theme = isDark() ? "dark" : "light";
    const button = document.getElementById("theme");
    if (button) button.setAttribute("aria-label", isDark() ? "Switch to light colours" : "Switch to dark colours");
  }

  function toggle() {
    const next = isDark() ? "light" : "dark";
    try {
      // Choosing what the system has is following the system again.
      if ((next === "dark") === system.matches) localStorage.removeItem(NAME);
      else localStorage.setItem(NAME, next);
    } catch {
      root.dataset.theme = next;
      return;
    }
    show();
  }

  show();
  system.addEventListener("change", show);
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", toggle);
    show();
  });
})();
