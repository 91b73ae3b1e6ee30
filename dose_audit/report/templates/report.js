// Puts each interactive chart in the place of its drawing; without JavaScript the drawings stay.
(function () {
  "use strict";
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  // Colours of marks that would not be seen on a dark ground, and what stands for them there.
  const lit = { "#1d2b36": "#e6edf2", "#5b6b78": "#a9b8c4", "#dde3e8": "#2c3a45", "#b3261e": "#ff8078", "#00729c": "#5cbbe0", "#c4410c": "#ff9a70", "#5a4fa0": "#b3a8f5", "#0072b2": "#4da6dd", "#ffffff": "#1a242c",
    "#d55e00": "#ff9a4d", "#009e73": "#3fd0a4", "#8c5aa8": "#c9a6e3", "#b07d00": "#e3b341", "#56789a": "#9dbbd8", "#a3475d": "#e79bad", "#4d7a3a": "#98c982",
    "#e6eff7": "#22323e", "#08519c": "#9ad4ff" };
  let told = document.getElementById("specs").textContent;
  if (dark) told = told.replace(/"(#[0-9a-f]{6})"/g, (whole, colour) => (lit[colour] ? '"' + lit[colour] + '"' : whole));
  const specs = JSON.parse(told);
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
