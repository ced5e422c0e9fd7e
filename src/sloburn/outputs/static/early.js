// Runs before the first paint, so that a chosen theme does not flash.
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  try {
    root.dataset.theme = localStorage.getItem("sloburn.theme") ?? "auto";
    root.dataset.zone = localStorage.getItem("sloburn.zone") ?? "utc";
  } catch {
    root.dataset.theme = "auto"; // storage is forbidden: the switches work until the page is left
    root.dataset.zone = "utc";
  }
})();
