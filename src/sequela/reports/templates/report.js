"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("chart-data").textContent);

  const draw = (container) => {
    if (container.dataset.drawn) return;
    container.dataset.drawn = "yes";
    window
      .vegaEmbed(container, charts[Number(container.dataset.chart)], {
        mode: "vega-lite",
        renderer: "svg",
        actions: false,
      })
      .catch((error) => {
        container.textContent = `This chart can't be drawn: ${error.message}`;
      });
  };

  // A chart takes the width of its container, so charts in collapsed details are drawn when they are opened.
  const drawVisible = () => {
    for (const container of document.querySelectorAll("[data-chart]")) {
      if (!container.closest("details:not([open])")) draw(container);
    }
  };
  for (const details of document.querySelectorAll("details")) details.addEventListener("toggle", drawVisible);
  drawVisible();
})();
