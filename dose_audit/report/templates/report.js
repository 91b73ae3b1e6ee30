// Puts each interactive chart in the place of its drawing; without JavaScript the drawings stay.
(function () {
  "use strict";
  const specs = JSON.parse(document.getElementById("specs").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  const ink = dark ? { label: "#a9b8c4", title: "#e6edf2", grid: "#2c3a45" } : null;
  const options = { actions: false, renderer: "svg", ast: true, mode: "vega-lite" };

  function draw(place) {
    const spec = specs[place.dataset.spec];
    if (ink) {
      const axis = { labelColor: ink.label, titleColor: ink.title, gridColor: ink.grid, domainColor: ink.grid, tickColor: ink.grid };
      spec.config.axis = Object.assign({}, spec.config.axis, axis);
      spec.config.legend = Object.assign({}, spec.config.legend, { labelColor: ink.title, titleColor: ink.label });
      spec.config.header = Object.assign({}, spec.config.header, { labelColor: ink.title });
    }
    const still = place.innerHTML;
    vegaEmbed(place, spec, options).then(
      function () { place.dataset.drawn = "yes"; },
      function (error) { place.innerHTML = still; place.dataset.drawn = "no"; console.error(error); }
    );
  }

  const places = Array.from(document.querySelectorAll(".drawing"));
  const near = new IntersectionObserver(function (entries) {
    entries.filter((entry) => entry.isIntersecting).forEach(function (entry) {
      near.unobserve(entry.target);
      draw(entry.target);
    });
  }, { rootMargin: "600px" });
  places.forEach((place) => near.observe(place));
})();
