/*
 * What the screens need of a script: they follow the machine, warn a silent user, and have number keys for the PIN.
 * Nothing is stored in the browser; what was typed is wiped when the screen is left.
 */
"use strict";

(() => {
  const EVERY_MS = 500;
  const WARN_MS = 15_000;
  const body = document.body;
  const pin = document.getElementById("pin");
  const warning = document.getElementById("warning");
  const progress = document.getElementById("progress");

  const wipe = () => { if (pin) pin.value = ""; };
  window.addEventListener("pagehide", wipe);
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.replace("/"); });

  const touch = () => fetch("/touch", { method: "POST", headers: { "X-Token": body.dataset.token } })
    .then(() => { warning.hidden = true; }, () => undefined);
  let touched = performance.now();
  const active = () => {
    if (performance.now() - touched < 5_000 && warning.hidden) return;
    touched = performance.now();
    touch();
  };
  document.addEventListener("keydown", active);
  document.addEventListener("pointerdown", active);
  document.getElementById("stay").addEventListener("click", touch);

  const follow = async () => {
    const response = await fetch("/state").catch(() => null);
    if (!response || !response.ok) return;
    const now = await response.json();
    if (now.key !== body.dataset.state) { wipe(); location.replace("/"); return; }
    if (progress && now.total) { progress.max = now.total; progress.value = now.done; }
    warning.hidden = now.left_ms === null || now.left_ms > WARN_MS || now.finished;
  };
  if (body.dataset.state) setInterval(follow, EVERY_MS);

  const keys = document.getElementById("keys");
  if (keys && pin) {
    keys.hidden = false;
    for (const key of keys.querySelectorAll("[data-digit]")) {
      key.addEventListener("click", () => { if (pin.value.length < 4) pin.value += key.dataset.digit; });
    }
    keys.querySelector("[data-clear]").addEventListener("click", wipe);
  }
})();
