// Runs in a copy of the page: says what is drawn where, and uses it as people do.
addEventListener("load", () => setTimeout(() => {
  const tip = document.getElementById("tip"), steps = [...document.querySelectorAll(".step")];
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const channels = (colour) => {
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  // WCAG 2.2, contrast ratio.
  const luminance = (colour) => channels(colour).map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const surface = getComputedStyle(document.getElementById("chart")).backgroundColor;
  const seen = {
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    page: channels(getComputedStyle(document.body).backgroundColor),
    resources: performance.getEntriesByType("resource").length,
    lanes: [...document.querySelectorAll(".lane h3")].map((title) => title.textContent),
    busy: document.querySelector(".busy path").getBoundingClientRect().height,
    rows: [...document.querySelectorAll("tbody tr:not(.sum):not(.group)")].map((row) => row.cells[0].textContent),
    drawn: steps.map((step) => {
      const bar = step.querySelector("rect").getBoundingClientRect(), axis = step.querySelector("svg").getBoundingClientRect();
      const what = step.querySelector(".what");
      return {
        name: what.querySelector("b").textContent, failed: step.classList.contains("failed"),
        cut: what.querySelector("b").getBoundingClientRect().right > what.getBoundingClientRect().right,
        from: (bar.left - axis.left) / axis.width, width: bar.width / axis.width,
        contrast: contrast(getComputedStyle(step.querySelector("rect")).fill, surface),
        text: contrast(getComputedStyle(what).color, surface),
      };
    }),
    steps: {},
  };
  const said = () => ({ shown: !tip.hidden, text: tip.textContent, stops: document.querySelectorAll(".step[tabindex='0']").length });
  steps[0].focus();
  seen.steps.focused = said();
  steps[0].dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true, cancelable: true }));
  seen.steps.moved = { ...said(), at: steps.indexOf(document.activeElement) };
  document.activeElement.blur();
  seen.steps.left = said();
  steps.at(-1).dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: innerWidth - 5, clientY: innerHeight - 5 }));
  const box = tip.getBoundingClientRect();
  seen.steps.hovered = { ...said(), inside: box.right <= innerWidth && box.bottom <= innerHeight };
  const report = document.createElement("pre");
  report.id = "report";
  report.textContent = encodeURIComponent(JSON.stringify(seen));
  document.body.append(report);
}, 100));
