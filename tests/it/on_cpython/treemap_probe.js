// Runs in a copy of the page: says what is drawn where, and uses the map as people do.
addEventListener("load", () => setTimeout(() => {
  const map = document.getElementById("map"), tip = document.getElementById("tip");
  const query = document.getElementById("query");
  const tiles = () => [...map.children];
  const tileOf = (path) => tiles().find((tile) => tile.node.path === path);
  const press = (key, target = document.activeElement) =>
    target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const where = () => ({
    hash: location.hash, trail: document.getElementById("trail").innerText, tiles: map.children.length,
    outside: tiles().filter((tile) => !tile.node.path.startsWith("lib/python3.13/")).length,
    title: document.getElementById("listing-title").textContent,
    rows: document.getElementById("listing").tBodies[0].rows.length,
    focused: document.activeElement?.node?.path ?? document.activeElement?.tagName,
    stops: map.querySelectorAll("[tabindex='0']").length,
  });

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

  const box = map.getBoundingClientRect();
  const drawn = tiles().map((tile) => {
    const { left, top, width, height } = tile.getBoundingClientRect();
    const label = tile.querySelector(".label");
    const text = label?.firstChild?.textContent ?? "";
    return {
      path: tile.node.path, up: tile.node.up.path, upPart: tile.node.up.part, part: tile.node.part, file: !tile.node.c,
      size: tile.node.s, frame: tile.classList.contains("frame"), isPart: Boolean(tile.node.p),
      x: left, y: top, w: width, h: height, text,
      role: tile.getAttribute("role"), label: tile.getAttribute("aria-label"), level: Number(tile.getAttribute("aria-level")),
      background: channels(getComputedStyle(tile).backgroundColor),
      contrast: label ? contrast(getComputedStyle(label).color, getComputedStyle(tile).backgroundColor) : null,
    };
  });
  const seen = {
    window: [innerWidth, innerHeight],
    map: { x: box.left, y: box.top, w: box.width, h: box.height },
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    page: channels(getComputedStyle(document.body).backgroundColor),
    resources: performance.getEntriesByType("resource").length,
    drawn, steps: {},
  };

  const asyncio = tileOf("lib/python3.13/asyncio");
  const at = asyncio.getBoundingClientRect();
  tileOf("lib/python3.13").focus({ focusVisible: true });
  seen.steps.under = document.elementFromPoint(at.left + at.width / 2, at.top + at.height / 2).closest(".tile").node.path;
  asyncio.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: at.left + 9, clientY: at.top + 9 }));
  seen.steps.hovered = { shown: !tip.hidden, text: tip.innerText };
  asyncio.click();
  seen.steps.clicked = where();
  press("Escape");
  seen.steps.escaped = where();
  press("ArrowRight");
  seen.steps.moved = where();
  press("ArrowLeft");
  press("Enter");
  seen.steps.entered = where();
  [...document.querySelectorAll("#trail button")][0].click();
  seen.steps.back = where();
  press("/", document.body);
  seen.steps.slash = document.activeElement.id;
  query.value = "_SSL";
  query.dispatchEvent(new Event("input", { bubbles: true }));
  seen.steps.found = {
    text: document.getElementById("found").textContent,
    files: tiles().filter((tile) => tile.matches(".hit:not(.frame)")).map((tile) => tile.node.path),
  };
  press("Escape", query);
  seen.steps.cleared = { query: query.value, finding: map.classList.contains("finding") };
  [...document.querySelectorAll("#listing button")].find((button) => button.textContent === "Extension modules").click();
  seen.steps.listed = where();

  tiles()[2].focus();
  seen.steps.focused = where();
  map.style.height = "500px";
  setTimeout(() => {
    seen.steps.resized = { ...where(), height: Math.max(...tiles().map((tile) => tile.offsetTop + tile.offsetHeight)) };
    const report = document.createElement("pre");
    report.id = "report";
    report.textContent = encodeURIComponent(JSON.stringify(seen));
    document.body.append(report);
  }, 200);
}, 200));
