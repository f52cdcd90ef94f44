
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const map = $("map"), tip = $("tip"), query = $("query"), found = $("found");
  const root = JSON.parse($("data").textContent);

  // Nodes: n name, s size of a file, c content of a directory; a part also has p and its directory d.
  const prepare = (node, parent, part) => {
    node.up = parent;
    node.part = node.p ?? part;
    node.path = !parent ? "" : node.p ? node.d : [parent.path, node.n].filter(Boolean).join("/");
    node.files = 1;
    if (node.c) {
      node.s = 0;
      node.files = 0;
      for (const child of node.c) {
        prepare(child, node, node.part);
        node.s += child.s;
        node.files += child.files;
      }
    }
  };
  prepare(root, null, "");

  const size = (bytes) => bytes < 1000 ? `${bytes} B`
    : bytes < 999950 ? `${(bytes / 1e3).toFixed(1)} kB`
    : bytes < 999950000 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
  const percent = (part, whole) => whole ? `${(part * 100 / whole).toFixed(1)} %` : "– %";
  const count = (files) => files === 1 ? "1 file" : `${files} files`;
  const element = (tag, properties, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  // Squarified treemaps (Bruls, Huizing, van Wijk 2000): rows with the smallest worst aspect ratio.
  const squarify = (nodes, rect, place) => {
    let { x, y, w, h } = rect;
    nodes = nodes.filter((node) => node.s > 0);
    let left = nodes.reduce((sum, node) => sum + node.s, 0);
    let from = 0;
    while (from < nodes.length && w > 0 && h > 0) {
      const side = Math.min(w, h), scale = w * h / left;
      let to = from, sum = 0, worst = Infinity;
      while (to < nodes.length) {
        const next = sum + nodes[to].s, square = (next * scale) ** 2 / side ** 2;
        const ratio = Math.max(nodes[from].s * scale / square, square / (nodes[to].s * scale));
        if (ratio > worst) break;
        worst = ratio;
        sum = next;
        to += 1;
      }
      const thick = sum * scale / side;
      let along = 0;
      for (const node of nodes.slice(from, to)) {
        const long = node.s / sum * side;
        place(node, w >= h ? { x, y: y + along, w: thick, h: long } : { x: x + along, y, w: long, h: thick });
        along += long;
      }
      if (w >= h) { x += thick; w -= thick; } else { y += thick; h -= thick; }
      left -= sum;
      from = to;
    }
  };

  // Labels are shown in full, without the suffix, cut, or not at all where only a letter would fit.
  const family = getComputedStyle(document.body).fontFamily;
  const pen = document.createElement("canvas").getContext("2d");
  const width = (text, font) => {
    pen.font = `${font} ${family}`;
    return pen.measureText(text).width;
  };
  const fitting = (name, room, font) => {
    const stem = name.replace(/(\.cpython-[^.]*)?\.(pyc?|h|so(\.\d+)*)$/, "");
    return [name, stem].find((text) => width(text, font) <= room) ?? (room >= 46 ? stem : "");
  };

  let here = root, tiles = new Map(), current = null;

  const describe = (node) => {
    const name = node.p ? node.n : node.path || root.n;
    return `${name}, ${node.c ? `directory with ${count(node.files)}` : "file"}, ${size(node.s)}, ${percent(node.s, root.s)} of all`;
  };

  const draw = (node, rect, level) => {
    const { x, y, w, h } = rect;
    if (w < 1.5 || h < 1.5) return;
    const opened = node.c && w >= 26 && h >= 26;
    const tile = element("div", { className: "tile", tabIndex: -1 });
    tile.setAttribute("role", "treeitem");
    tile.setAttribute("aria-level", level);
    tile.setAttribute("aria-label", describe(node));
    tile.dataset.part = node.part;
    // The smaller a tile is compared with its siblings, the fainter its colour.
    tile.style.setProperty("--tone", `${Math.round(100 - 20 * (1 - Math.sqrt(node.s / node.up.c[0].s)))}%`);
    Object.assign(tile.style, { left: `${x}px`, top: `${y}px`, width: `${w}px`, height: `${h}px` });
    if (node.c) tile.classList.add("opens");
    if (node.p) tile.classList.add("part");
    tile.node = node;
    tiles.set(node, tile);
    map.append(tile);
    if (opened) {
      tile.setAttribute("aria-expanded", "true");
      tile.classList.add("frame");
      const font = node.p ? "600 13px" : "600 11.5px";
      const label = h >= 44 ? fitting(node.n, w - 12, font) : "";
      const head = label ? (node.p ? 22 : 18) : 3;
      if (label) {
        const amount = size(node.s);
        const room = w - 24 - width(label, font) - width(amount, font);
        tile.append(element("span", { className: "label" }, label, element("b", {}, room > 0 ? amount : "")));
      }
      squarify(node.c, { x: x + 3, y: y + head, w: w - 6, h: h - head - 3 }, (child, part) => draw(child, part, level + 1));
    } else if (w >= 24 && h >= 18) {
      const large = w >= 150 && h >= 64;
      tile.classList.toggle("large", large);
      const label = fitting(node.n, w - 11, large ? "600 14px" : "12px");
      if (label) tile.append(element("span", { className: "label" }, label));
      if (label && h >= 36 && width(size(node.s), large ? "12.5px" : "11px") <= w - 11) {
        tile.append(element("span", { className: "amount" }, size(node.s)));
      }
    }
  };

  const render = () => {
    // The focus stays in the map when the window is resized.
    const focused = map.contains(document.activeElement);
    map.replaceChildren();
    tiles = new Map();
    // clientWidth is rounded, so it would not do.
    const { width: w, height: h } = map.getBoundingClientRect();
    const box = { x: 0, y: 0, w, h };
    squarify(here.c ?? [here], box, (child, part) => draw(child, part, 1));
    select(tiles.get(current) ?? map.firstElementChild, focused);
    mark();
  };

  // One tile at a time is in the tab order; the arrow keys move to the others.
  const select = (tile, focus = true) => {
    if (!tile) return;
    const before = tiles.get(current);
    if (before) before.tabIndex = -1;
    current = tile.node;
    tile.tabIndex = 0;
    if (focus) tile.focus({ preventScroll: true });
  };

  const address = (node) => {
    const steps = [];
    for (let at = node; at.up; at = at.up) steps.unshift(encodeURIComponent(at.p ?? at.n));
    return `#${steps.join("/")}`;
  };
  const addressed = () => {
    let node = root;
    for (const step of location.hash.slice(1).split("/").filter(Boolean)) {
      let name;
      try { name = decodeURIComponent(step); } catch { return root; }
      node = node.c?.find((child) => (child.p ?? child.n) === name && child.c);
      if (!node) return root;
    }
    return node;
  };
  const open = (node, focus) => {
    if (!node?.c || node === here) return;
    location.hash = address(node);
    show(node, focus);
  };
  const show = (node, focus) => {
    const left = here;
    here = node;
    current = left.up === node ? left : null;
    hide();
    render();
    trail();
    list();
    if (focus) select(tiles.get(current) ?? map.firstElementChild);
  };

  const trail = () => {
    const steps = [];
    for (let at = here; at; at = at.up) steps.unshift(at);
    $("trail").replaceChildren(...steps.flatMap((step) => step === here
      ? [element("span", { ariaCurrent: "location" }, step.n), element("span", { className: "hidden" }, ` ${size(here.s)}`)]
      : [element("button", { type: "button", onclick: () => open(step, true) }, step.n), element("span", { ariaHidden: "true" }, "/")]));
  };

  const list = () => {
    $("listing-title").textContent = here === root ? "Sizes by part" : `In ${here.path || here.n}`;
    const most = Math.max(1, ...here.c.map((node) => node.s));
    $("listing").tBodies[0].replaceChildren(...here.c.map((node) => {
      const name = node.c ? element("button", { type: "button", onclick: () => open(node, false) }, node.n) : node.n;
      const meter = element("i");
      meter.style.width = `${node.s * 100 / most}%`;
      const row = element("tr", {}, element("th", { scope: "row" }, name), element("td", { className: "meter" }, meter),
        ...[size(node.s), percent(node.s, root.s), node.files].map((text) => element("td", { className: "number" }, `${text}`)));
      row.dataset.part = node.part;
      return row;
    }));
  };

  const legend = () => {
    $("legend").replaceChildren(...root.c.map((part) => {
      const item = element("li", {}, element("button", { type: "button", onclick: () => open(part, false) },
        element("i", { className: "swatch" }), part.n, element("em", {}, percent(part.s, root.s))));
      item.dataset.part = part.part;
      return item;
    }));
  };

  // Search: tiles that neither match nor contain a match are dimmed.
  const mark = () => {
    const wanted = query.value.trim().toLowerCase();
    map.classList.toggle("finding", wanted !== "");
    if (!wanted) {
      found.textContent = "";
      return;
    }
    let files = 0, bytes = 0;
    const look = (node, inside) => {
      const own = inside || (node.up !== null && (node.n.toLowerCase().includes(wanted) || (!node.c && node.path.toLowerCase().includes(wanted))));
      let hit = own;
      if (node.c) for (const child of node.c) hit = look(child, own) || hit;
      else if (own) { files += 1; bytes += node.s; }
      tiles.get(node)?.classList.toggle("hit", hit);
      return hit;
    };
    look(root, false);
    found.textContent = files ? `${count(files)}, ${size(bytes)} (${percent(bytes, root.s)})` : "nothing is called that";
  };

  const hide = () => { tip.hidden = true; map.querySelector(".near")?.classList.remove("near"); };
  const explain = (tile, x, y) => {
    const node = tile.node;
    const whole = here === root ? "" : `, ${percent(node.s, here.s)} of ${here.n}`;
    tip.replaceChildren(element("strong", {}, node.path || node.n),
      element("span", {}, `${size(node.s)}, ${percent(node.s, root.s)} of all${whole}${node.c ? `, ${count(node.files)}` : ""}`));
    tip.hidden = false;
    map.querySelector(".near")?.classList.remove("near");
    if (tile.classList.contains("frame")) tile.classList.add("near");
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - width - 8))}px`;
    tip.style.top = `${y + 18 + height > innerHeight ? Math.max(8, y - height - 10) : y + 18}px`;
  };

  map.addEventListener("pointermove", (event) => {
    const tile = event.target.closest(".tile");
    if (tile) explain(tile, event.clientX, event.clientY); else hide();
  });
  map.addEventListener("pointerleave", hide);
  map.addEventListener("focusin", (event) => {
    const tile = event.target.closest(".tile");
    select(tile, false);
    if (!tile?.matches(":focus-visible")) return;
    const { left, top, height } = tile.getBoundingClientRect();
    explain(tile, left, top + Math.min(height, 40));
  });
  map.addEventListener("focusout", hide);
  map.addEventListener("click", (event) => {
    const tile = event.target.closest(".tile");
    if (!tile) return;
    select(tile);
    open(tile.node.c ? tile.node : tile.node.up, true);
  });
  map.addEventListener("keydown", (event) => {
    const tile = event.target.closest(".tile");
    if (!tile || event.altKey || event.ctrlKey || event.metaKey) return;
    const all = [...map.children], at = all.indexOf(tile);
    const to = {
      ArrowDown: () => all[at + 1], ArrowUp: () => all[at - 1], Home: () => all[0], End: () => all.at(-1),
      ArrowLeft: () => tiles.get(tile.node.up), ArrowRight: () => tile.node.c?.map((child) => tiles.get(child)).find(Boolean),
    }[event.key];
    if (to) select(to());
    else if (event.key === "Enter" || event.key === " ") open(tile.node, true);
    else if (event.key === "Backspace") open(here.up, true);
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && event.target !== query) {
      query.focus();
      event.preventDefault();
    } else if (event.key === "Escape") {
      if (query.value) { query.value = ""; mark(); } else open(here.up, map.contains(document.activeElement));
    }
  });
  query.addEventListener("input", mark);
  addEventListener("hashchange", () => { if (addressed() !== here) show(addressed(), false); });
  new ResizeObserver(() => { hide(); render(); }).observe(map);

  legend();
  show(addressed(), false);
})();
