"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("chart-data").textContent);

  const draw = (place) => {
    if (place.dataset.drawn) return;
    place.dataset.drawn = "yes";
    window
      .vegaEmbed(place, charts[Number(place.dataset.chart)], {
        mode: "vega-lite",
        renderer: "svg",
        actions: false,
      })
      .catch((error) => {
        place.textContent = `This chart can't be drawn: ${error.message}`;
      });
  };

  // A chart takes the width of its place, so one that is folded away waits until it is opened.
  const drawVisible = () => {
    for (const place of document.querySelectorAll("[data-chart]")) {
      if (!place.closest("details:not([open])")) draw(place);
    }
  };
  for (const fold of document.querySelectorAll("details")) fold.addEventListener("toggle", drawVisible);
  drawVisible();
})();
