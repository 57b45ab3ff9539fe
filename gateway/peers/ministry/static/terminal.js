/*
 * What the pages need of a script: the idle lock and its warning, and the wipe of what is shown.
 *
 * Shown data (elements with data-shown) leaves the document when the screen locks, when its time is over, and when the page is
 * left; the server erases it from its memory by its own clock whatever happens here. Nothing is stored in the browser.
 * Elapsed time is taken from two clocks and the longer counts, so neither sleep nor a clock set back extends it.
 */
"use strict";

(() => {
  const WARN_MS = 60_000;
  const TOUCH_EVERY_MS = 20_000;
  const body = document.body;

  const stopwatch = () => {
    const wall = Date.now();
    const steady = performance.now();
    return () => Math.max(Date.now() - wall, performance.now() - steady);
  };

  const wipe = () => {
    for (const shown of document.querySelectorAll("[data-shown]")) shown.replaceChildren();
    for (const form of document.querySelectorAll("main form")) {
      for (const field of form.elements) {
        if (field.type === "text" || field.type === "password" || field.tagName === "TEXTAREA") field.value = "";
        if (field.type === "hidden" && field.hasAttribute("data-personal")) field.value = "";
      }
    }
  };

  window.addEventListener("pagehide", wipe);
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  const answer = document.querySelector("[data-erases-ms]");
  if (answer) {
    const elapsed = stopwatch();
    const limit = Number(answer.dataset.erasesMs);
    const left = document.querySelector("[data-time-left]");
    const tick = setInterval(() => {
      const rest = limit - elapsed();
      if (left) left.textContent = clock(rest);
      if (rest > 0) return;
      clearInterval(tick);
      wipe();
      const erased = document.querySelector("[data-erased]");
      erased.hidden = false;
      erased.focus();
    }, 500);
  }

  function clock(ms) {
    const seconds = Math.max(0, Math.ceil(ms / 1000));
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }

  const lockForm = document.getElementById("lock-form");
  if (lockForm) {
    const warning = document.getElementById("warning");
    const rest = document.getElementById("warning-rest");
    let elapsed = stopwatch();
    let limit = Number(body.dataset.lockMs);
    let touched = stopwatch();
    let locking = false;

    const lock = () => {
      if (locking) return;
      locking = true;
      wipe();
      lockForm.submit();
    };

    const touch = async () => {
      touched = stopwatch();
      const response = await fetch("/touch", {
        method: "POST",
        headers: { "X-Csrf": lockForm.elements.csrf.value },
        redirect: "manual",
      }).catch(() => null);
      if (!response) return; // the server is away: the countdown goes on
      if (!response.ok) { lock(); return; } // it has locked or ended the session already
      limit = (await response.json()).lock_ms;
      elapsed = stopwatch();
      warning.hidden = true;
    };

    const active = () => {
      if (!locking && touched() > (warning.hidden ? TOUCH_EVERY_MS : 0)) touch();
    };
    document.addEventListener("keydown", active);
    document.addEventListener("pointerdown", active);
    document.getElementById("warning-stay").addEventListener("click", touch);
    lockForm.addEventListener("submit", wipe);

    setInterval(() => {
      const left = limit - elapsed();
      if (left <= 0) { lock(); return; }
      if (left <= WARN_MS) {
        rest.textContent = clock(left);
        warning.hidden = false;
      }
    }, 500);
  }

  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  }
})();
